package workflows

import (
	"cmp"
	"fmt"
	"strings"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// handle registers the query "state", the updates "tick" and "set_cursor", and the signals "event", "wake", "pause" and "resume".
func (s *sensor) handle(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, wire.StateQuery, func() (wire.SensorState, error) { return s.state, nil },
		workflow.QueryHandlerOptions{Description: "How the sensor stands: status, cursor, events that wait, last ticks, failures."})
	if err != nil {
		return fmt.Errorf("serve the query %q: %w", wire.StateQuery, err)
	}
	err = workflow.SetUpdateHandlerWithOptions(ctx, wire.TickUpdate, s.tick, workflow.UpdateHandlerOptions{
		Description: "Evaluates the sensor now, also when it is stopped, and answers with the tick: its status, and the runs that it started.",
		Validator:   checkTickRequest,
	})
	if err != nil {
		return fmt.Errorf("serve the update %q: %w", wire.TickUpdate, err)
	}
	err = workflow.SetUpdateHandlerWithOptions(ctx, wire.SetCursorUpdate, s.setCursor, workflow.UpdateHandlerOptions{
		Description: `Sets the cursor, {"cursor":…}, or takes it away, {"clear":true}.`,
		Validator:   func(argument converter.RawValue) error { _, err := cursorOf(argument); return err },
	})
	if err != nil {
		return fmt.Errorf("serve the update %q: %w", wire.SetCursorUpdate, err)
	}
	s.listen(ctx)
	return nil
}

// listen hears all signals. One coroutine does, always ready, so that it hears them in their order; another has the last of pause and
// resume written down.
func (s *sensor) listen(ctx workflow.Context) {
	// A signal counts also when the workflow is cancelled with it.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	selector := workflow.NewSelector(ctx)
	hear := func(name, description string, heard func(signal converter.RawValue)) {
		signals := workflow.GetSignalChannelWithOptions(ctx, name, workflow.SignalChannelOptions{Description: description})
		selector.AddReceive(signals, func(signals workflow.ReceiveChannel, _ bool) {
			// A new one each time: the next signal would be received into the same memory.
			var signal converter.RawValue
			signals.Receive(ctx, &signal)
			s.signals++
			heard(signal)
		})
	}
	hear(wire.EventSignal, `An event: {"id":"e1","payload":{…}}. The same id counts once for 30 days.`, func(signal converter.RawValue) {
		s.heard++
		s.keep(wire.Sent(inputOf(signal), wire.SignalledID(s.firstRunID, s.heard), workflow.Now(ctx)))
	})
	hear(wire.WakeSignal, "Looks whether there is something to evaluate.", func(converter.RawValue) { s.woken = true })
	hear(wire.PauseSignal, "Stops the sensor: events are taken, and not evaluated.", func(converter.RawValue) {
		s.asked, s.askedStatus = s.asked+1, wire.TriggerStopped
	})
	hear(wire.ResumeSignal, "Starts the sensor.", func(converter.RawValue) { s.asked, s.askedStatus = s.asked+1, wire.TriggerRunning })
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			selector.Select(ctx)
		}
	})
	workflow.Go(ctx, func(ctx workflow.Context) {
		for workflow.Await(ctx, func() bool { return s.answered != s.asked }) == nil {
			answering, status := s.asked, s.askedStatus
			// It is tried until it is written down: the error is that of a worker that cannot do it.
			if _, err := s.steer(ctx, wire.SteerSensorInput{Status: status}); err != nil {
				workflow.GetLogger(ctx).Error("a sensor was not stopped or started", "status", status, "error", err)
			}
			s.answered = answering
		}
	})
	s.turns = newTurns(ctx)
}

// steer has an activity write down what somebody wants.
func (s *sensor) steer(ctx workflow.Context, input wire.SteerSensorInput) (wire.SensorState, error) {
	if err := s.oneSteers.Lock(ctx); err != nil {
		return wire.SensorState{}, err
	}
	defer s.oneSteers.Unlock()
	var result wire.EvaluateSensorResult
	err := workflow.ExecuteActivity(s.options(ctx, wire.ControlQueue(s.queue), "steer"), wire.SteerSensorActivity, input).Get(ctx, &result)
	if err != nil {
		return wire.SensorState{}, fmt.Errorf("steer sensor %q: %w", s.id, err)
	}
	s.learn(result)
	s.woken = true
	return s.state, nil
}

