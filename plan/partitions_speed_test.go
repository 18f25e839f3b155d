package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
)

// chained is a location of n assets in a row, all with the same partitions.
func chained(n int, definition *partition.Definition) *plan.Snapshot {
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "chained"}
	for i := range n {
		var inputs []plan.Input
		if i > 0 {
			inputs = []plan.Input{{Kind: plan.InputValue, Assets: []string{fmt.Sprintf("asset_%02d", i-1)}, Parts: []plan.InputPart{{}}}}
		}
		add(s, fmt.Sprintf("asset_%02d", i), []string{fmt.Sprintf("asset_%02d", i)}, inputs...)
		s.Assets[i].Partitions = definition
	}
	return s
}

// weeks is a location of days and the weeks that are made from them, over ten years.
func weeks() *plan.Snapshot {
	s := chained(1, days("2010-01-03", ""))
	add(s, "weekly", []string{"weekly"}, plan.Input{
		Kind: plan.InputValue, Assets: []string{"asset_00"}, Parts: []plan.InputPart{{Take: plan.TakePartitionsByKey}},
	})
	s.Assets[1].Partitions = &partition.Definition{Time: &partition.TimeWindows{Every: partition.Weekly, Start: "2010-01-03"}}
	return s
}

// aMillionHours is two assets in a row of about a million hours each, which are made in ranges.
func aMillionHours() *plan.Snapshot {
	s := chained(2, &partition.Definition{Time: &partition.TimeWindows{Every: partition.Hourly, Start: "1910-01-01-00:00"}})
	for i := range s.Computes {
		s.Computes[i].Ranged = true
		for _, input := range s.Computes[i].Inputs {
			input.Parts[0].Take = plan.TakePartitionsByKey
		}
	}
	return s
}

func planAll(t testing.TB, p *plan.Planner) *plan.Plan {
	t.Helper()
	request := assets("*")
	request.AllPartitions = true
	got, err := p.Plan(request, plan.Facts{RunID: "r", Now: time.Date(2024, 5, 19, 0, 0, 0, 0, time.UTC)})
	require.NoError(t, err)
	return got
}

func TestPlansOverManyPartitionsAreQuick(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		snapshot *plan.Snapshot
		steps    int
		most     time.Duration
	}{
		"1 asset of 10,000":             {chained(1, days("1997-01-01", "2024-05-19")), 10_000, time.Second},
		"10 assets of 1,000":            {chained(10, days("2021-08-23", "2024-05-19")), 10_000, time.Second},
		"10 years of weeks from days":   {weeks(), 5250 + 750, time.Second},
		"ranges of a million, 2 assets": {aMillionHours(), 202, 5 * time.Second},
	} {
		p := planner(t, of.snapshot)
		best := time.Hour
		var got *plan.Plan
		for range 20 {
			begin := time.Now()
			got = planAll(t, p)
			if best = min(best, time.Since(begin)); best < slowdown*of.most {
				break
			}
		}
		require.InDelta(t, of.steps, len(got.Steps), 1, name)
		require.Less(t, best, slowdown*of.most, name)
	}
}

// Not parallel: it counts the allocations of the process.
func TestAPlanOverPartitionsIsLinear(t *testing.T) { //nolint:paralleltest // testing.AllocsPerRun forbids it
	allocations := func(n int, end string) float64 {
		p := planner(t, chained(n, days("2001-01-01", end)))
		return testing.AllocsPerRun(1, func() { planAll(t, p) })
	}
	base := allocations(2, "2003-09-28") // 1,000 days
	require.Less(t, allocations(2, "2006-06-24"), 2.3*base, "twice the partitions")
	require.Less(t, allocations(4, "2003-09-28"), 2.3*base, "twice the assets")
}

func benchmarkPartitions(b *testing.B, s *plan.Snapshot) {
	b.Helper()
	p := planner(b, s)
	b.ReportAllocs()
	for b.Loop() {
		planAll(b, p)
	}
}

func BenchmarkPlan10000Partitions(b *testing.B) {
	benchmarkPartitions(b, chained(1, days("1997-01-01", "2024-05-19")))
}

func BenchmarkPlan10AssetsOf1000Partitions(b *testing.B) {
	benchmarkPartitions(b, chained(10, days("2021-08-23", "2024-05-19")))
}

func BenchmarkPlanWeeksFromDays(b *testing.B) { benchmarkPartitions(b, weeks()) }

func BenchmarkPlanRangesOfAMillion(b *testing.B) { benchmarkPartitions(b, aMillionHours()) }
