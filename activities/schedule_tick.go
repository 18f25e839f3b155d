package activities

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const (
	// nothingRequested is why a tick without runs has started none, when nothing else says it.
	nothingRequested = "nothing was requested"
	// nothingLeftToRun is why, when it has requested some.
	nothingLeftToRun = "nothing is left of the runs that it asked for: they were narrowed to what is stale"
)

// open takes every tick that has begun as far as it goes, the earliest first.
func (w *scheduleWork) open(ctx context.Context) error {
	if err := w.readsRuns(ctx); err != nil {
		return err
	}
	ticks, err := w.a.Store.WaitingTicks(ctx, w.id, ticksAtOnce+1)
	if err != nil {
		return planFailure(err)
	}
	gate := &overlapGate{scheduleWork: w}
	deadline := time.Now().Add(tickTurn)
	more := false
	for i, tick := range ticks {
		if more = i == ticksAtOnce || time.Now().After(deadline); more {
			break
		}
		tick, err := w.take(ctx, gate, tick)
		if err != nil {
			return err
		}
		w.show(tick)
	}
	w.result.Ticks, w.result.Waiting = wire.LastScheduledTicks(w.result.Ticks), gate.reason
	// What waits holds up all that comes after it.
	w.result.More = (w.result.More || more) && gate.reason == ""
	return w.listen(ctx)
}

// take takes a tick as far as it goes: it is evaluated, then waits as the overlap policy says, then its runs are started.
func (w *scheduleWork) take(ctx context.Context, gate *overlapGate, tick metadata.Tick) (metadata.Tick, error) {
	var err error
	if tick.DecidedAt.IsZero() {
		if skip, err := gate.skips(ctx); err != nil || skip != "" {
			return w.end(ctx, err, metadata.TickEnd{ID: tick.ID, Status: wire.TickSkipped, Skip: skip})
		}
		if tick, err = w.evaluate(ctx, tick); err != nil || tick.Status.Ended() {
			return tick, err
		}
	}
	if tick.Skip != "" && !w.running() && !tick.Manual {
		return w.end(ctx, nil, metadata.TickEnd{ID: tick.ID, Status: wire.TickSkipped, Skip: "the schedule was stopped while the tick waited: " + tick.Skip})
	}
	reason, err := gate.holds(ctx, tick)
	if err != nil {
		return tick, err
	}
	if reason != "" {
		tick.Skip = reason
		return tick, planFailure(w.a.Store.NoteTick(ctx, tick.ID, reason))
	}
	if tick.Skip != "" {
		if err := w.a.Store.NoteTick(ctx, tick.ID, ""); err != nil {
			return tick, planFailure(err)
		}
	}
	return w.a.launch(ctx, w.input.Queue, tick)
}

func (w *scheduleWork) end(ctx context.Context, err error, end metadata.TickEnd) (metadata.Tick, error) {
	if err != nil {
		return metadata.Tick{}, err
	}
	tick, err := w.a.Store.EndTick(ctx, end)
	return tick, planFailure(err)
}

// evaluate decides what a tick starts. What the user's function, or the request that it makes, is to blame for ends the tick.
func (w *scheduleWork) evaluate(ctx context.Context, tick metadata.Tick) (metadata.Tick, error) {
	if !slices.Contains(w.begun, tick.ID) {
		begun, err := w.a.Store.BeginTick(ctx, metadata.NewTick{TriggerID: w.id, Key: tick.Key, Nominal: &tick.Nominal, Cause: tick.Cause})
		if err != nil {
			return tick, planFailure(err)
		}
		if tick = begun; tick.Status.Ended() || !tick.DecidedAt.IsZero() {
			return tick, nil
		}
	}
	if w.unfit != "" {
		return w.end(ctx, nil, metadata.TickEnd{ID: tick.ID, Status: wire.TickFailure, Error: &wire.TickError{Message: w.unfit}})
	}
	log := newTickLog(w.a.LogLevel)
	evaluated, err := w.a.evaluateSchedule(ctx, w.definition, w.trigger, tick.Nominal.In(w.times.Zone()), log)
	if err == nil {
		evaluated.Runs, err = w.requests(ctx, tick, evaluated.Runs)
	}
	var failed *evaluationError
	switch {
	case errors.As(err, &failed):
		return w.end(ctx, nil, metadata.TickEnd{ID: tick.ID, Status: wire.TickFailure, Error: &failed.TickError, Log: log.Lines()})
	case err != nil:
		return tick, err
	case len(evaluated.Runs) == 0 && evaluated.Skip == "":
		evaluated.Skip = nothingLeftToRun
	}
	decided, err := w.a.Store.DecideTick(ctx, metadata.TickDecision{ID: tick.ID, Runs: evaluated.Runs, Skip: storable(evaluated.Skip), Log: log.Lines()})
	return decided, planFailure(err)
}

