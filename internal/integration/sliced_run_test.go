//go:build unix

package integration

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// sliced is a location with every way to slice assets, of n days.
func sliced(n int) []testlocation.Asset {
	regions := []string{"east", "west"}
	return []testlocation.Asset{
		{Key: "flights", Days: n},
		{Key: "delays", Days: n, Inputs: []string{"flights"}},
		{Key: "change", Days: n, Inputs: []string{"flights"}, Before: []string{"flights"}},
		{Key: "running", Days: n, Inputs: []string{"flights"}, Ordered: true},
		{Key: "report", Days: n, Inputs: []string{"delays"}, Ranged: true},
		{Key: "weekly", Days: n, SlicedBy: testlocation.ByWeek, Parts: []string{"flights"}},
		{Key: "prices", SlicedBy: testlocation.ByRegion, Regions: regions},
		{Key: "sales", Days: n, SlicedBy: testlocation.ByGrid, Regions: regions, Inputs: []string{"flights", "prices"}},
		{Key: "letters", SlicedBy: testlocation.ByCustomer},
		{Key: "movements", Days: n, Inputs: []string{"flights"}, Outputs: []string{"arrivals", "departures"}},
		{Key: "pages", Days: n, Inputs: []string{"arrivals"}, Fan: []string{"a", "b"}},
		{Key: "feed", Days: n, External: true},
		{Key: "intake", Days: n, Inputs: []string{"feed"}},
		{Key: "lookup"},
		{Key: "priced", Days: n, Inputs: []string{"flights", "lookup"}},
		{Key: "history", Parts: []string{"flights"}},
	}
}

// dayKeys are the keys of n days from the first on.
func dayKeys(first, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = testlocation.Day(first + i)
	}
	return keys
}

// overDays is a request for the days of a range.
func overDays(selection string, first, n int) wire.RunRequest {
	return wire.RunRequest{
		Assets: wire.AssetSelection{Expression: selection},
		Range:  &wire.PartitionRange{Start: testlocation.Day(first), End: testlocation.Day(first + n - 1)},
	}
}

func (f *fixture) startOver(t *testing.T, name string, request wire.RunRequest) (run string) {
	t.Helper()
	id := f.spec.Location + "-" + name
	_, err := f.Starter.StartRun(t.Context(), starter.NewRun{Location: f.spec.Location, ID: id, Request: request})
	require.NoError(t, err)
	return id
}

// requireMade waits for a run that makes these partitions, and finds nothing wrong with it.
func (f *fixture) requireMade(t *testing.T, run string, partitions map[string][]string) {
	t.Helper()
	result, err := f.await(t, run)
	require.NoError(t, err)
	require.Equal(t, wire.RunSuccess, result.Status)
	verdict, err := f.VerifySliced(t.Context(), f.spec, run, partitions)
	require.NoError(t, err)
	require.Equal(t, testlocation.Verdict{}, verdict)
	require.Zero(t, f.count(t, "select count(*) from writers where run_id = $1", run), "the run has left writers behind")
}

// refused are the problems of a request that cannot be run.
func (f *fixture) refused(t *testing.T, request wire.RunRequest) wire.Problems {
	t.Helper()
	_, err := f.Starter.StartRun(t.Context(), starter.NewRun{Location: f.spec.Location, Request: request})
	var problems wire.Problems
	require.ErrorAs(t, err, &problems)
	return problems
}

type made = map[string][]string

