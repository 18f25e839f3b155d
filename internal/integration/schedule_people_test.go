//go:build unix

package integration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// handle is a schedule's in Temporal.
func (f *fixture) handle(t *testing.T, name string) client.ScheduleHandle {
	t.Helper()
	return f.Temporal.ScheduleClient().GetHandle(t.Context(), wire.ScheduleID("", f.spec.Location, name))
}

const yearly = "0 0 1 1 *"

func TestWhatPeopleDecideOfAScheduleSurvivesDeploys(t *testing.T) {
	t.Parallel()
	f := scheduled(t, testlocation.Schedule{Name: "nightly", Crons: []string{yearly}, Running: true}, testlocation.Schedule{Name: "quiet", Crons: []string{yearly}})
	f.worker(t, "b1")
	f.awaitSchedule(t, "nightly", false)
	f.awaitSchedule(t, "quiet", true)
	id := wire.ScheduleID("", f.spec.Location, "nightly")

	// By Temporal's own means, noticed and written down.
	temporalCLI(t, "schedule", "toggle", "--schedule-id", id, "--pause", "--reason", "the source moves").ok(t)
	f.awaitSchedule(t, "nightly", true)
	row := f.trigger(t, "nightly")
	require.Equal(t, "temporal schedule toggle", row.SwitchedBy)
	require.Equal(t, "the source moves", row.SwitchedWhy)

	// A deploy changes the schedule in place, and nothing of that.
	f.spec.Schedules[0].Crons = []string{"0 6 1 1 *"}
	f.worker(t, "b2")
	require.Eventually(t, func() bool {
		described, err := f.handle(t, "nightly").Describe(t.Context())
		return err == nil && described.Schedule.Spec.Calendars[0].Hour[0].Start == 6
	}, longEnough, often)
	described := f.awaitSchedule(t, "nightly", true)
	require.Equal(t, "the source moves", described.Schedule.State.Note)

	// By Perdure's, in Temporal at once.
	_, err := f.Starter.SwitchSchedule(t.Context(), metadata.TriggerSwitch{TriggerID: f.scheduleID("nightly"), Status: wire.TriggerRunning, Who: "ann", Why: "it has moved"})
	require.NoError(t, err)
	described, err = f.handle(t, "nightly").Describe(t.Context())
	require.NoError(t, err)
	require.False(t, described.Schedule.State.Paused)
	require.Equal(t, "Perdure: runs, by ann: it has moved", described.Schedule.State.Note)

	// Back to what is declared.
	_, err = f.Starter.SwitchSchedule(t.Context(), metadata.TriggerSwitch{TriggerID: f.scheduleID("quiet"), Status: wire.TriggerRunning, Who: "ann"})
	require.NoError(t, err)
	f.awaitSchedule(t, "quiet", false)
	_, err = f.Starter.SwitchSchedule(t.Context(), metadata.TriggerSwitch{TriggerID: f.scheduleID("quiet"), Who: "ann"})
	require.NoError(t, err)
	f.awaitSchedule(t, "quiet", true)
	temporalCLI(t, "schedule", "toggle", "--schedule-id", wire.ScheduleID("", f.spec.Location, "quiet"), "--unpause", "--reason", "go").ok(t)
	f.awaitSchedule(t, "quiet", false)

	_, err = f.Starter.SwitchSchedule(t.Context(), metadata.TriggerSwitch{TriggerID: f.scheduleID("nightl")})
	require.ErrorContains(t, err, `no schedule "nightl"`)
	require.ErrorContains(t, err, `nightly`)
	require.Contains(t, temporalCLI(t, "schedule", "list").ok(t), id)
}

