//go:build unix

package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// What follows stands in the page about sensors, as it is here.

var (
	flightsOfThePage = definitions.Asset("flights", definitions.Bind0(numbers))
	load             = definitions.AssetJob("load", definitions.Assets(flightsOfThePage))
)

// landed is what services signal when a file has landed.
type landed struct {
	File string `config:"required"`
}

var arrivals = definitions.Sensor("arrivals", []*definitions.Job{load},
	definitions.Bind2(arrived, definitions.Events[landed](), definitions.CursorOf[string]()),
	definitions.DefaultRunning{})

func arrived(_ definitions.Context, events []definitions.Event[landed], last string) (definitions.Tick[string], error) {
	tick := definitions.Tick[string]{Cursor: last}
	for _, event := range events {
		tick.Runs = append(tick.Runs, load.Request(definitions.RunKey(event.ID)))
		tick.Cursor = event.Payload.File
	}
	return tick, nil
}

// It is not parallel: its location has the queue of the example, which another test serves.
func TestTheCommandsOfThePageAboutSensors(t *testing.T) { //nolint:paralleltest // see above
	b := setup(t)
	dsn, err := b.config.PostgresDSN()
	require.NoError(t, err)
	b.serve(t, definitions.New("flights", flightsOfThePage, load, arrivals))
	b.syncSensors(t, "flights")
	id := metadata.SensorID{Location: "flights", Sensor: "arrivals"}
	t.Cleanup(func() {
		// The example has the same queue.
		require.NoError(t, b.temporal.TerminateWorkflow(context.WithoutCancel(t.Context()), wire.SensorID("", id.Location, id.Sensor), "", "the end of a test"))
	})
	server, bin := testenv.Temporal(t), t.TempDir()
	require.NoError(t, os.Symlink(server.Binary, filepath.Join(bin, "temporal")))
	require.NoError(t, os.Symlink(buildProgram(t, repository+"/cmd/perdure"), filepath.Join(bin, "perdure")))
	environment := append(b.exampleEnvironment(dsn), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "TEMPORAL_ADDRESS="+server.Address)
	commands := 0
	for _, name := range sensorPages {
		page := filepath.Join(repository, "docs", name)
		for _, one := range blocksOf(t, page) {
			for _, line := range sensorCommands(one) {
				commands++
				result := run(t, environment, "sh", "-c", strings.ReplaceAll(line, httpAddress, server.HTTPAddress))
				require.Zero(t, result.code, "%s: %s\n%s%s", page, line, result.out, result.err)
				require.NotContains(t, result.out, `"code":`, "%s: %s: the HTTP API has refused it", page, line)
			}
		}
	}
	require.GreaterOrEqual(t, commands, 15)
	require.Eventually(t, func() bool {
		runs := map[string]bool{}
		for _, tick := range b.ticksOf(t, id) {
			for _, asked := range tick.Runs {
				runs[asked.RunKey] = true
			}
		}
		return len(runs) == 4
	}, time.Minute, 20*time.Millisecond, "each event of the page has started a run")
}

// sensorCommands are the commands of a block, and those that are fed by a pipe.
func sensorCommands(of block) []string {
	found := commandsOf(of)
	for line := range strings.Lines(of.text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "echo ") && strings.Contains(line, "| perdure ") {
			found = append([]string{line}, found...)
		}
	}
	return found
}
