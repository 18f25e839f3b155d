package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// partOf is an input of a partitioned asset.
func partOf(upstream string, mapping partition.Mapping, take plan.TakePartitions) plan.Input {
	return plan.Input{Kind: plan.InputValue, Assets: []string{upstream}, Parts: []plan.InputPart{{Mapping: mapping, Take: take}}}
}

// daily is a location of partitions of every kind: days, weeks of them, a running total on its own yesterday, bands, sites, and
// what is not partitioned before and after.
func daily() *plan.Snapshot {
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "daily"}
	definitions := map[string]*partition.Definition{
		"flights": days("2001-01-01", ""), "delays": days("2001-01-01", ""), "total": days("2001-01-01", ""),
		"weekly": {Time: &partition.TimeWindows{Every: partition.Weekly, Start: "2001-01-07"}},
		"bands":  {Static: []string{"short", "long"}}, "sites": {Dynamic: "sites"},
		"grid": {Grid: []partition.Dimension{
			{Name: "day", Time: &partition.TimeWindows{Every: partition.Daily, Start: "2001-01-01"}}, {Name: "band", Static: []string{"short", "long"}},
		}},
	}
	byKey := plan.TakePartitionsByKey
	add(s, "airports", []string{"airports"})
	add(s, "flights", []string{"flights"}, partOf("airports", partition.Mapping{}, ""))
	add(s, "delays", []string{"delays"}, partOf("flights", partition.Mapping{}, ""))
	add(s, "total", []string{"total"}, partOf("delays", partition.Mapping{}, ""),
		partOf("total", partition.Mapping{Kind: partition.MapTime, StartOffset: -1, EndOffset: -1}, plan.TakeAtMostOne))
	add(s, "weekly", []string{"weekly"}, partOf("flights", partition.Mapping{}, byKey)).Ranged = true
	add(s, "grid", []string{"grid"}, partOf("flights", partition.Mapping{}, ""))
	add(s, "report", []string{"report"}, partOf("weekly", partition.Mapping{}, byKey))
	add(s, "bands", []string{"bands"})
	add(s, "sites", []string{"sites"})
	for i := range s.Assets {
		s.Assets[i].Partitions = definitions[s.Assets[i].Key]
	}
	return s
}

func dailyFacts() plan.Facts {
	return plan.Facts{RunID: "r1", Now: time.Date(2001, 1, 16, 6, 0, 0, 0, time.UTC), Dynamic: map[string][]string{"sites": {"BER", "JFK"}}}
}

func with(request wire.RunRequest, change func(*wire.RunRequest)) wire.RunRequest {
	change(&request)
	return request
}

func onDay(expression, day string) wire.RunRequest {
	return with(assets(expression), func(r *wire.RunRequest) { r.Partition = day })
}

func TestStepsOfARunOverPartitions(t *testing.T) {
	t.Parallel()
	p := planner(t, daily())
	from := func(start, end string) func(*wire.RunRequest) {
		return func(r *wire.RunRequest) { r.Range = &wire.PartitionRange{Start: start, End: end} }
	}
	for name, of := range map[string]struct {
		request wire.RunRequest
		want    []string
	}{
		"one partition":            {onDay("flights", "2001-01-02"), []string{"flights"}},
		"several":                  {with(assets("flights"), func(r *wire.RunRequest) { r.Partitions = []string{"2001-01-04", "2001-01-02"} }), []string{"flights@2001-01-02", "flights@2001-01-04"}},
		"a range of two assets":    {with(assets("flights or delays"), from("2001-01-02", "2001-01-03")), []string{"flights@2001-01-02", "flights@2001-01-03", "delays@2001-01-02", "delays@2001-01-03"}},
		"with what is whole":       {onDay("airports or flights", "2001-01-02"), []string{"airports", "flights"}},
		"downstream by mapping":    {with(assets("flights or weekly or report"), from("2001-01-07", "2001-01-08")), []string{"flights@2001-01-07", "flights@2001-01-08", "weekly", "report"}},
		"a week that is not there": {onDay("flights or weekly", "2001-01-15"), []string{"flights"}},
		"a range asset":            {with(assets("weekly"), func(r *wire.RunRequest) { r.AllPartitions = true }), []string{"weekly"}},
		"two ranges":               {with(assets("grid"), func(r *wire.RunRequest) { r.Partitions = []string{"long|2001-01-01", "short|2001-01-03"} }), []string{"grid@short|2001-01-03", "grid@long|2001-01-01"}},
		"as of":                    {with(assets("flights"), func(r *wire.RunRequest) { r.AllPartitions, r.AsOf = true, "2001-01-03T00:00:00Z" }), []string{"flights@2001-01-01", "flights@2001-01-02"}},
		"a dynamic set":            {with(assets("sites"), func(r *wire.RunRequest) { r.AllPartitions = true }), []string{"sites@BER", "sites@JFK"}},
	} {
		got, err := p.Plan(of.request, dailyFacts())
		require.NoError(t, err, name)
		require.ElementsMatch(t, of.want, stepKeys(got), name)
	}
}

