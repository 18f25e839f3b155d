package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/schedule"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// ticksAtOnce is how many ticks one call evaluates at most, tickTurn for how long it goes on with the next one.
	ticksAtOnce = 100
	tickTurn    = time.Minute
	// lateWake is how long after its time a workflow still counts as woken by it; what begins later was asked for by a person.
	lateWake = time.Minute
	// mostScheduleEvents is from how many history events on its workflow continues as new where the instance's runs do so later.
	mostScheduleEvents = 1000
	// shownTickRuns bounds the runs of one tick in a result.
	shownTickRuns = 100
)

// EvaluateSchedule takes care of what is due of a schedule: each tick once, with its nominal time, also those that were missed. It
// decides what a tick starts, and starts it. Called again, after a worker has died in the middle, it goes on where that one was. An
// error of the user's function ends its tick, and no other.
func (a *Activities) EvaluateSchedule(ctx context.Context, input wire.EvaluateScheduleInput) (wire.EvaluateScheduleResult, error) {
	defer keepAlive(ctx)()
	w, note, err := a.takeUpSchedule(ctx, input)
	if err != nil {
		return wire.EvaluateScheduleResult{}, err
	}
	if note != "" {
		return wire.EvaluateScheduleResult{Ticks: []wire.ScheduledTick{}, Note: note}, nil
	}
	if err := w.work(ctx); err != nil {
		return wire.EvaluateScheduleResult{}, err
	}
	return w.result, nil
}

// scheduleWork is the work on one schedule.
type scheduleWork struct {
	a          *Activities
	input      wire.EvaluateScheduleInput
	id         metadata.TriggerID
	trigger    metadata.Trigger
	definition plan.Schedule
	times      *schedule.Times
	defined    starter.Definitions
	build      string
	now        time.Time
	result     wire.EvaluateScheduleResult
	// unfit says why this worker cannot evaluate it, and nobody else does.
	unfit string
	// awaited are the open runs that a tick waits for.
	awaited []string
	// begun are the ids of the ticks that this call has begun for a person.
	begun []int64
}

// takeUpSchedule reads a schedule as the active build has it. note says why there is nothing to do.
func (a *Activities) takeUpSchedule(ctx context.Context, input wire.EvaluateScheduleInput) (w *scheduleWork, note string, err error) {
	defined, _, err := a.definitions(ctx)
	if err != nil {
		return nil, "", err
	}
	w = &scheduleWork{
		a: a, input: input, id: metadata.TriggerID{Location: a.Location, Kind: wire.TriggerSchedule, Name: input.Schedule}, defined: defined, build: a.Build,
		now: activity.GetInfo(ctx).ScheduledTime, result: wire.EvaluateScheduleResult{Ticks: []wire.ScheduledTick{}, ContinueAfter: min(a.Starter.Limits.ContinueAfter, mostScheduleEvents)},
	}
	if now := time.Now(); now.After(w.now) {
		w.now = now
	}
	w.trigger, err = a.Store.Trigger(ctx, w.id)
	known := err == nil
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return nil, "", planFailure(err)
	}
	definition, found := scheduleOf(defined.Snapshot, input.Schedule)
	switch {
	case !found && known:
		return nil, fmt.Sprintf("the active build has no schedule %q any more", input.Schedule), w.abandon(ctx)
	case !found:
		return nil, "", unknownSchedule(defined.Snapshot, input.Schedule)
	case !known:
		// Whoever keeps Temporal in step with the active build is about to write it down.
		return nil, "", retryable(fmt.Sprintf("%s is not written down yet", w.id), wire.FailureNotOnThisBuild, handBackDelay)
	}
	w.definition = definition
	if w.times, err = schedule.Of(definition); err != nil {
		return nil, "", planFailure(err)
	}
	w.unfit, err = a.fitsSchedule(ctx, definition)
	return w, "", err
}

func scheduleOf(snapshot *plan.Snapshot, name string) (plan.Schedule, bool) {
	at := slices.IndexFunc(snapshot.Schedules, func(s plan.Schedule) bool { return s.Name == name })
	if at < 0 {
		return plan.Schedule{}, false
	}
	return snapshot.Schedules[at], true
}

func unknownSchedule(snapshot *plan.Snapshot, name string) error {
	names := make([]string, len(snapshot.Schedules))
	for i, s := range snapshot.Schedules {
		names[i] = s.Name
	}
	problems := wire.Problems{{
		Path: "schedule", Code: wire.CodeUnknown, Message: fmt.Sprintf("location %q has no schedule %q", snapshot.Location, name), Fix: wire.FixUnknown(name, names),
	}}
	return temporal.NewNonRetryableApplicationError(problems.Error(), wire.FailureInvalidRequest, nil, wire.Refusal{Problems: problems})
}

