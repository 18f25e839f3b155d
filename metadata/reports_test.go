package metadata_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func reported(id string, keys ...string) metadata.Report {
	return metadata.Report{
		ID: id, Asset: "x", Type: wire.ReportMaterialization, Partitions: keys, DataVersion: "7", Who: "ana", Why: "by hand", Cause: id,
		Metadata: []wire.Metadatum{{Label: "rows", Type: wire.MetadataInt, Value: json.RawMessage("3")}},
	}
}

func TestAReportIsRecordedOnceUnderItsID(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, err := b.Report(t.Context(), reported("e1", "a", "b"))
	require.NoError(t, err)
	require.True(t, first.New)
	before := b.dump()

	again, err := b.Report(t.Context(), reported("e1", "a", "b"))
	require.NoError(t, err)
	require.Equal(t, metadata.Reported{New: false, Position: first.Position}, again)
	found, known, err := b.FindReport(t.Context(), reported("e1", "a", "b"))
	require.NoError(t, err)
	require.True(t, known)
	require.Equal(t, first.Position, found.Position)

	other := reported("e1", "a", "b")
	other.DataVersion = "8"
	_, err = b.Report(t.Context(), other)
	require.ErrorIs(t, err, metadata.ErrConflict)
	require.ErrorContains(t, err, `there is another report "e1"`)
	_, known, err = b.FindReport(t.Context(), other)
	require.NoError(t, err)
	require.False(t, known)
	_, err = b.Report(t.Context(), reported("e2"))
	require.ErrorIs(t, err, metadata.ErrInvalid)
	require.Equal(t, before, b.dump(), "nothing has changed")
	require.Equal(t, 2, b.count("select count(*) from event_log where type = 'ASSET_MATERIALIZATION' and body->>'report' = 'e1' and cause = 'e1'"))
}

// One of several that come at once records it.
func TestReportsAtOnceAreRecordedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const many = 8
	var wait sync.WaitGroup
	fresh := make([]bool, many)
	for i := range many {
		wait.Go(func() {
			answer, err := b.Report(t.Context(), reported("e1", "a"))
			fresh[i] = answer.New
			if err != nil {
				t.Errorf("report: %v", err)
			}
		})
	}
	wait.Wait()
	news := 0
	for _, one := range fresh {
		if one {
			news++
		}
	}
	require.Equal(t, 1, news)
	require.Equal(t, 1, b.count("select count(*) from materializations where asset = 'x'"))
}

// Keys that are added and removed at once end up as if one after the other: each key is there or not as the last of its events
// says, no two have one place, and a key's events alternate.
func TestDynamicKeysThatAreAddedAndRemovedAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const workers, rounds = 6, 15
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for round := range rounds {
				change := metadata.PartitionChange{Name: "d", Keys: []string{fmt.Sprint((w + round) % 4), fmt.Sprint(round % 3)}}
				do := b.AddPartitions
				if (w+round)%2 == 0 {
					do = b.RemovePartitions
				}
				if _, err := do(t.Context(), change); err != nil {
					t.Errorf("change: %v", err)
				}
			}
		})
	}
	wait.Wait()
	events, err := b.Events(t.Context(), 0, metadata.EventFilter{}, 1000)
	require.NoError(t, err)
	there := map[string]bool{}
	for _, event := range events {
		var body struct {
			Keys []string `json:"keys"`
		}
		require.NoError(t, json.Unmarshal(event.Body, &body))
		added := event.Type == metadata.EventPartitionsAdded
		for _, key := range body.Keys {
			require.NotEqual(t, added, there[key], "%s of %s changes nothing", event.Type, key)
			there[key] = added
		}
	}
	want := []string{}
	for key, is := range there {
		if is {
			want = append(want, key)
		}
	}
	keys, err := b.DynamicKeys(t.Context(), []string{"d"})
	require.NoError(t, err)
	require.ElementsMatch(t, want, keys["d"])
}
