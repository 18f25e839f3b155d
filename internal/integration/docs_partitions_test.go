package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/wire"
)

// partitionPages are the pages whose commands need partitioned assets, in the order in which they are read.
var partitionPages = []string{"partitions.md", "backfills.md"}

// sensorPages are those whose commands need a sensor.
var sensorPages = []string{"sensors.md"}

// It is not parallel: its location has the queue of the example, which another test serves.
func TestTheCommandsOfThePagesAboutPartitions(t *testing.T) { //nolint:paralleltest // see above
	b := setup(t)
	dsn, err := b.config.PostgresDSN()
	require.NoError(t, err)
	days := definitions.Daily("2001-01-01").Ending("2001-04-01")
	flights := definitions.Asset("flights", definitions.Bind1(func(_ definitions.Context, day string) (string, error) { return day, nil }, days.Key()),
		definitions.PartitionedBy(days))
	delays := definitions.Asset("route_delays", definitions.Bind1(func(_ definitions.Context, flights string) (string, error) { return flights, nil }, flights),
		definitions.PartitionedBy(days))
	gates := definitions.Asset("gates", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }),
		definitions.PartitionedBy(definitions.Dynamic("airports")))
	b.serve(t, definitions.New("flights", flights, delays, gates))
	server, bin := testenv.Temporal(t), t.TempDir()
	require.NoError(t, os.Symlink(server.Binary, filepath.Join(bin, "temporal")))
	require.NoError(t, os.Symlink(buildProgram(t, repository+"/cmd/perdure"), filepath.Join(bin, "perdure")))
	environment := append(b.exampleEnvironment(dsn), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "TEMPORAL_ADDRESS="+server.Address)
	commands, backfills := 0, 0
	for _, name := range partitionPages {
		page := filepath.Join(repository, "docs", name)
		for _, one := range blocksOf(t, page) {
			for _, line := range commandsOf(one) {
				commands++
				result := run(t, environment, "sh", "-c", strings.ReplaceAll(line, httpAddress, server.HTTPAddress))
				require.Zero(t, result.code, "%s: %s\n%s%s", page, line, result.out, result.err)
				require.NotContains(t, result.out, `"code":`, "%s: %s: the HTTP API has refused it", page, line)
				if id := workflowID.FindStringSubmatch(line); id != nil && strings.Contains(line, wire.BackfillWorkflow) {
					backfills++
					done, err := b.starter.AwaitBackfill(t.Context(), id[1]+id[2])
					require.NoError(t, err, "%s: %s", page, line)
					require.Equal(t, wire.BackfillSucceeded, done.Status)
				}
			}
		}
	}
	require.GreaterOrEqual(t, commands, 15)
	require.Equal(t, 2, backfills)
}
