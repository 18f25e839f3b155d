package metadata_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// Runs that share one time of creation are listed each once, whatever is added between two pages.
func TestRunsAreListedByCursor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-22T10:00:00.123456Z")
	var want []string
	for i := range 25 {
		if i == 15 {
			b.setClock("2026-11-22T09:00:00Z")
		}
		b.begin(fmt.Sprintf("r%02d", i), step("a"))
	}
	for i := 14; i >= 0; i-- {
		want = append(want, fmt.Sprintf("r%02d", i))
	}
	for i := 24; i >= 15; i-- {
		want = append(want, fmt.Sprintf("r%02d", i))
	}
	b.setClock("2026-11-22T11:00:00Z")
	var got []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page, err := b.Runs(t.Context(), metadata.RunFilter{}, cursor, 4)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Rows), 4)
		for _, run := range page.Rows {
			got = append(got, run.ID)
		}
		b.begin(fmt.Sprintf("new%d", pages), step("a"))
		cursor = page.Next
	}
	require.Equal(t, want, got)

	_, err := b.Runs(t.Context(), metadata.RunFilter{}, "not a cursor", 4)
	require.ErrorIs(t, err, metadata.ErrInvalid)
}

func TestRunsAreFiltered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.begin("r2", step("b"))
	other := newRun("r3", step("a"))
	other.Location, other.Plan.Job, other.Plan.Tags = "weather", "nightly", map[string]string{"team": "rain", "tier": "1"}
	_, err := b.PlanRun(t.Context(), other)
	require.NoError(t, err)
	b.end("r1", 1, wire.RunSuccess)
	for name, filtered := range map[string]struct {
		filter metadata.RunFilter
		want   []string
	}{
		"location": {metadata.RunFilter{Location: "weather"}, []string{"r3"}},
		"job":      {metadata.RunFilter{Job: "nightly"}, []string{"r3"}},
		"status":   {metadata.RunFilter{Statuses: []wire.RunStatus{wire.RunStarted}}, []string{"r3", "r2"}},
		"statuses": {metadata.RunFilter{Statuses: []wire.RunStatus{wire.RunStarted, wire.RunSuccess}}, []string{"r3", "r2", "r1"}},
		"asset":    {metadata.RunFilter{Asset: "a"}, []string{"r3", "r1"}},
		"tags":     {metadata.RunFilter{Tags: map[string]string{"team": "delays"}}, []string{"r2", "r1"}},
		"both":     {metadata.RunFilter{Asset: "a", Location: "flights"}, []string{"r1"}},
		"nothing":  {metadata.RunFilter{Location: "sea"}, nil},
	} {
		page, err := b.Runs(t.Context(), filtered.filter, "", 0)
		require.NoError(t, err, name)
		var got []string
		for _, run := range page.Rows {
			got = append(got, run.ID)
		}
		require.Equal(t, filtered.want, got, name)
	}
	_, err = b.Run(t.Context(), "r9")
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

func TestStepsAreListedInThePlansOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("z"), step("y"), step("x"), step("w"), step("v"))
	var got []string
	for cursor, first := "", true; first || cursor != ""; first = false {
		page, err := b.Steps(t.Context(), "r1", cursor, 2)
		require.NoError(t, err)
		for _, row := range page.Rows {
			got = append(got, row.Step)
		}
		cursor = page.Next
	}
	require.Equal(t, []string{"z", "y", "x", "w", "v"}, got)
}

func TestMaterializationsAndEventsByCursor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 7 {
		run := fmt.Sprintf("r%d", i)
		b.begin(run, step("a"), step("b"))
		b.committed(run, "a", 1, "a")
		b.committed(run, "b", 1, "b")
	}
	var runs []string
	for cursor, first := "", true; first || cursor != ""; first = false {
		page, err := b.Materializations(t.Context(), metadata.MaterializationFilter{Asset: "a"}, cursor, 3)
		require.NoError(t, err)
		for _, row := range page.Rows {
			require.Equal(t, "a", row.Asset)
			runs = append(runs, row.Run)
		}
		cursor = page.Next
	}
	slices.Reverse(runs)
	require.Equal(t, []string{"r0", "r1", "r2", "r3", "r4", "r5", "r6"}, runs)
	partition := "2001-01-01"
	page, err := b.Materializations(t.Context(), metadata.MaterializationFilter{Asset: "a", Partition: &partition}, "", 0)
	require.NoError(t, err)
	require.Empty(t, page.Rows)

	events, err := b.Events(t.Context(), 0, metadata.EventFilter{Asset: "b", Types: []metadata.EventType{metadata.EventMaterialization}}, 2)
	require.NoError(t, err)
	require.Len(t, events, 2)
	rest, err := b.Events(t.Context(), events[1].Position, metadata.EventFilter{Asset: "b", Types: []metadata.EventType{metadata.EventMaterialization}}, 0)
	require.NoError(t, err)
	require.Len(t, rest, 5)
	require.Equal(t, "r2", rest[0].Run)
	require.Equal(t, "cause-of-r2", rest[0].Cause)
	require.JSONEq(t, fmt.Sprintf(`{"location":"file:///data/b","data_version":"db","slot_token":%d}`, b.slotOf("r2", "b")), string(rest[0].Body))
}

func (b *bench) slotOf(run, asset string) int64 {
	b.Helper()
	page, err := b.Materializations(b.Context(), metadata.MaterializationFilter{Run: run, Asset: asset}, "", 0)
	require.NoError(b, err)
	require.Len(b, page.Rows, 1)
	return page.Rows[0].SlotToken
}

func TestAssetsWithWhatIsCurrent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register("b1", snapshot("one"), false)
	b.begin("r1", step("b"))
	b.committed("r1", "b", 1, "b")
	assets, err := b.Assets(t.Context(), "flights")
	require.NoError(t, err)
	require.Len(t, assets, 2)
	require.Equal(t, "b", assets[0].Asset.Key)
	require.Equal(t, "r1", assets[0].Current.Run)
	require.Nil(t, assets[1].Current)
	_, ok := metadata.Materialization{}.Rows()
	require.False(t, ok)
}

func TestLastRunsOfAssets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2031-01-01T00:00:00Z")
	b.begin("r1", step("a"), step("b"))
	b.setClock("2031-01-02T00:00:00Z")
	b.begin("r2", step("b"))
	last, err := b.LastRuns(t.Context(), []string{"a", "b", "never"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "r1", "b": "r2"}, last)
}