func TestInputsAndTagsOfARunOverPartitions(t *testing.T) {
	t.Parallel()
	p := planner(t, daily())
	got, err := p.Plan(with(assets("delays or total"), func(r *wire.RunRequest) {
		r.Range = &wire.PartitionRange{Start: "2001-01-01", End: "2001-01-02"}
		r.Backfill = "bf1"
	}), dailyFacts())
	require.NoError(t, err)
	first, _ := stepOf(t, got, "total@2001-01-01")
	require.Len(t, first.Inputs, 1, "there is no day before the first")
	second, walked := stepOf(t, got, "total@2001-01-02")
	require.Equal(t, "2001-01-02", second.Partition)
	require.Len(t, second.Inputs, 2)
	require.Equal(t, []string{"2001-01-01"}, second.Inputs[1].Partitions)
	require.True(t, second.Inputs[1].InRun)
	_, yesterday := stepOf(t, got, "total@2001-01-01")
	require.Equal(t, []int{slices.Index(stepKeys(got), "total@2001-01-02")}, yesterday.Next)
	require.Equal(t, "total [2001-01-02]", walked.Summary())
	require.Len(t, got.Outside, 1)
	require.Equal(t, []string{"2001-01-01", "2001-01-02"}, slices.Collect(got.Outside[0].Partitions.Keys()))
	require.Equal(t, map[string]string{
		plan.TagPartitionRangeStart: "2001-01-01", plan.TagPartitionRangeEnd: "2001-01-02", plan.TagBackfill: "bf1",
	}, got.Tags)
	require.Equal(t, "bf1", got.Walk.Backfill)
	require.Equal(t, 2, got.Targets["total"].Count())
	require.Contains(t, got.PlannedSteps(), wire.PlannedStep{
		Step: "total@2001-01-02", Assets: []string{"total"}, Partition: "2001-01-02", After: []string{"delays@2001-01-02", "total@2001-01-01"},
		Reason: "selected by delays or total",
	})

	got, err = p.Plan(onDay("grid", "short|2001-01-03"), dailyFacts())
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		plan.TagPartition: "short|2001-01-03", plan.TagPartition + "/day": "2001-01-03", plan.TagPartition + "/band": "short",
	}, got.Tags)
	require.Equal(t, "short|2001-01-03", got.Walk.Partition)
	require.Equal(t, "grid [short|2001-01-03]", got.Walk.Steps[0].Summary())
}