// evaluationError is what the user's function, or what it asks for, is to blame for.
type evaluationError struct{ wire.TickError }

func (e *evaluationError) Error() string { return e.Message }

func evaluationFailure(err error) error {
	failed := &evaluationError{wire.TickError{Message: storable(err.Error())}}
	if panicked, ok := errors.AsType[*definitions.PanicError](err); ok {
		failed.Stack = storable(panicked.Stack)
	}
	return failed
}

// evaluateSchedule calls a schedule's function, with what is known of the ticks before. What it is to blame for is an [evaluationError].
func (a *Activities) evaluateSchedule(ctx context.Context, definition plan.Schedule, before metadata.Trigger, nominal time.Time, log slog.Handler) (definitions.Evaluated, error) {
	with := definitions.Evaluation{
		ScheduledAt: nominal, LastTick: before.LastSuccess, LastRunKey: before.LastRunKey, First: !before.LastSuccess.After(before.Since), Log: slog.New(log),
	}
	if len(definition.Dynamic) > 0 {
		dynamic, err := a.Store.DynamicKeys(ctx, definition.Dynamic)
		if err != nil {
			return definitions.Evaluated{}, planFailure(err)
		}
		with.Dynamic = dynamic
	}
	evaluated, err := a.Runtime.EvaluateSchedule(ctx, definition.Name, with)
	switch {
	case err == nil:
		return evaluated, nil
	case ctx.Err() != nil:
		// It was told to stop, and is called again elsewhere.
		return definitions.Evaluated{}, retryable(fmt.Sprintf("schedule %q: %s: %s", definition.Name, context.Cause(ctx), err), wire.FailureDraining, soon)
	default:
		return definitions.Evaluated{}, evaluationFailure(err)
	}
}

// requests gives the runs of a tick what the requests leave out, and checks them against the active definitions, as they are planned at
// its nominal time. A request of which nothing is left is left out.
func (w *scheduleWork) requests(ctx context.Context, tick metadata.Tick, runs []wire.TickRun) ([]wire.TickRun, error) {
	trigger := wire.RunTrigger{Kind: wire.TriggerSchedule, Name: w.id.Name, Tick: strconv.FormatInt(tick.ID, 10), ScheduledAt: w.inZone(tick.Nominal)}
	kept, _, err := w.a.checkRuns(ctx, w.defined, w.definition.Job, tick.Nominal, trigger, runs)
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for i := range kept {
		kept[i].Request.Cause = tick.Cause
		for {
			if kept[i].RunID = w.runID(tick.Nominal); !taken[kept[i].RunID] {
				break
			}
		}
		taken[kept[i].RunID] = true
	}
	return kept, nil
}

// runID is readable, and never met twice: "nightly-20010101T060000-1a2b3c".
func (w *scheduleWork) runID(nominal time.Time) string {
	var random [3]byte
	_, _ = rand.Read(random[:]) // it never fails
	return wire.Name(w.a.Starter.Deployment, w.id.Name+"-"+nominal.UTC().Format(stamp)+"-"+hex.EncodeToString(random[:]))
}