func TestASchedulesDefinitionIsTheActiveBuilds(t *testing.T) {
	t.Parallel()
	f := scheduled(t, testlocation.Schedule{Name: "stays", Crons: []string{yearly}, Running: true}, testlocation.Schedule{Name: "goes", Crons: []string{yearly}, Running: true})
	old := f.spec
	// Many replicas at once.
	for range 5 {
		go func() {
			w, err := f.StartWorker(t.Context(), old, "b1")
			if err == nil {
				t.Cleanup(func() { _ = w.Kill() })
			}
		}()
	}
	f.awaitSchedule(t, "stays", false)
	f.awaitSchedule(t, "goes", false)
	described, err := f.handle(t, "stays").Describe(t.Context())
	require.NoError(t, err)
	require.Zero(t, described.Info.LastUpdateAt.Unix(), "it was made once")

	// What a deploy leaves out is paused, and nothing else changes.
	f.spec.Schedules = []testlocation.Schedule{{Name: "stays", Crons: []string{"0 6 1 1 *"}, Running: true}}
	f.worker(t, "b2")
	f.awaitSchedule(t, "goes", true)
	require.False(t, f.trigger(t, "goes").RemovedAt.IsZero())
	hour := func() int {
		described := f.awaitSchedule(t, "stays", false)
		return described.Schedule.Spec.Calendars[0].Hour[0].Start
	}
	require.Eventually(t, func() bool { return hour() == 6 }, longEnough, often)

	// An old replica that begins again has nothing to say.
	late, err := f.StartWorker(t.Context(), old, "b1")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, late.Kill()) })
	require.NoError(t, late.AwaitServing(t.Context()))
	before := f.trigger(t, "stays").Applied
	require.Never(t, func() bool {
		return f.trigger(t, "stays").Applied != before || f.trigger(t, "goes").RemovedAt.IsZero()
	}, 12*time.Second, time.Second)
	require.Equal(t, 6, hour())

	// After an hour Temporal forgets it. Should it come back, it is made anew.
	f.execute(t, "update triggers set removed_at = removed_at - interval '61 minutes' where name = 'goes' and location = '"+f.spec.Location+"'")
	require.Eventually(t, func() bool {
		_, err := f.handle(t, "goes").Describe(t.Context())
		return err != nil && strings.Contains(err.Error(), "not found")
	}, longEnough, often)
	f.spec = old
	f.worker(t, "b3")
	f.awaitSchedule(t, "goes", false)
}

func TestAScheduleIsTriggeredAndFilledInByHand(t *testing.T) {
	t.Parallel()
	f := scheduled(t, testlocation.Schedule{Name: "early", Crons: []string{"30 2 * * *"}, Zone: "America/New_York", Computed: true, Runs: 1})
	f.worker(t, "b1")
	f.awaitSchedule(t, "early", true)
	id := wire.ScheduleID("", f.spec.Location, "early")

	// It is stopped: who asks for it gets it all the same.
	temporalCLI(t, "schedule", "trigger", "--schedule-id", id).ok(t)
	ticks := f.awaitTicks(t, "early", 1)
	require.True(t, ticks[0].Manual)
	require.Equal(t, wire.TickSuccess, ticks[0].Status)
	require.Less(t, time.Since(ticks[0].Nominal), time.Minute)

	result, err := f.Starter.TriggerSchedule(t.Context(), f.scheduleID("early"), "2001-01-01T07:30:00Z")
	require.NoError(t, err)
	require.Equal(t, "2001-01-01T02:30:00-05:00", result.Ticks[0].Nominal)
	require.Len(t, result.Ticks[0].Runs, 1)
	again, err := f.Starter.TriggerSchedule(t.Context(), f.scheduleID("early"), "2001-01-01T07:30:00Z")
	require.NoError(t, err)
	require.Equal(t, "it was evaluated before", again.Note)
	require.Equal(t, result.Ticks, again.Ticks)

	// Days on which the clocks change: each has its tick, once.
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	n := 2
	for _, around := range []time.Time{lastChange(newYork, true), lastChange(newYork, false)} {
		n += 3
		from, until := around.Add(-36*time.Hour), around.Add(36*time.Hour)
		for range 2 {
			temporalCLI(t, "schedule", "backfill", "--schedule-id", id, "--overlap-policy", "BufferAll",
				"--start-time", from.UTC().Format(time.RFC3339), "--end-time", until.UTC().Format(time.RFC3339)).ok(t)
			require.Eventually(t, func() bool { return len(f.ticks(t, "early")) >= n }, longEnough, often)
		}
	}
	var nominal []string
	for _, tick := range f.awaitTicks(t, "early", 8)[2:] {
		require.Equal(t, wire.TickSuccess, tick.Status)
		nominal = append(nominal, tick.Nominal.In(newYork).Format("15:04 -07"))
	}
	require.Equal(t, []string{"02:30 -05", "03:00 -04", "02:30 -04", "02:30 -04", "02:30 -05", "02:30 -05"}, nominal)
}

