package integration

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// A run that is narrowed makes what the records say is missing, failed or stale when it is planned, and nothing else.
func TestARunIsNarrowedByWhatIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "narrowed"
	var broken atomic.Bool
	sides := definitions.Static("east", "north", "west")
	source := definitions.Asset("source", definitions.Bind1(func(_ definitions.Context, key string) (string, error) { return key, nil }, sides.Key()), definitions.PartitionedBy(sides))
	copied := definitions.Asset("copied", definitions.Bind1(func(_ definitions.Context, from string) (string, error) {
		if from == "north" && broken.Load() {
			return "", errBroken
		}
		return from, nil
	}, source), definitions.PartitionedBy(sides))
	b.serve(t, definitions.New(queue, source, copied))
	ran := func(id, asset string, only wire.OnlyPartitions) (wire.RunResult, error) {
		_, err := b.starter.StartRun(t.Context(), starter.NewRun{Location: queue, ID: "narrowed-" + id, Request: wire.RunRequest{
			Assets: wire.AssetSelection{Keys: []string{asset}}, AllPartitions: true, Only: only,
		}})
		require.NoError(t, err)
		return b.starter.Await(t.Context(), "narrowed-"+id)
	}
	made := func(id string) []string {
		page, err := b.store.Materializations(t.Context(), metadata.MaterializationFilter{Run: "narrowed-" + id}, "", 10)
		require.NoError(t, err)
		var keys []string
		for _, one := range page.Rows {
			keys = append(keys, one.Partition)
		}
		return keys
	}

	_, err := ran("source", "source", "")
	require.NoError(t, err)
	broken.Store(true)
	_, err = ran("broken", "copied", "")
	require.Error(t, err)
	require.ElementsMatch(t, []string{"east", "west"}, made("broken"))
	broken.Store(false)
	_, err = b.starter.WipeAsset(t.Context(), queue, metadata.Wipe{Asset: "copied", Partitions: []string{"west"}, Who: "ana", Why: "wrong"})
	require.NoError(t, err)

	_, err = ran("failed", "copied", wire.OnlyFailed)
	require.NoError(t, err)
	require.Equal(t, []string{"north"}, made("failed"))
	_, err = ran("missing", "copied", wire.OnlyMissing)
	require.NoError(t, err)
	require.Equal(t, []string{"west"}, made("missing"))

	_, err = b.starter.StartRun(t.Context(), starter.NewRun{Location: queue, ID: "narrowed-none", Request: wire.RunRequest{
		Assets: wire.AssetSelection{Keys: []string{"copied"}}, AllPartitions: true, Only: wire.OnlyStale,
	}})
	require.Equal(t, wire.CodeNothingLeft, wire.ProblemsOf(err)[0].Code)
	_, err = b.starter.StartRun(t.Context(), starter.NewRun{Location: queue, ID: "narrowed-east", Request: wire.RunRequest{
		Assets: wire.AssetSelection{Keys: []string{"source"}}, Partition: "east",
	}})
	require.NoError(t, err)
	_, err = b.starter.Await(t.Context(), "narrowed-east")
	require.NoError(t, err)
	// By the location itself, from any shell.
	temporalCLI(t, startArguments("execute", queue, "narrowed-stale", `{"assets":"copied","all_partitions":true,"only":"stale"}`)...).ok(t)
	require.Equal(t, []string{"east"}, made("stale"))
}