func TestProblemsWithPartitions(t *testing.T) {
	t.Parallel()
	p := planner(t, daily())
	between := func(expression, start, end string) wire.RunRequest {
		return with(assets(expression), func(r *wire.RunRequest) { r.Range = &wire.PartitionRange{Start: start, End: end} })
	}
	for name, of := range map[string]struct {
		request wire.RunRequest
		path    string
		says    []string
	}{
		"unknown key":     {onDay("bands", "middle"), "partition", []string{`"bands"`, `"middle"`}},
		"not there yet":   {onDay("flights", "2001-01-16"), "partition", []string{`"flights"`, `"2001-01-16"`}},
		"one of a list":   {with(assets("bands"), func(r *wire.RunRequest) { r.Partitions = []string{"long", "shrt"} }), "partitions[1]", []string{`"bands"`, `"shrt"`, `did you mean "short"`}},
		"an empty list":   {with(assets("bands"), func(r *wire.RunRequest) { r.Partitions = []string{} }), "partitions", []string{`"bands"`, "empty"}},
		"removed":         {onDay("sites", "OSL"), "partition", []string{`"sites"`, `"OSL"`}},
		"reversed":        {between("flights", "2001-01-03", "2001-01-02"), "range", []string{`"flights"`, "2001-01-03", "2001-01-02", "reversed"}},
		"bad start":       {between("flights", "2001-1-3", "2001-01-05"), "range.start", []string{`"flights"`, `"2001-1-3"`}},
		"bad end":         {between("flights", "2001-01-03", "2002-01-05"), "range.end", []string{`"flights"`, `"2002-01-05"`}},
		"no end":          {between("flights", "2001-01-03", ""), "range.end", []string{`"flights"`, "not given"}},
		"range of static": {between("bands", "short", "long"), "range", []string{`"bands"`, `"partitions"`}},
		"of the whole":    {onDay("airports", "2001-01-03"), "partition", []string{`"airports"`, "not partitioned"}},
		"none given":      {assets("flights"), "partition", []string{`"flights"`, "2001-01-15"}},
		"no common root":  {onDay("flights or bands", "2001-01-03"), "partition", []string{`"flights"`, `"bands"`, "no one root"}},
		"two given":       {with(onDay("flights", "2001-01-03"), func(r *wire.RunRequest) { r.AllPartitions = true }), "all_partitions", []string{`"partition" and "all_partitions"`}},
		"bad as_of":       {with(onDay("flights", "2001-01-03"), func(r *wire.RunRequest) { r.AsOf = "yesterday" }), "as_of", []string{`"yesterday"`, "RFC 3339"}},
		"bad only":        {with(onDay("flights", "2001-01-03"), func(r *wire.RunRequest) { r.Only = "new" }), "only", []string{`"new"`, "missing, failed or stale"}},
		"all of none":     {with(assets("flights"), func(r *wire.RunRequest) { r.AllPartitions, r.AsOf = true, "2000-01-03T00:00:00Z" }), "all_partitions", []string{`"flights"`, "none"}},
	} {
		_, err := p.Plan(of.request, dailyFacts())
		problems := wire.ProblemsOf(err)
		require.Len(t, problems, 1, name)
		require.Equal(t, of.path, problems[0].Path, name)
		for _, text := range of.says {
			require.Contains(t, problems[0].String(), text, name)
		}
	}
}

func TestARequestIsNarrowedToAState(t *testing.T) {
	t.Parallel()
	p := planner(t, daily())
	facts := dailyFacts()
	// The states are of Sets of their own, as whoever reads them has.
	existing := p.Existing(facts.Now, facts.Dynamic)
	some := func(keys ...string) partition.Subset {
		subset, err := existing.Set("flights").Of(keys...)
		require.NoError(t, err)
		return subset
	}
	whole := existing.Set("airports").All()
	facts.States = map[string]plan.PartitionStates{
		"flights":  {Materialized: some("2001-01-01", "2001-01-02", "2001-01-03"), Failed: some("2001-01-03", "2001-01-04"), Stale: some("2001-01-02")},
		"airports": {Materialized: whole},
	}
	request := func(only wire.OnlyPartitions) wire.RunRequest {
		return with(assets("airports or flights"), func(r *wire.RunRequest) {
			r.Range, r.Only = &wire.PartitionRange{Start: "2001-01-01", End: "2001-01-04"}, only
		})
	}
	require.Equal(t, []string{"airports", "flights"}, p.StatesNeeded(request(wire.OnlyMissing)))
	require.Nil(t, p.StatesNeeded(request("")))
	for only, want := range map[wire.OnlyPartitions][]string{
		wire.OnlyMissing: {"flights"},
		wire.OnlyFailed:  {"flights@2001-01-03", "flights@2001-01-04"},
		wire.OnlyStale:   {"flights@2001-01-02", "flights@2001-01-04"},
	} {
		got, err := p.Plan(request(only), facts)
		require.NoError(t, err, only)
		require.Equal(t, want, stepKeys(got), only)
		target, problems := p.Target(request(only), existing)
		require.Empty(t, problems)
		require.Equal(t, 4, target.Assets["flights"].Count())
		narrowed, problems := p.Narrow(target, only, facts.States, existing)
		require.Empty(t, problems)
		require.Equal(t, len(want), narrowed.Assets["flights"].Count())
		require.NotContains(t, narrowed.Assets, "airports")
	}
	facts.States["flights"] = plan.PartitionStates{Materialized: existing.Set("flights").All()}
	_, err := p.Plan(request(wire.OnlyMissing), facts)
	problems := wire.ProblemsOf(err)
	require.Len(t, problems, 1)
	require.Equal(t, wire.CodeNothingLeft, problems[0].Code)
	require.Contains(t, problems[0].Message, "nothing is missing")
}

