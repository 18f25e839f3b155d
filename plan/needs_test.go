package plan_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestWhatIsNeededAndDoesNotExistIsNamed(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		upstream *partition.Definition
		mapping  partition.Mapping
		take     plan.TakePartitions
		says     []string
	}{
		"before the first":          {days("2001-01-10", ""), partition.Mapping{}, plan.TakePartitionsByKey, []string{`"delays"`, "2001-01-03", `2001-01-02 to 2001-01-03 (2) of "flights"`}},
		"after the end":             {days("2001-01-01", "2001-01-03"), partition.Mapping{}, plan.TakePartitionsByKey, []string{`"delays"`, "2001-01-03", `the partitions 2001-01-03 of "flights"`}},
		"removed":                   {&partition.Definition{Dynamic: "sites"}, partition.Mapping{Kind: partition.MapSpecific, Keys: []string{"OSL"}}, plan.TakePartitionsByKey, []string{`"delays"`, `the partitions OSL of "flights"`}},
		"allowed":                   {days("2001-01-10", ""), partition.Mapping{Kind: partition.MapTime, AllowNonexistent: true}, plan.TakePartitionsByKey, nil},
		"allowed, where one is":     {days("2001-01-10", ""), partition.Mapping{Kind: partition.MapTime, AllowNonexistent: true}, "", []string{`"delays"`, "partition 2001-01-02", "takes one partition, and the mapping gives 0"}},
		"cut off by an offset":      {days("2001-01-10", ""), partition.Mapping{Kind: partition.MapTime, StartOffset: -1, EndOffset: -1}, plan.TakeAtMostOne, nil},
		"an offset into the unmade": {days("2001-01-01", "2001-01-02"), partition.Mapping{Kind: partition.MapTime, StartOffset: -1, EndOffset: -1}, plan.TakeAtMostOne, []string{`the partitions 2001-01-02 of "flights"`}},
	} {
		s := daily()
		s.Assets = slices.DeleteFunc(s.Assets, func(a plan.Asset) bool { return a.Key != "flights" && a.Key != "delays" })
		s.Computes = slices.DeleteFunc(s.Computes, func(c plan.Compute) bool { return c.Name != "flights" && c.Name != "delays" })
		s.Computes[0].Inputs = nil
		s.Assets[slices.IndexFunc(s.Assets, func(a plan.Asset) bool { return a.Key == "flights" })].Partitions = of.upstream
		s.Computes[1].Inputs[0].Parts[0] = plan.InputPart{Mapping: of.mapping, Take: of.take}
		p := planner(t, s)
		_, err := p.Plan(with(assets("delays"), func(r *wire.RunRequest) { r.Range = &wire.PartitionRange{Start: "2001-01-02", End: "2001-01-03"} }), dailyFacts())
		if of.says == nil {
			require.NoError(t, err, name)
			continue
		}
		problems := wire.ProblemsOf(err)
		require.Len(t, problems, 1, name)
		require.Equal(t, "range", problems[0].Path, name)
		for _, text := range of.says {
			require.Contains(t, problems[0].Message, text, name)
		}
	}
}