// lastChange is when a zone's clocks have gone forward last, or back.
func lastChange(zone *time.Location, forward bool) time.Time {
	for at := time.Now().In(zone); ; {
		start, _ := at.ZoneBounds()
		_, after := start.Zone()
		_, before := start.Add(-time.Second).Zone()
		if after > before == forward {
			return start
		}
		at = start.Add(-time.Second)
	}
}

func TestATickGoesOnWhereAWorkerDied(t *testing.T) {
	t.Parallel()
	f := scheduled(t, testlocation.Schedule{Name: "nightly", Crons: []string{yearly}, Computed: true, Runs: 2})
	dying := f.worker(t, "b1")
	f.awaitSchedule(t, "nightly", true)
	key := testlocation.ScheduleKey("nightly")

	// Dead while its function runs: it is called again.
	f.hold(t, key)
	started, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: f.spec.Location}, wire.ScheduleTickWorkflow,
		wire.ScheduleTickRequest{Schedule: "nightly", Manual: true, At: "2001-01-01T00:00:00Z"})
	require.NoError(t, err)
	f.awaitNotes(t, testlocation.Called, key, 1)
	require.NoError(t, dying.Kill())
	f.release(t, key)
	f.worker(t, "b1")
	var result wire.ScheduleTickResult
	require.NoError(t, started.Get(t.Context(), &result))
	tick := f.awaitTicks(t, "nightly", 1)[0]
	require.Len(t, tick.Runs, 2)
	f.awaitNotes(t, testlocation.Called, key, 2)

	// Dead when it was decided: what was decided is started, and nothing is called.
	nominal := time.Date(2001, 2, 1, 0, 0, 0, 0, time.UTC)
	begun, err := f.Store.BeginTick(t.Context(), metadata.NewTick{TriggerID: f.scheduleID("nightly"), Key: nominal.Format(time.RFC3339), Nominal: &nominal, Cause: "c"})
	require.NoError(t, err)
	decided := tick.Runs[0]
	decided.RunID, decided.RunKey = f.spec.Location+"-decided", ""
	_, err = f.Store.DecideTick(t.Context(), metadata.TickDecision{ID: begun.ID, Runs: []wire.TickRun{decided}})
	require.NoError(t, err)
	require.NoError(t, f.Starter.ResumeSchedule(t.Context(), f.scheduleID("nightly")))
	ticks := f.awaitTicks(t, "nightly", 2)
	require.Equal(t, wire.TickSuccess, ticks[1].Status)
	_, err = f.await(t, decided.RunID)
	require.NoError(t, err)
	require.Len(t, f.notes(t, testlocation.Called, key), 2)
}

