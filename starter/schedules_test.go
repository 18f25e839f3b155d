package starter

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// keeper keeps one schedule in step with a real Temporal.
type keeper struct {
	*testing.T
	*Starter
	id metadata.TriggerID
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	dsn := testenv.Prepared(t, metadata.Migrate)
	store, err := metadata.Open(t.Context(), dsn, metadata.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	temporal, err := client.Dial(client.Options{HostPort: testenv.Temporal(t).Address})
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	location := fmt.Sprintf("keeper%d", time.Now().UnixNano())
	k := &keeper{T: t, Starter: &Starter{Store: store, Temporal: temporal}, id: metadata.TriggerID{Location: location, Kind: wire.TriggerSchedule, Name: "nightly"}}
	definition, err := json.Marshal(plan.Schedule{Name: "nightly", Job: "j", Crons: []string{"0 0 1 1 *"}, Running: true})
	require.NoError(t, err)
	_, err = store.SyncTriggers(t.Context(), location, []metadata.DefinedTrigger{{Kind: wire.TriggerSchedule, Name: "nightly", Definition: definition, Declared: wire.TriggerRunning}})
	require.NoError(t, err)
	k.sync(k.row(), temporalSchedule{})
	t.Cleanup(func() {
		_ = k.Temporal.ScheduleClient().GetHandle(context.WithoutCancel(t.Context()), wire.ScheduleID("", location, "nightly")).Delete(context.WithoutCancel(t.Context())) // the server goes with the tests
	})
	return k
}

func (k *keeper) row() metadata.Trigger {
	k.Helper()
	row, err := k.Store.Trigger(k.Context(), k.id)
	require.NoError(k, err)
	return row
}

func (k *keeper) sync(row metadata.Trigger, listed temporalSchedule) {
	k.Helper()
	require.NoError(k, k.syncSchedule(k.Context(), row, listed))
}

func (k *keeper) handle() client.ScheduleHandle {
	return k.Temporal.ScheduleClient().GetHandle(k.Context(), wire.ScheduleID("", k.id.Location, k.id.Name))
}

func (k *keeper) paused() bool {
	k.Helper()
	described, err := k.handle().Describe(k.Context())
	require.NoError(k, err)
	return described.Schedule.State.Paused
}

// Whoever keeps Temporal in step has read the row before a person switched it, and the list of Temporal after that.
func TestWhoSwitchedAScheduleIsNotTakenForAPersonInTemporal(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	require.False(t, k.paused())
	before := k.row()
	_, err := k.SwitchSchedule(t.Context(), metadata.TriggerSwitch{TriggerID: k.id, Status: wire.TriggerStopped, Who: "ann", Why: "the source moves"})
	require.NoError(t, err)
	require.True(t, k.paused())
	k.sync(before, temporalSchedule{found: true, paused: true})
	row := k.row()
	require.Equal(t, wire.TriggerStopped, row.Status)
	require.Equal(t, "ann", row.SwitchedBy)
	require.Equal(t, "the source moves", row.SwitchedWhy)
	require.True(t, k.paused())

	// What a person does there is taken over.
	require.NoError(t, k.handle().Unpause(t.Context(), client.ScheduleUnpauseOptions{Note: "go"}))
	k.sync(k.row(), temporalSchedule{found: true})
	row = k.row()
	require.Equal(t, wire.TriggerRunning, row.Status)
	require.Equal(t, byToggle, row.SwitchedBy)
	require.Equal(t, "go", row.SwitchedWhy)
}

// A Temporal Schedule that somebody has deleted by hand is made again as it is to be.
func TestAScheduleThatWasDeletedInTemporalIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]wire.TriggerStatus{"running": wire.TriggerRunning, "stopped": wire.TriggerStopped} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeeper(t)
			_, err := k.SwitchSchedule(t.Context(), metadata.TriggerSwitch{TriggerID: k.id, Status: status, Who: "ann"})
			require.NoError(t, err)
			require.NoError(t, k.handle().Delete(t.Context()))
			k.sync(k.row(), temporalSchedule{})
			require.Equal(t, status == wire.TriggerStopped, k.paused())
			row := k.row()
			require.Equal(t, status, row.Status)
			require.Equal(t, "ann", row.SwitchedBy)
		})
	}
}