// fitsSchedule hands the evaluation to a worker of another build when this one has another definition of the schedule. When none
// has taken it for DeployGrace, unfit says so: the ticks fail.
func (a *Activities) fitsSchedule(ctx context.Context, active plan.Schedule) (unfit string, err error) {
	if own, found := scheduleOf(a.Runtime.Snapshot(), active.Name); found && sameSchedule(own, active) {
		return "", nil
	}
	if time.Since(activity.GetInfo(ctx).ScheduledTime) < a.DeployGrace {
		return "", retryable(fmt.Sprintf("build %s of location %q lacks schedule %q, or has another definition of it: waiting for a worker of the active build", a.Build, a.Location, active.Name),
			wire.FailureNotOnThisBuild, handBackDelay)
	}
	return fmt.Sprintf("for %s no worker of the active build took it: start one, or activate the build that runs", a.DeployGrace), nil
}

// sameSchedule says whether two definitions evaluate alike.
func sameSchedule(a, b plan.Schedule) bool {
	for _, s := range []*plan.Schedule{&a, &b} {
		s.At, s.Description, s.Owners, s.Metadata, s.Tags, s.Running = "", "", nil, nil, nil, false
	}
	first, firstErr := json.Marshal(a)
	second, secondErr := json.Marshal(b)
	return firstErr == nil && secondErr == nil && string(first) == string(second)
}

// abandon ends the open ticks of a schedule that the active build does not have: nobody will evaluate them.
func (w *scheduleWork) abandon(ctx context.Context) error {
	open, err := w.a.Store.WaitingTicks(ctx, w.id, ticksAtOnce)
	if err != nil {
		return planFailure(err)
	}
	for _, tick := range open {
		if !tick.DecidedAt.IsZero() && tick.Skip == "" {
			_, err = w.a.launch(ctx, w.input.Queue, tick)
		} else {
			_, err = w.a.Store.EndTick(ctx, metadata.TickEnd{ID: tick.ID, Status: wire.TickSkipped, Skip: "the active build has no such schedule any more"})
		}
		if err != nil {
			return planFailure(err)
		}
	}
	return nil
}

// work begins what is due, and takes every open tick as far as it goes.
func (w *scheduleWork) work(ctx context.Context) error {
	for _, part := range []func(context.Context) error{w.pauseOnFailure, w.byHand, w.woken, w.due, w.open} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *scheduleWork) running() bool { return w.trigger.Status == wire.TriggerRunning }

// after is the time after which ticks are due.
func (w *scheduleWork) after() time.Time {
	if w.trigger.LastNominal.After(w.trigger.Since) {
		return w.trigger.LastNominal
	}
	return w.trigger.Since
}

// pauseOnFailure stops the schedule when one of its runs has failed.
func (w *scheduleWork) pauseOnFailure(ctx context.Context) error {
	trigger, err := w.a.Starter.PauseFailed(ctx, w.trigger)
	if err != nil {
		return planFailure(err)
	}
	w.trigger = trigger
	return nil
}

// byHand begins the tick that a person asked for.
func (w *scheduleWork) byHand(ctx context.Context) error {
	if !w.input.Manual {
		return nil
	}
	nominal, err := time.Parse(time.RFC3339, w.input.At)
	if err != nil {
		return fmt.Errorf("the time of a tick of %s: %w", w.id, err)
	}
	return w.begin(ctx, nominal)
}

// woken says what the Temporal Schedule has woken the workflow for: a tick, which is due by itself; a moment that is none; a person
// who triggers it, or fills in what is past.
func (w *scheduleWork) woken(ctx context.Context) error {
	if w.input.WokenAt == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, w.input.WokenAt)
	if err != nil {
		return fmt.Errorf("the time for which %s was woken: %w", w.id, err)
	}
	started, err := time.Parse(time.RFC3339, w.input.StartedAt)
	if err != nil {
		return fmt.Errorf("the time at which the workflow of %s began: %w", w.id, err)
	}
	if at.After(w.now) {
		w.now = at
	}
	reason := w.reason(at, started)
	if reason == wokenForPast {
		known, err := w.a.Store.TickKnown(ctx, w.id, w.dueTick(at))
		if err != nil || known {
			return planFailure(err)
		}
	}
	if reason == wokenForNothing {
		return nil
	}
	return w.begin(ctx, at)
}

// wakeReason is why a Temporal Schedule has started a workflow.
type wakeReason int

const (
	// wokenForNothing is a tick that is due by itself, or was; or a moment that is none, where the clocks or the definition have
	// changed.
	wokenForNothing wakeReason = iota
	// wokenForPast is a tick that a person asks for, most often of the past, unless it was taken care of.
	wokenForPast
	// wokenByHand is a person who triggers the schedule.
	wokenByHand
)

// reason is why the Temporal Schedule has started a workflow at one time for another one.
func (w *scheduleWork) reason(at, started time.Time) wakeReason {
	switch {
	case w.times.Is(at):
		if w.byItself(at, started) {
			return wokenForNothing
		}
		return wokenForPast
	case at.Second() == 0 && (w.times.Shown(at) || w.input.Times != schedule.Hash(w.definition)):
		return wokenForNothing
	default:
		return wokenByHand
	}
}