// A worker that decides what a tick starts, cannot start it, and is killed.
func TestATickThatWasDecidedIsStartedOnceByAnotherWorker(t *testing.T) {
	t.Parallel()
	f := scheduled(t, testlocation.Schedule{Name: "nightly", Crons: []string{yearly}, Computed: true, Runs: 2})
	p := newProxy(t, testenv.Temporal(t).Address)
	dying := f.worker(t, "b1", "PERDURE_TEMPORAL_ADDRESS="+p.Address)
	f.awaitSchedule(t, "nightly", true)
	key := testlocation.ScheduleKey("nightly")
	f.hold(t, key)
	started, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: f.spec.Location}, wire.ScheduleTickWorkflow,
		wire.ScheduleTickRequest{Schedule: "nightly", Manual: true, At: "2001-01-01T00:00:00Z"})
	require.NoError(t, err)
	f.awaitNotes(t, testlocation.Called, key, 1)
	p.cut()
	f.release(t, key)
	require.Eventually(t, func() bool {
		ticks := f.ticks(t, "nightly")
		return len(ticks) == 1 && !ticks[0].DecidedAt.IsZero()
	}, longEnough, often)
	decided := f.ticks(t, "nightly")[0]
	require.Equal(t, wire.TickStarted, decided.Status)
	require.Len(t, decided.Runs, 2)
	for _, run := range decided.Runs {
		_, err := f.Temporal.DescribeWorkflowExecution(t.Context(), run.RunID, "")
		require.ErrorContains(t, err, "not found")
	}
	require.NoError(t, dying.Kill())
	f.worker(t, "b1")
	var result wire.ScheduleTickResult
	require.NoError(t, started.Get(t.Context(), &result))
	tick := f.awaitTicks(t, "nightly", 1)[0]
	require.Equal(t, wire.TickSuccess, tick.Status)
	require.Equal(t, decided.Runs, tick.Runs)
	for _, run := range tick.Runs {
		_, err := f.await(t, run.RunID)
		require.NoError(t, err)
	}
	require.Equal(t, 2, f.count(t, "select count(*) from runs"))
	require.Len(t, f.notes(t, testlocation.Called, key), 1, "it is not evaluated again")
}

func TestWhatIsWrongWithATickIsRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{{Key: "flights", Days: 10}})
	f.spec.Schedules = []testlocation.Schedule{
		{Name: "panics", Crons: []string{yearly}, Computed: true, Runs: 1},
		{Name: "beyond", Crons: []string{yearly}, Computed: true, Runs: 1, Partition: "2001-01-03"},
		{Name: "skips", Crons: []string{yearly}, Computed: true},
		{Name: "fresh", Crons: []string{yearly}, Computed: true, Runs: 1, Partition: "2001-01-02", Stale: true},
	}
	f.worker(t, "b1")
	f.awaitSchedule(t, "panics", true)
	f.instruct(t, testlocation.ScheduleKey("panics"), testlocation.Instruction{Panic: true})
	byHand := func(name, at string) metadata.Tick {
		f.awaitSchedule(t, name, true)
		_, err := f.Starter.TriggerSchedule(t.Context(), f.scheduleID(name), at)
		require.NoError(t, err)
		ticks := f.ticks(t, name)
		return ticks[len(ticks)-1]
	}
	tick := byHand("panics", "2001-01-05T00:00:00Z")
	require.Equal(t, wire.TickFailure, tick.Status)
	require.Contains(t, tick.Error.Message, "panic: as it was told to")
	require.Contains(t, tick.Error.Stack, "schedule.go")
	require.Equal(t, "evaluating", tick.Log[0].Message)
	row := f.trigger(t, "panics")
	require.Equal(t, 1, row.Failures)
	f.release(t, testlocation.ScheduleKey("panics"))

	// A partition must exist at the nominal time, not when somebody comes to it.
	tick = byHand("beyond", "2001-01-03T12:00:00Z")
	require.Equal(t, wire.TickFailure, tick.Status)
	require.Contains(t, tick.Error.Message, "2001-01-03")
	require.Equal(t, wire.TickSuccess, byHand("beyond", "2001-01-04T00:00:00Z").Status)

	tick = byHand("skips", "2001-01-03T12:00:00Z")
	require.Equal(t, wire.TickSkipped, tick.Status)
	require.Equal(t, "there is nothing to do at 2001-01-03T12:00:00Z", tick.Skip)

	// Its run is narrowed to what is stale.
	tick = byHand("fresh", "2001-01-05T00:00:00Z")
	require.Equal(t, wire.TickSuccess, tick.Status)
	_, err := f.await(t, tick.Runs[0].RunID)
	require.NoError(t, err)
	tick = byHand("fresh", "2001-01-06T00:00:00Z")
	require.Equal(t, wire.TickSkipped, tick.Status)
	require.Contains(t, tick.Skip, "nothing is left of the runs that it asked for")

	preview, err := f.Starter.PreviewSchedule(t.Context(), f.scheduleID("beyond"), "2001-01-05T00:00:00Z")
	require.NoError(t, err)
	require.Len(t, preview.Runs, 1)
	require.Equal(t, []string{"flights"}, preview.Runs[0].Assets)
	preview, err = f.Starter.PreviewSchedule(t.Context(), f.scheduleID("beyond"), "2001-01-02T00:00:00Z")
	require.NoError(t, err)
	require.Contains(t, preview.Error.Message, "2001-01-03")
	require.Len(t, f.ticks(t, "beyond"), 2)

	// Whoever names none, or writes what is none, is told so.
	for input, says := range map[string]string{
		`{"schedule":"skip"}`:                              `has no schedule "skip" (did you mean "skips"?`,
		`{"scedule":"skips"}`:                              `unknown field "scedule"`,
		`{"schedule":"skips","at":"2001"}`:                 `"2001" is no time of RFC 3339`,
		`{"schedule":"skips","at":"2001-01-01T00:00:00Z"}`: `no manual tick was asked for`,
	} {
		started, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: f.spec.Location}, wire.ScheduleTickWorkflow, json.RawMessage(input))
		require.NoError(t, err)
		require.ErrorContains(t, started.Get(t.Context(), nil), says)
	}
}

