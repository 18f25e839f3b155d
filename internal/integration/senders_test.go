//go:build unix

package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/internal/testpython"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// The example's senders signal its sensor as they stand. Each is called twice with the same id, as by somebody who could not know whether
// the first call had arrived: that is one run.
func TestTheSendersOfTheExample(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *config.Config) { c.Deployment = "senders" }) // the sensor of the documentation's tests has the default's id
	b.starter.Deployment = b.config.Deployment
	dsn, err := b.config.PostgresDSN()
	require.NoError(t, err)
	b.serveExample(t, dsn)
	id := metadata.SensorID{Location: "flights", Sensor: "arrivals"}
	require.Eventually(t, func() bool {
		row, err := b.store.Trigger(t.Context(), id.Trigger())
		return err == nil && row.Status == wire.TriggerRunning
	}, commandBound, 20*time.Millisecond)
	b.syncSensors(t, "flights")

	server, senders := testenv.Temporal(t), filepath.Join(repository, "examples", "flights", "senders")
	environment := append(os.Environ(), "TEMPORAL_ADDRESS="+server.Address, "TEMPORAL_HTTP_ADDRESS="+server.HTTPAddress,
		"SENSOR="+wire.SensorID(b.config.Deployment, id.Location, id.Sensor))
	arrived := map[string]string{}
	for _, sender := range []struct {
		event, payload, day string
		program             []string
	}{
		{"by-curl", `{"day":"2001-02-14"}`, "2001-02-14", []string{"sh", filepath.Join(senders, "arrived.sh")}},
		{"by-go", `{"file":"in/2001-02-15.csv"}`, "2001-02-15", []string{buildProgram(t, senders)}},
		{"by-python", `{"day":"2001-02-16"}`, "2001-02-16", []string{testpython.Interpreter(t), filepath.Join(senders, "arrived.py")}},
	} {
		arrived[sender.event] = sender.day
		for range 2 {
			run(t, environment, sender.program[0], append(sender.program[1:], sender.event, sender.payload)...).ok(t)
		}
		tick := b.awaitTick(t, id, func(tick metadata.Tick) bool { return tick.Status == wire.TickSuccess && tick.Cause == sender.event })
		require.Len(t, tick.Runs, 1, sender.event)
		result, err := b.starter.Await(t.Context(), tick.Runs[0].RunID)
		require.NoError(t, err, sender.event)
		require.Contains(t, result.Materialized, "airport_delays ["+sender.day+"]", sender.event)
	}
	runs, err := b.store.Runs(t.Context(), metadata.RunFilter{}, "", 10)
	require.NoError(t, err)
	require.Len(t, runs.Rows, len(arrived))
	for _, row := range runs.Rows {
		var request wire.RunRequest
		require.NoError(t, json.Unmarshal(row.Request, &request))
		require.Equal(t, arrived[row.Cause], request.Partition, row.Cause)
		require.Equal(t, row.Cause, row.Tags["arrival"])
	}
	rejected, err := b.store.SensorEvents(t.Context(), id, true, 0)
	require.NoError(t, err)
	require.Empty(t, rejected)
}