// A run of one step of a compute has a short key for it; who selects it may name its partition all the same.
func TestTheOnlyStepIsSelectedByItsPartitionToo(t *testing.T) {
	t.Parallel()
	planner, err := plan.NewPlanner(daily(), nil)
	require.NoError(t, err)
	first, err := planner.Plan(onDay("flights", "2001-01-03"), dailyFacts())
	require.NoError(t, err)
	require.Equal(t, []string{"flights"}, stepKeys(first))
	facts := dailyFacts()
	facts.RunID = "r2"
	facts.Parent = &plan.ParentRun{RunID: "r1", Status: wire.RunFailure, Request: first.Request, Steps: []plan.ParentStep{
		{Step: "flights", Status: wire.StepFailed, Run: "r1", Compute: "flights", Partition: "2001-01-03", Assets: []string{"flights"}},
	}}
	for _, ops := range []string{"flights", "flights@2001-01-03"} {
		got, err := planner.Plan(wire.RunRequest{RetryOf: &wire.RetryOf{RunID: "r1", From: wire.RetrySelection}, Ops: ops}, facts)
		require.NoError(t, err, ops)
		require.Equal(t, []string{"flights"}, stepKeys(got))
	}
	_, err = planner.Plan(wire.RunRequest{RetryOf: &wire.RetryOf{RunID: "r1", From: wire.RetrySelection}, Ops: "flights@2001-01-04"}, facts)
	require.ErrorContains(t, err, "2001-01-04")
}

// A step's key is an id of Temporal's, which must not be as long as a partition's key may be.
func TestLongPartitionKeysAreCutInStepKeys(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\"[長]", 80)
	definition := &partition.Definition{Static: []string{long + "a", long + "b", "c"}}
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "long"}
	add(s, "letters", []string{"letters"})
	s.Assets[0].Partitions = definition
	planner, err := plan.NewPlanner(s, nil)
	require.NoError(t, err)
	request := assets("letters")
	request.AllPartitions = true
	got, err := planner.Plan(request, dailyFacts())
	require.NoError(t, err)
	steps := stepKeys(got)
	require.Len(t, steps, 3)
	require.NotEqual(t, steps[0], steps[1])
	for _, key := range steps {
		require.LessOrEqual(t, len(key), 300)
		require.True(t, utf8.ValidString(key))
		_, _, mapped := plan.SplitMappedKey(key)
		require.False(t, mapped)
	}
}