func TestAScheduleOfAPartitionedJob(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{{Key: "flights", Days: 10}})
	f.spec.Schedules = []testlocation.Schedule{{Name: "daily"}}
	f.worker(t, "b1")
	f.awaitSchedule(t, "daily", true)
	result, err := f.Starter.TriggerSchedule(t.Context(), f.scheduleID("daily"), "2001-01-04T00:00:00Z")
	require.NoError(t, err)
	require.Len(t, result.Ticks[0].Runs, 1)
	run := result.Ticks[0].Runs[0]
	require.Equal(t, "2001-01-03", run.Partition)
	require.Equal(t, "2001-01-03", run.RunKey)
	_, err = f.await(t, run.RunID)
	require.NoError(t, err)
	require.Equal(t, 1, f.count(t, "select count(*) from asset_partitions where asset = 'flights' and partition = '2001-01-03'"))
	skipped, err := f.Starter.TriggerSchedule(t.Context(), f.scheduleID("daily"), "2000-12-31T00:00:00Z")
	require.NoError(t, err)
	require.Equal(t, wire.TickSkipped, skipped.Ticks[0].Status)
}

// woken is how often a workflow was woken by a signal.
func (f *fixture) woken(t *testing.T, workflow string) int {
	t.Helper()
	woken := 0
	for _, event := range f.history(t, workflow, "") {
		if event.GetWorkflowExecutionSignaledEventAttributes().GetSignalName() == wire.WakeSignal {
			woken++
		}
	}
	return woken
}

