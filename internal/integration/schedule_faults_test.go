//go:build unix

package integration

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/schedule"
	"github.com/perdure-io/perdure/wire"
)

// The server itself says when it would wake.
func TestTemporalWakesAtEveryTickOfAYear(t *testing.T) {
	t.Parallel()
	var schedules []testlocation.Schedule
	for z, zone := range []string{"America/New_York", "Australia/Lord_Howe", "Europe/Berlin", "Pacific/Chatham", "America/Havana", "Antarctica/Troll"} {
		for c, cron := range []string{"30 2 * * *", "30 1 * * *", "0 0 * * 0", "*/15 * * * *", "0 0 13 * 5"} {
			schedules = append(schedules, testlocation.Schedule{Name: fmt.Sprintf("s%d_%d", z, c), Crons: []string{cron}, Zone: zone})
		}
	}
	f := scheduled(t, schedules...)
	f.worker(t, "b1")
	for _, s := range schedules {
		f.awaitSchedule(t, s.Name, true)
		times, err := schedule.Of(plan.Schedule{Name: s.Name, Crons: s.Crons, Zone: s.Zone})
		require.NoError(t, err)
		changes := 0
		for at := time.Now().AddDate(0, 0, -395); at.Before(time.Now().AddDate(0, 0, 395)); at = at.Add(24 * time.Hour) {
			_, before := at.In(times.Zone()).Zone()
			if _, after := at.Add(24 * time.Hour).In(times.Zone()).Zone(); before == after {
				continue
			}
			changes++
			from, until := at.Add(-24*time.Hour), at.Add(72*time.Hour)
			answer, err := f.Temporal.WorkflowService().ListScheduleMatchingTimes(t.Context(), &workflowservice.ListScheduleMatchingTimesRequest{
				Namespace: "default", ScheduleId: wire.ScheduleID("", f.spec.Location, s.Name), StartTime: timestamppb.New(from), EndTime: timestamppb.New(until),
			})
			require.NoError(t, err)
			woken := map[int64]bool{}
			for _, wake := range answer.GetStartTime() {
				woken[wake.GetSeconds()] = true
			}
			for tick, _ := times.Next(from); tick.Before(until); tick, _ = times.Next(tick) {
				require.True(t, woken[tick.Unix()], "nobody is woken for %s of %q", tick, s.Crons[0])
			}
		}
		require.GreaterOrEqual(t, changes, 3)
	}
}

func TestATickIsTakenUpWhenItsWorkflowIsGone(t *testing.T) {
	t.Parallel()
	f := scheduled(t, testlocation.Schedule{Name: "hourly", Crons: []string{yearly}, Overlap: definitions.BufferOne})
	f.worker(t, "b1")
	f.awaitSchedule(t, "hourly", true)
	f.hold(t, "source")
	first, err := f.Starter.TriggerSchedule(t.Context(), f.scheduleID("hourly"), "2001-01-01T00:00:00Z")
	require.NoError(t, err)
	waiting, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: f.spec.Location + "-tick", TaskQueue: f.spec.Location}, wire.ScheduleTickWorkflow,
		wire.ScheduleTickRequest{Schedule: "hourly", Manual: true, At: "2001-01-01T01:00:00Z"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		ticks := f.ticks(t, "hourly")
		return len(ticks) == 2 && ticks[1].Skip != ""
	}, longEnough, often)
	asked := f.ticks(t, "hourly")[1].Runs[0].RunID
	require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), waiting.GetID(), "", "gone"))
	f.execute(t, "update ticks set started_at = started_at - interval '2 minutes' where location = '"+f.spec.Location+"'")
	f.daemon(t)
	f.release(t, "source")
	ticks := f.awaitTicks(t, "hourly", 2)
	require.Equal(t, wire.TickSuccess, ticks[1].Status)
	require.Equal(t, asked, ticks[1].Runs[0].RunID, "what was decided stands")
	for _, run := range []string{first.Ticks[0].Runs[0].RunID, asked} {
		_, err = f.await(t, run)
		require.NoError(t, err)
	}
}