func TestRunsOverPartitions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sliced(21))
	f.worker(t, "b1")
	third := dayKeys(2, 1)

	// What a run needs and does not make must be there.
	problems := f.refused(t, wire.RunRequest{Assets: keysOf("change"), Partitions: dayKeys(2, 2)})
	require.Contains(t, problems.Error(), `2001-01-02`)

	run := f.startOver(t, "one", wire.RunRequest{Assets: keysOf("flights", "delays", "lookup", "priced"), Partition: third[0]})
	f.requireMade(t, run, made{"flights": third, "delays": third, "lookup": {""}, "priced": third})
	described, err := f.Temporal.DescribeWorkflowExecution(t.Context(), run, "")
	require.NoError(t, err)
	set := described.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()[wire.SearchPartition]
	require.Equal(t, `"2001-01-03"`, string(set.GetData()))
	require.Equal(t, []string{"delays [2001-01-03]", "flights [2001-01-03]", "priced [2001-01-03]"}, f.summaries(t, run))

	// Several, in any order. The first day has none before it, and what is not selected is taken as it is.
	run = f.startOver(t, "several", wire.RunRequest{Assets: keysOf("flights", "change"), Partitions: []string{testlocation.Day(1), testlocation.Day(0)}})
	f.requireMade(t, run, made{"flights": dayKeys(0, 2), "change": dayKeys(0, 2)})
	run = f.startOver(t, "outside", wire.RunRequest{Assets: keysOf("change"), Partition: third[0]})
	f.requireMade(t, run, made{"change": third})

	// A range, with a week of which three days are made before and four within the run.
	run = f.startOver(t, "before", overDays("flights", 6, 3))
	f.requireMade(t, run, made{"flights": dayKeys(6, 3)})
	problems = f.refused(t, wire.RunRequest{Assets: keysOf("weekly"), Partition: testlocation.Day(6)})
	require.Equal(t, wire.Problems{{
		Path: "assets", Code: wire.CodeMissing,
		Message: "flights is an input of weekly and has no materialization of 4 partitions 2001-01-10, 2001-01-11, 2001-01-12 and 1 more",
		Fix:     `materialize these partitions of it first, as a backfill with "only": "missing" does, or select it for them too, as in "flights"`,
	}}, problems)
	run = f.startOver(t, "range", overDays("flights or weekly", 9, 4))
	f.requireMade(t, run, made{"flights": dayKeys(9, 4), "weekly": dayKeys(6, 1)})

	// Yesterday's before today's, each of the values that this very run made; a range in one call; outputs of one function; and
	// a fan in each partition.
	run = f.startOver(t, "graph", wire.RunRequest{
		Assets: keysOf("flights", "running", "delays", "report", "arrivals", "departures", "pages", "intake"),
		Range:  &wire.PartitionRange{Start: testlocation.Day(0), End: testlocation.Day(3)},
	})
	four := dayKeys(0, 4)
	f.requireMade(t, run, made{
		"flights": four, "running": four, "delays": four, "report": four, "arrivals": four, "departures": four, "pages": four, "intake": four,
	})
	var order []string
	for _, note := range f.notes(t, testlocation.Called, "running") {
		order = append(order, note.Partition)
	}
	require.Equal(t, four, order)
	require.Len(t, f.notes(t, testlocation.Called, "report"), 1)
	require.Equal(t, "2001-01-01...2001-01-04", f.notes(t, testlocation.Called, "report")[0].Partition)
	require.Len(t, f.notes(t, testlocation.Called, "movements"), 4)
	require.Len(t, f.notes(t, testlocation.Called, "pages.load[b]"), 4)
	require.Contains(t, f.steps(t, run), "pages.load@2001-01-02[b]")
	require.Contains(t, f.steps(t, run), "report")
	for _, one := range f.materializationsOf(t, run, "running") {
		require.Contains(t, one.Metadata, wire.Metadatum{Label: "partition", Type: "text", Value: []byte(`"` + one.Partition + `"`)})
	}

	// All that exist, of a list and a grid.
	run = f.startOver(t, "all", wire.RunRequest{Assets: keysOf("prices"), AllPartitions: true})
	f.requireMade(t, run, made{"prices": {"east", "west"}})
	run = f.startOver(t, "grid", wire.RunRequest{Assets: keysOf("sales"), Partitions: []string{"2001-01-01|west", "2001-01-02|east"}})
	f.requireMade(t, run, made{"sales": {"2001-01-01|west", "2001-01-02|east"}})
	run = f.startOver(t, "rectangle", wire.RunRequest{Assets: keysOf("sales"), Range: &wire.PartitionRange{Start: "2001-01-02|east", End: "2001-01-03|west"}})
	f.requireMade(t, run, made{"sales": {"2001-01-02|east", "2001-01-02|west", "2001-01-03|east", "2001-01-03|west"}})

	// What is not partitioned takes all that exist, so they must all be there.
	problems = f.refused(t, wire.RunRequest{Assets: keysOf("history")})
	require.Contains(t, problems.Error(), "2001-01-05")
	run = f.startOver(t, "history", wire.RunRequest{Assets: keysOf("flights", "history"), AllPartitions: true})
	f.requireMade(t, run, made{"flights": dayKeys(0, 21), "history": {""}})
}

// summaries are what Temporal's timeline says of the steps of a run besides their types, sorted.
func (f *fixture) summaries(t *testing.T, run string) []string {
	t.Helper()
	var said []string
	for _, event := range f.history(t, run, "") {
		if summary := event.GetUserMetadata().GetSummary(); event.GetActivityTaskScheduledEventAttributes() != nil && summary != nil {
			var text string
			require.NoError(t, json.Unmarshal(summary.GetData(), &text))
			said = append(said, text)
		}
	}
	slices.Sort(said)
	return said
}

func (f *fixture) materializationsOf(t *testing.T, run, asset string) []metadata.Materialization {
	t.Helper()
	page, err := f.Store.Materializations(t.Context(), metadata.MaterializationFilter{Run: run, Asset: asset}, "", 1000)
	require.NoError(t, err)
	return page.Rows
}

func TestKeysOfADynamicSetAreMadeOnceTheyAreAdded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sliced(21))
	f.worker(t, "b1")
	letters := wire.RunRequest{Assets: wire.AssetSelection{Keys: []string{"letters"}}, Partition: "ann"}
	require.Contains(t, f.refused(t, letters).Error(), `partition "ann" is not one of`)
	change := metadata.PartitionChange{Name: testlocation.Customers, Keys: []string{"ann", "bob"}, Who: "a test", Why: "they came"}
	_, err := f.Starter.AddPartitions(t.Context(), change)
	require.NoError(t, err)
	f.requireMade(t, f.startOver(t, "added", letters), made{"letters": {"ann"}})
	f.requireMade(t, f.startOver(t, "all", wire.RunRequest{Assets: letters.Assets, AllPartitions: true}), made{"letters": {"ann", "bob"}})
	change.Keys, change.Why = change.Keys[:1], "she left"
	_, err = f.Starter.RemovePartitions(t.Context(), change)
	require.NoError(t, err)
	require.Contains(t, f.refused(t, letters).Error(), `partition "ann" is not one of`)
	f.requireMade(t, f.startOver(t, "rest", wire.RunRequest{Assets: letters.Assets, AllPartitions: true}), made{"letters": {"bob"}})
}