func TestPartitionsOfAGraphWithADynamicOutput(t *testing.T) {
	t.Parallel()
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "graphs"}
	s.Assets = []plan.Asset{{Key: "summary", Compute: "summary", Partitions: &partition.Definition{Static: []string{"a", "b[1]"}}}}
	s.Computes = []plan.Compute{
		{Name: "summary.pages", Op: true, FanOut: true},
		{Name: "summary.count", Op: true, Over: "summary.pages", Inputs: []plan.Input{{Kind: plan.InputElement, Ops: []string{"summary.pages"}}}},
		{Name: "summary", Op: true, Outputs: []string{"summary"}, Inputs: []plan.Input{{Kind: plan.InputCollect, Ops: []string{"summary.count"}}}},
	}
	p := planner(t, s)
	got, err := p.Plan(with(assets("*"), func(r *wire.RunRequest) { r.AllPartitions = true }), dailyFacts())
	require.NoError(t, err)
	require.Equal(t, []string{
		"summary.pages@a", `summary.pages@"b[1]"`, "summary.count@a", `summary.count@"b[1]"`, "summary@a", `summary@"b[1]"`,
	}, stepKeys(got))
	require.Equal(t, "summary.pages@a", got.Steps[2].Over)
	require.Equal(t, []plan.ValueInput{{Step: `summary.count@"b[1]"`, Take: plan.TakeAll}}, got.Steps[5].Values)
	walk := plan.NewProgress(&got.Walk)
	walk.Succeed(0, nil, []string{"x", "y"})
	walk.Succeed(1, nil, []string{"z"})
	require.Equal(t, 9, walk.Len())
	require.Equal(t, "summary.count@a[x]", walk.Key(6))
	require.Equal(t, `summary.count@"b[1]"[z]`, walk.Key(8))
	walk.Succeed(8, nil, nil)
	require.Equal(t, wire.StepWaiting, walk.Status(4), "the other partition waits for its own")

	// One mapped step of one partition runs again, and what collects it.
	parent := &plan.ParentRun{RunID: "r1", Status: wire.RunFailure, Request: got.Request}
	for key, status := range map[string]wire.StepStatus{
		"summary.pages@a": wire.StepSuccess, `summary.pages@"b[1]"`: wire.StepSuccess, "summary.count@a[x]": wire.StepSuccess, "summary.count@a[y]": wire.StepFailed,
		`summary.count@"b[1]"[z]`: wire.StepSuccess, "summary@a": wire.StepUpstreamFailed, `summary@"b[1]"`: wire.StepSuccess,
	} {
		of := plan.ParentStep{Step: key, Status: status, Run: "r1", Compute: map[byte]string{'@': "summary", '.': "summary.pages"}[key[7]]}
		switch key {
		case "summary@a", "summary.pages@a":
			of.Partition = "a"
		case `summary@"b[1]"`, `summary.pages@"b[1]"`:
			of.Partition = "b[1]"
		}
		if of.Compute == "summary" {
			of.Assets = []string{"summary"}
		}
		if len(key) > 13 && key[8:13] == "pages" {
			of.Result = &wire.StepResult{Keys: map[string][]string{"a": {"x", "y"}, "b[1]": {"z"}}[of.Partition]}
		}
		parent.Steps = append(parent.Steps, of)
	}
	facts := dailyFacts()
	facts.RunID, facts.Parent = "r2", parent
	again, err := p.Plan(wire.RunRequest{RetryOf: &wire.RetryOf{RunID: "r1"}}, facts)
	require.NoError(t, err)
	progress := plan.NewProgress(&again.Walk)
	var running []string
	for step := range progress.Len() {
		if !progress.IsTemplate(step) && !progress.Inherited(step) {
			running = append(running, progress.Key(step))
		}
	}
	require.Equal(t, []string{"summary@a", "summary.count@a[y]"}, running)
	selected, err := p.Plan(wire.RunRequest{RetryOf: &wire.RetryOf{RunID: "r1", From: wire.RetrySelection}, Ops: "summary.count@a[y] summary@a"}, facts)
	require.NoError(t, err)
	require.Len(t, selected.Inherited, 5)
	_, err = p.Plan(wire.RunRequest{RetryOf: &wire.RetryOf{RunID: "r1", From: wire.RetrySelection}, Ops: "summary@c"}, facts)
	require.ErrorContains(t, err, `did you mean "summary@a"`)
}