func TestOpenRunsHoldUpTheNextTick(t *testing.T) {
	t.Parallel()
	for _, policy := range []definitions.Overlap{definitions.SkipTick, definitions.BufferOne, definitions.BufferAll, definitions.CancelOther, definitions.TerminateOther} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			f := scheduled(t, testlocation.Schedule{Name: "hourly", Crons: []string{"0 * * * *"}, Overlap: policy, Computed: true, Runs: 1})
			f.worker(t, "b1")
			f.awaitSchedule(t, "hourly", true)
			f.hold(t, "source")
			first, err := f.Starter.TriggerSchedule(t.Context(), f.scheduleID("hourly"), "2001-01-01T00:00:00Z")
			require.NoError(t, err)
			f.awaitNotes(t, testlocation.Called, "source", 1)
			open := first.Ticks[0].Runs[0].RunID
			var workflows []client.WorkflowRun
			for _, at := range []string{"2001-01-01T01:00:00Z", "2001-01-01T02:00:00Z"} {
				started, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: f.spec.Location}, wire.ScheduleTickWorkflow,
					wire.ScheduleTickRequest{Schedule: "hourly", Manual: true, At: at})
				require.NoError(t, err)
				workflows = append(workflows, started)
				n := len(workflows) + 1
				require.Eventually(t, func() bool {
					ticks := f.ticks(t, "hourly")
					return len(ticks) == n && (ticks[n-1].Status.Ended() || ticks[n-1].Skip != "")
				}, longEnough, often)
			}
			switch policy {
			case definitions.SkipTick:
				for _, tick := range f.awaitTicks(t, "hourly", 3)[1:] {
					require.Equal(t, wire.TickSkipped, tick.Status)
					require.Equal(t, "run "+open+" is open (STARTED), and overlap is skip", tick.Skip)
				}
			case definitions.BufferOne:
				ticks := f.ticks(t, "hourly")
				require.Equal(t, wire.TickStarted, ticks[1].Status)
				require.Contains(t, ticks[1].Skip, "waits: run "+open+" is open (STARTED)")
				require.Equal(t, wire.TickSkipped, ticks[2].Status)
				require.Contains(t, ticks[2].Skip, "the tick of 2001-01-01T01:00:00Z waits already")
			case definitions.BufferAll:
				require.Equal(t, "waits for the tick of 2001-01-01T01:00:00Z before it", f.ticks(t, "hourly")[2].Skip)
			case definitions.AllowAll, definitions.CancelOther, definitions.TerminateOther:
			}
			if policy == definitions.BufferOne || policy == definitions.BufferAll {
				f.release(t, "source")
				_, err := f.await(t, open)
				require.NoError(t, err)
			}
			for _, started := range workflows {
				if policy == definitions.CancelOther || policy == definitions.TerminateOther {
					require.Eventually(t, func() bool { return f.run(t, open).Status.Ended() }, longEnough, often)
					f.release(t, "source")
				}
				require.NoError(t, started.Get(t.Context(), nil))
			}
			if policy == definitions.BufferOne || policy == definitions.BufferAll {
				require.GreaterOrEqual(t, f.woken(t, workflows[0].GetID()), 2, "once as it begins to listen, and when the run has ended")
				require.Zero(t, f.count(t, "select count(*) from listeners"), "nobody listens any more")
			}
			ticks := f.awaitTicks(t, "hourly", 3)
			ended := map[definitions.Overlap]wire.RunStatus{definitions.CancelOther: wire.RunCanceled, definitions.TerminateOther: wire.RunFailure}
			if status, stopped := ended[policy]; stopped {
				require.Equal(t, status, f.run(t, open).Status)
			}
			if policy == definitions.SkipTick {
				f.release(t, "source")
				return
			}
			for i, tick := range ticks[1:] {
				if policy == definitions.BufferOne && i == 1 {
					continue
				}
				require.Equal(t, wire.TickSuccess, tick.Status)
				require.Empty(t, tick.Skip)
			}
		})
	}
}

func TestAScheduleRestsWhenARunHasFailed(t *testing.T) {
	t.Parallel()
	f := scheduled(t, testlocation.Schedule{Name: "hourly", Crons: []string{"0 * * * *"}, Running: true, PauseOnFailure: true})
	f.worker(t, "b1")
	f.awaitSchedule(t, "hourly", false)
	f.instruct(t, "source", testlocation.Instruction{FailAll: true})
	result, err := f.Starter.TriggerSchedule(t.Context(), f.scheduleID("hourly"), "2001-01-01T00:00:00Z")
	require.NoError(t, err)
	failed := result.Ticks[0].Runs[0].RunID
	_, err = f.await(t, failed)
	require.Error(t, err)
	require.Eventually(t, func() bool {
		row := f.run(t, failed)
		return row.Status == wire.RunFailure && row.WillRetry != nil
	}, longEnough, often)
	f.tick(t, wire.ScheduleTickRequest{Schedule: "hourly"})
	row := f.trigger(t, "hourly")
	require.Equal(t, wire.TriggerStopped, row.Status)
	require.Equal(t, "perdure", row.SwitchedBy)
	require.Contains(t, row.SwitchedWhy, failed)
	f.awaitSchedule(t, "hourly", true)
}