// tickOrder is somebody who waits for an evaluation.
type tickOrder struct {
	done bool
	tick wire.SensorTick
	err  error
}

func (o *tickOrder) take(result wire.EvaluateSensorResult, err error) {
	o.done = true
	switch {
	case err != nil:
		o.err = err
	case result.Tick == nil:
		o.err = temporal.NewNonRetryableApplicationError(cmp.Or(result.Gone, "there was nothing to evaluate"), wire.FailureInvalidRequest, nil)
	default:
		o.tick = *result.Tick
	}
}

// checkTickRequest takes {} and nothing.
func checkTickRequest(argument converter.RawValue) error {
	if argument.Payload() == nil {
		return nil
	}
	var request wire.TickRequest
	if problems := wire.Decode(inputOf(argument), &request); len(problems) > 0 {
		return refusal("update", problems)
	}
	return nil
}

func (s *sensor) tick(ctx workflow.Context, _ converter.RawValue) (wire.SensorTick, error) {
	order := &tickOrder{}
	s.orders = append(s.orders, order)
	if err := workflow.Await(ctx, func() bool { return order.done }); err != nil {
		return wire.SensorTick{}, err
	}
	return order.tick, order.err
}

func cursorOf(argument converter.RawValue) (wire.SetCursorInput, error) {
	var input wire.SetCursorInput
	problems := wire.Decode(inputOf(argument), &input)
	if len(problems) == 0 {
		problems = input.Check()
	}
	if len(problems) > 0 {
		return input, refusal("update", problems)
	}
	return input, nil
}

func (s *sensor) setCursor(ctx workflow.Context, argument converter.RawValue) (wire.SensorState, error) {
	input, err := cursorOf(argument)
	if err != nil {
		return wire.SensorState{}, err
	}
	return s.steer(ctx, wire.SteerSensorInput{Cursor: &input})
}

// shownCursor is how much of a cursor the current details show, in bytes.
const shownCursor = 500

// showDetails sets what Temporal's Web UI shows as the sensor's current details. It costs no history.
func (s *sensor) showDetails(ctx workflow.Context) {
	state := s.state
	var text strings.Builder
	switch {
	case s.gone != "":
		fmt.Fprintf(&text, "**gone** %s\n", s.gone)
	case !s.known:
		text.WriteString("**waiting** for a worker that has it\n")
	default:
		fmt.Fprintf(&text, "**%s** %d events wait", state.Status, state.Waiting)
		if state.Failures > 0 {
			fmt.Fprintf(&text, ", failing since %s (%d times)", state.FailingSince, state.Failures)
		}
		if state.NextTick != "" {
			fmt.Fprintf(&text, ", next tick %s", state.NextTick)
		}
		text.WriteString("\n")
	}
	if cursor := string(state.Cursor); cursor != "" {
		if len(cursor) > shownCursor {
			cursor = strings.ToValidUTF8(cursor[:shownCursor], "") + "…"
		}
		fmt.Fprintf(&text, "\nCursor: `%s`\n", strings.ReplaceAll(cursor, "`", "'"))
	}
	if len(state.Ticks) > 0 {
		text.WriteString("\n| tick | began | status | events | runs | |\n|---|---|---|---|---|---|\n")
		for _, tick := range state.Ticks {
			why := tick.Skip
			if tick.Error != nil {
				why = tick.Error.Message
			}
			why = strings.NewReplacer("|", "\\|", "\r", " ").Replace(firstLine(why))
			fmt.Fprintf(&text, "| %s | %s | %s | %d | %d | %s |\n", tick.Tick, tick.StartedAt, tick.Status, tick.Events, tick.RunCount, why)
		}
	}
	workflow.SetCurrentDetails(ctx, text.String())
}