func TestSnapshotsWithMappingsThatDoNotFit(t *testing.T) {
	t.Parallel()
	s := daily()
	s.Computes[2].Inputs[0].Parts[0].Mapping = partition.Mapping{Kind: partition.MapStatic, Static: map[string][]string{"a": {"b"}}}
	_, err := plan.NewPlanner(s, nil)
	require.ErrorContains(t, err, `asset "delays" needs the asset "flights"`)

	s = daily()
	s.Computes[3].Inputs[1].Parts[0].Mapping.EndOffset = 0
	_, err = plan.NewPlanner(s, nil)
	require.ErrorContains(t, err, `asset "total" needs itself`)
}

func TestARunOfOneStepAPartitionHasItsLimits(t *testing.T) {
	t.Parallel()
	p := planner(t, chained(1, &partition.Definition{Time: &partition.TimeWindows{Every: partition.Hourly, Start: "1970-01-01-00:00"}}))
	facts := dailyFacts()
	_, err := p.Plan(with(assets("*"), func(r *wire.RunRequest) { r.AllPartitions = true }), facts)
	problems := wire.ProblemsOf(err)
	require.Len(t, problems, 1)
	require.Equal(t, wire.CodeTooLarge, problems[0].Code)
	require.Contains(t, problems[0].Fix, "Backfill")
}