// byItself says whether Temporal has woken the workflow for a tick by itself, and not for a person.
func (w *scheduleWork) byItself(at, started time.Time) bool {
	if rests := w.trigger.AppliedPaused != nil && *w.trigger.AppliedPaused; rests && !w.running() {
		// Then it wakes nobody: a person asks for what is past, or has had it wake again a moment ago; unless it was told to rest
		// after that.
		return started.Sub(at) <= lateWake && !at.After(w.trigger.SwitchedAt)
	}
	// What was stopped while Temporal could not be told is woken too.
	return at.After(w.after())
}

// begin begins a tick that somebody asked for.
func (w *scheduleWork) begin(ctx context.Context, nominal time.Time) error {
	due := w.dueTick(nominal)
	forgotten, err := w.a.Store.TickForgotten(ctx, w.id, due)
	if err != nil {
		return planFailure(err)
	}
	if forgotten {
		w.result.Note = "it was evaluated before, longer ago than ticks are kept"
		return nil
	}
	tick, err := w.a.Store.BeginTick(ctx, metadata.NewTick{TriggerID: w.id, Key: due.Key, Nominal: &nominal, Manual: true, Cause: due.Cause, Build: w.build})
	if err != nil {
		return planFailure(err)
	}
	if tick.Status.Ended() {
		w.result.Note = "it was evaluated before"
		w.show(tick)
		return nil
	}
	w.begun = append(w.begun, tick.ID)
	return nil
}

// due begins the ticks whose time has come, and records those that are left out.
func (w *scheduleWork) due(ctx context.Context) error {
	if !w.running() {
		if w.result.Note == "" && len(w.begun) == 0 {
			w.result.Note = "the schedule is stopped"
		}
		return nil
	}
	found := w.times.Due(w.after(), w.now, ticksAtOnce)
	w.result.More = found.More
	if !found.Until.IsZero() {
		w.result.Until = found.Until.UTC().Format(time.RFC3339)
	}
	if len(found.Evaluate) == 0 && len(found.Skipped) == 0 {
		return nil
	}
	begin := metadata.DueTicks{
		Location: w.id.Location, Name: w.id.Name, Evaluate: w.dueTicks(found.Evaluate), Skipped: w.dueTicks(found.Skipped), Build: w.build,
		Why: fmt.Sprintf("missed: no worker was there to evaluate it in time, and catch_up is %d", w.definition.CatchUp),
	}
	if older := found.Older; older.Count > 0 {
		atLeast := ""
		if older.AtLeast {
			atLeast = "more than "
		}
		begin.Older = &metadata.OlderTicks{
			DueTick: w.dueTick(older.Last), First: older.First, Last: older.Last, Count: older.Count, AtLeast: older.AtLeast,
			Why: fmt.Sprintf("%s%d ticks from %s to %s were missed: no worker was there to evaluate them in time, and catch_up is %d", atLeast, older.Count,
				w.inZone(older.First), w.inZone(older.Last), w.definition.CatchUp),
		}
		begin.Older.Key = tickKey(older.First) + "/" + tickKey(older.Last)
	}
	if _, err := w.a.Store.BeginDueTicks(ctx, begin); err != nil {
		return planFailure(err)
	}
	return nil
}

func (w *scheduleWork) dueTicks(nominals []time.Time) []metadata.DueTick {
	ticks := make([]metadata.DueTick, len(nominals))
	for i, nominal := range nominals {
		ticks[i] = w.dueTick(nominal)
	}
	return ticks
}

func (w *scheduleWork) dueTick(nominal time.Time) metadata.DueTick {
	return metadata.DueTick{
		Key: tickKey(nominal), Nominal: nominal,
		Cause: wire.Name(w.a.Starter.Deployment, "schedule", w.id.Location, w.id.Name, nominal.UTC().Format(stamp)),
	}
}

// stamp is a time in names, to the second.
const stamp = "20060102T150405"

// tickKey is what a schedule's tick is, once.
func tickKey(nominal time.Time) string { return nominal.UTC().Format(time.RFC3339) }

func (w *scheduleWork) inZone(at time.Time) string { return at.In(w.times.Zone()).Format(time.RFC3339) }

// show adds a tick to the result, or what has become of it.
func (w *scheduleWork) show(tick metadata.Tick) {
	shown := wire.ScheduledTick{ID: tick.ID, Nominal: w.inZone(tick.Nominal), Status: tick.Status, Skip: tick.Skip}
	if tick.Error != nil {
		shown.Error = tick.Error.Message
	}
	for _, run := range tick.Runs[:min(len(tick.Runs), shownTickRuns)] {
		shown.Runs = append(shown.Runs, wire.ScheduledRun{
			RunID: run.RunID, RunKey: run.RunKey, Partition: run.Request.Partition, Known: run.Known, Error: run.Error,
		})
	}
	w.result.Ticks = append(w.result.Ticks, shown)
}