// minutesAway is for how many minutes there is no worker: PERDURE_TEST_MINUTES says another number, such as 10.
func minutesAway(t *testing.T) int {
	t.Helper()
	minutes := 2
	if text := os.Getenv("PERDURE_TEST_MINUTES"); text != "" {
		var err error
		minutes, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	return minutes
}

// While nobody is there Temporal starts one workflow, keeps a second and drops the others. Nothing is evaluated twice.
func TestMinutesWithoutWorkers(t *testing.T) {
	t.Parallel()
	f := scheduled(t, testlocation.Schedule{Name: "minutely", Crons: []string{"* * * * *"}, Running: true, Computed: true, Runs: 1})
	w := f.worker(t, "b1")
	f.awaitSchedule(t, "minutely", false)
	first := f.awaitTicks(t, "minutely", 1)[0]
	_, err := f.await(t, first.Runs[0].RunID)
	require.NoError(t, err)
	require.NoError(t, w.Kill())
	away := minutesAway(t)
	back := time.NewTimer(time.Until(first.Nominal.Add(time.Duration(away)*time.Minute + 2*time.Second)))
	defer back.Stop()
	<-back.C
	f.worker(t, "b1")
	var ticks []metadata.Tick
	require.Eventually(t, func() bool {
		ticks = f.ticks(t, "minutely")
		return len(ticks) > away && ticks[len(ticks)-1].Status.Ended()
	}, longEnough, often)
	for i, tick := range ticks {
		require.Equal(t, first.Nominal.Add(time.Duration(i)*time.Minute).UTC(), tick.Nominal.UTC())
		require.False(t, tick.Manual)
		if i > 0 && i < away {
			require.Equal(t, wire.TickSkipped, tick.Status)
			require.Contains(t, tick.Skip, "missed")
		}
	}
	// What Temporal has kept comes after it, and finds nothing left.
	require.Eventually(t, func() bool {
		described, err := f.handle(t, "minutely").Describe(t.Context())
		return err == nil && len(described.Info.RunningWorkflows) == 0
	}, longEnough, often)
	for _, tick := range f.ticks(t, "minutely")[1:away] {
		require.Equal(t, wire.TickSkipped, tick.Status)
	}
	require.Len(t, f.notes(t, testlocation.Called, testlocation.ScheduleKey("minutely")), len(f.ticks(t, "minutely"))-(away-1))
}

func TestSchedulesOfTwoDeploymentsDoNotTouchEachOther(t *testing.T) {
	t.Parallel()
	nightly := testlocation.Schedule{Name: "nightly", Crons: []string{yearly}, Running: true}
	one := scheduled(t, nightly)
	other := newFixture(t, one.spec.Assets, "PERDURE_DEPLOYMENT=pr42")
	other.spec = one.spec
	one.worker(t, "b1")
	other.worker(t, "b1")
	paused := func(f *fixture, id string) func() bool {
		return func() bool {
			described, err := f.Temporal.ScheduleClient().GetHandle(t.Context(), id).Describe(t.Context())
			return err == nil && described.Schedule.State.Paused
		}
	}
	id := wire.ScheduleID("", one.spec.Location, "nightly")
	one.awaitSchedule(t, "nightly", false)
	require.Eventually(t, func() bool {
		row, err := other.Store.Trigger(t.Context(), other.scheduleID("nightly"))
		return err == nil && row.AppliedPaused != nil
	}, longEnough, often)
	temporalCLI(t, "schedule", "toggle", "--schedule-id", wire.ScheduleID("pr42", one.spec.Location, "nightly"), "--pause", "--reason", "closed").ok(t)
	require.Eventually(t, func() bool { return other.trigger(t, "nightly").Status == wire.TriggerStopped }, longEnough, often)
	require.True(t, paused(other, "pr42:"+id)())
	require.False(t, paused(one, id)())
	require.Equal(t, wire.TriggerRunning, one.trigger(t, "nightly").Status)
}