// Each row is a location of assets with what they are made from, and the partitions that a request for some of them is for.
func TestWhichPartitionsAreMeant(t *testing.T) {
	t.Parallel()
	weekly := &partition.Definition{Time: &partition.TimeWindows{Every: partition.Weekly, Day: 1, Start: "2001-01-01"}}
	daily, later := days("2001-01-01", ""), days("2001-01-03", "")
	letters := &partition.Definition{Static: []string{"a", "b"}}
	grid := &partition.Definition{Grid: []partition.Dimension{{Name: "day", Time: daily.Time}, {Name: "letter", Static: letters.Static}}}
	sites := &partition.Definition{Dynamic: "sites"}
	type asset struct {
		key   string
		parts *partition.Definition
		from  []string
	}
	for name, of := range map[string]struct {
		assets  []asset
		request func(*wire.RunRequest)
		want    map[string][]string // "" is of what is not partitioned
		problem string
	}{
		"fan-in": {
			[]asset{{"a_1", daily, nil}, {"a_2", daily, nil}, {"a", daily, []string{"a_1", "a_2"}}},
			func(r *wire.RunRequest) { r.Partition = "2001-01-02" },
			map[string][]string{"a_1": {"2001-01-02"}, "a_2": {"2001-01-02"}, "a": {"2001-01-02"}},
			"",
		},
		"fan-out to other partitions": {
			[]asset{{"a", daily, nil}, {"a_1", weekly, []string{"a"}}, {"a_2", grid, []string{"a"}}, {"a_3", later, []string{"a"}}},
			func(r *wire.RunRequest) { r.Partitions = []string{"2001-01-02", "2001-01-09"} },
			map[string][]string{
				"a": {"2001-01-02", "2001-01-09"}, "a_1": {"2001-01-01", "2001-01-08"}, "a_3": {"2001-01-09"},
				"a_2": {"2001-01-02|a", "2001-01-02|b", "2001-01-09|a", "2001-01-09|b"},
			},
			"",
		},
		"a week that has not ended is not meant": {
			[]asset{{"a", daily, nil}, {"a_1", weekly, []string{"a"}}},
			func(r *wire.RunRequest) { r.Partition = "2001-01-15" },
			map[string][]string{"a": {"2001-01-15"}},
			"",
		},
		"not partitioned, before and after": {
			[]asset{{"before", nil, nil}, {"a", daily, []string{"before"}}, {"after", nil, []string{"a"}}},
			func(r *wire.RunRequest) { r.Partition = "2001-01-02" },
			map[string][]string{"before": {""}, "a": {"2001-01-02"}, "after": {""}},
			"",
		},
		"not partitioned, between what is partitioned alike": {
			[]asset{{"a", daily, nil}, {"between", nil, []string{"a"}}, {"b", daily, []string{"between"}}},
			func(r *wire.RunRequest) { r.Partition = "2001-01-02" },
			map[string][]string{"a": {"2001-01-02"}, "between": {""}, "b": {"2001-01-02"}},
			"",
		},
		"not partitioned, between what is partitioned otherwise": {
			[]asset{{"a", daily, nil}, {"between", nil, []string{"a"}}, {"b", weekly, []string{"between"}}},
			func(r *wire.RunRequest) { r.Partition = "2001-01-08" }, nil, "no one root",
		},
		"not partitioned, beside another way to the root": {
			[]asset{{"a", daily, nil}, {"between", nil, []string{"a"}}, {"b", weekly, []string{"between", "a"}}},
			func(r *wire.RunRequest) { r.Partition = "2001-01-08" },
			map[string][]string{"a": {"2001-01-08"}, "between": {""}, "b": {"2001-01-08"}},
			"",
		},
		"two roots of one definition": {
			[]asset{{"a", daily, nil}, {"b", daily, nil}, {"w", weekly, []string{"a", "b"}}},
			func(r *wire.RunRequest) { r.Partition = "2001-01-02" },
			map[string][]string{"a": {"2001-01-02"}, "b": {"2001-01-02"}, "w": {"2001-01-01"}},
			"",
		},
		"a range of a grid is a rectangle": {
			[]asset{{"g", grid, nil}},
			func(r *wire.RunRequest) { r.Range = &wire.PartitionRange{Start: "2001-01-02|b", End: "2001-01-04|b"} },
			map[string][]string{"g": {"2001-01-02|b", "2001-01-03|b", "2001-01-04|b"}},
			"",
		},
		"a reversed side of a rectangle": {
			[]asset{{"g", grid, nil}},
			func(r *wire.RunRequest) { r.Range = &wire.PartitionRange{Start: "2001-01-02|b", End: "2001-01-04|a"} }, nil, "reversed",
		},
		"a range of a dynamic set is in the order of adding": {
			[]asset{{"s", sites, nil}},
			func(r *wire.RunRequest) { r.Range = &wire.PartitionRange{Start: "JFK", End: "BER"} },
			map[string][]string{"s": {"JFK", "BER"}},
			"",
		},
		"a key that no grid can have is not meant": {
			[]asset{{"g", &partition.Definition{Grid: []partition.Dimension{{Name: "letter", Static: letters.Static}, {Name: "site", Dynamic: "sites"}}}, nil}, {"s", sites, nil}},
			func(r *wire.RunRequest) { r.Assets, r.AllPartitions = assets("g").Assets, true },
			map[string][]string{"g": {"a|OSL", "a|JFK", "a|BER", "b|OSL", "b|JFK", "b|BER"}},
			"",
		},
		"but it is one of its own set": {
			[]asset{{"s", sites, nil}},
			func(r *wire.RunRequest) { r.AllPartitions = true },
			map[string][]string{"s": {"OSL", "x|y", "JFK", "BER"}},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &plan.Snapshot{V: plan.SnapshotVersion, Location: "rows"}
			parts := map[string]*partition.Definition{}
			for _, one := range of.assets {
				inputs := make([]plan.Input, len(one.from))
				for i, up := range one.from {
					inputs[i] = plan.Input{Kind: plan.InputValue, Assets: []string{up}}
					if parts[up] != nil || one.parts != nil {
						inputs[i] = partOf(up, partition.Mapping{}, plan.TakePartitionsByKey)
					}
				}
				add(s, one.key, []string{one.key}, inputs...)
				parts[one.key] = one.parts
			}
			for i := range s.Assets {
				s.Assets[i].Partitions = parts[s.Assets[i].Key]
			}
			p := planner(t, s)
			existing := p.Existing(dailyFacts().Now, map[string][]string{"sites": {"OSL", "x|y", "JFK", "BER"}})
			target, problems := p.Target(with(assets("*"), of.request), existing)
			if of.problem != "" {
				require.Len(t, problems, 1)
				require.Contains(t, problems[0].Message, of.problem)
				return
			}
			require.Empty(t, problems)
			got := map[string][]string{}
			for key, subset := range target.Assets {
				got[key] = slices.Collect(subset.Keys())
			}
			require.Equal(t, of.want, got)
		})
	}
}
