package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// Sensor is the workflow of a sensor, which is the one that its id belongs to: it hears what services signal, and has the sensor
// evaluated when something wakes it or its time has come. Its input is one wire.SensorRequest; the second argument is what an
// execution that continued as new carries along, and refused from anybody else.
//
// All that matters is in Postgres: events are taken when the activity that writes them has returned, and passed again until then. It
// ends when the sensor is no more, and fails with wire.FailureInvalidRequest when there never was one.
func Sensor(ctx workflow.Context, request, carried converter.RawValue) error {
	s := newSensor(ctx)
	if err := s.handle(ctx); err != nil {
		return err
	}
	problems, err := s.decode(ctx, request, carried)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return s.refuse(ctx, inputOf(request), problems)
	}
	return s.work(ctx)
}

const (
	// continueSensorAfter is the number of history events from which a sensor continues as new, unless its activities say another.
	continueSensorAfter = 2000
	// continueSignals is how many signals an execution hears before it does, and forceSignals how many before it no longer waits for
	// an evaluation: Temporal takes 10,000.
	continueSignals = 2000
	forceSignals    = 8000
	// sensorMaxAge is how long an execution lives at most: long-lived workflows continue as new daily.
	sensorMaxAge = 24 * time.Hour
	// eventBatch and eventBatchBytes bound what one activity is given: Temporal takes 2 MB.
	eventBatch      = 1000
	eventBatchBytes = 3 << 19
	// busyFor is how long an evaluation may go on before what was signalled meanwhile is written beside it, and busyEvents how
	// many signals are the same.
	busyFor    = 2 * time.Second
	busyEvents = 500
	// firstBackoff is how soon a sensor that failed is evaluated again, at least; each further failure doubles it, up to mostBackoff.
	firstBackoff = time.Second
	mostBackoff  = 5 * time.Minute
	// sensorTicks is how many ticks the query "state" has.
	sensorTicks = 10
	// evaluationTimeout is when an evaluation counts as lost although it sends heartbeats: its activity keeps the sensor's own timeout.
	evaluationTimeout = 24 * time.Hour
)

// sensor is the state of one execution.
type sensor struct {
	id, firstRunID, queue string

	// heard counts the events that were signalled since the first execution: an event without an id is named by its number. signals
	// counts all that this execution has heard.
	heard, signals int
	// events are those that may not be in the inbox yet, in order, with their sizes; written counts those before them.
	events  []wire.SentEvent
	sizes   []int
	written int
	woken   bool
	orders  []*tickOrder
	// evaluating and taking are the activities in flight.
	evaluating, taking *sensorWork

	state              wire.SensorState
	known              bool
	more               bool // events wait in the inbox, or in the event log
	full               bool // there were more than one evaluation takes in
	every, minInterval time.Duration
	// evaluated is when the last tick began: zero before the first.
	evaluated     time.Time
	gone          string
	continueAfter int

	timer   workflow.Future
	timerAt time.Time
	stop    workflow.CancelFunc

	// asked is how many pauses and resumes were signalled, answered how many of them were written down, askedStatus what the last asks for.
	asked, answered int
	askedStatus     wire.TriggerStatus
	oneSteers       workflow.Mutex
	turns           *turns
	// activities numbers them, for their ids.
	activities int
}

// sensorWork is an activity in flight.
type sensorWork struct {
	future workflow.Future
	cancel workflow.CancelFunc
	began  time.Time
	// upTo is how many events, counted as sensor.written, are in the inbox when it has returned.
	upTo   int
	orders []*tickOrder
}

func newSensor(ctx workflow.Context) *sensor {
	info := workflow.GetInfo(ctx)
	return &sensor{
		id: info.WorkflowExecution.ID, firstRunID: info.FirstRunID, queue: info.TaskQueueName, oneSteers: workflow.NewMutex(ctx),
		woken: true, state: wire.SensorState{Ticks: []wire.SensorTick{}},
	}
}

// carriedSensor is what a sensor takes along when it continues as new. It lies in histories: fields are only added.
type carriedSensor struct {
	V int `json:"v"`
	wire.CarriedEvents
	State         wire.SensorState `json:"state"`
	More          bool             `json:"more,omitempty"`
	Full          bool             `json:"full,omitempty"`
	Woken         bool             `json:"woken,omitempty"`
	Every         time.Duration    `json:"every,omitempty"`
	MinInterval   time.Duration    `json:"min_interval,omitempty"`
	Evaluated     *time.Time       `json:"evaluated,omitempty"`
	ContinueAfter int              `json:"continue_after,omitempty"`
}

func (s *sensor) decode(ctx workflow.Context, request, carried converter.RawValue) (wire.Problems, error) {
	if carried.Payload() != nil && workflow.GetInfo(ctx).ContinuedExecutionRunID != "" {
		var state carriedSensor
		if err := converter.GetDefaultDataConverter().FromPayload(carried.Payload(), &state); err != nil {
			return nil, fmt.Errorf("read what sensor %q carried along: %w", s.id, err)
		}
		if state.V > wire.Version {
			return nil, fmt.Errorf("what sensor %q carried along has version %d, this worker reads up to %d: upgrade it", s.id, state.V, wire.Version)
		}
		s.state, s.known, s.more, s.full, s.woken = state.State, true, state.More, state.Full, state.Woken
		s.every, s.minInterval, s.continueAfter = state.Every, state.MinInterval, state.ContinueAfter
		if state.Evaluated != nil {
			s.evaluated = *state.Evaluated
		}
		s.heard += state.Heard
		for _, event := range state.Events {
			s.keep(event)
		}
		return nil, nil
	}
	var input wire.SensorRequest
	problems := wire.Decode(inputOf(request), &input)
	if carried.Payload() != nil {
		problems = append(problems, wire.Problem{
			Code: wire.CodeConflict, Message: "a second argument was given", Fix: "Sensor takes one JSON object, {}",
		})
	}
	return problems, nil
}

// refuse ends a sensor that was started wrongly, or that no location has. What was signalled to it is kept when there is one.
func (s *sensor) refuse(ctx workflow.Context, input []byte, problems wire.Problems) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := s.flush(ctx); err != nil {
		return err
	}
	for _, event := range s.events {
		input = append(append(slices.Clip(input), '\n'), event.Payload...)
	}
	err := workflow.ExecuteActivity(controlOptions(ctx, s.queue, "refuse"), wire.RefuseActivity, wire.RefuseInput{
		WorkflowID: s.id, FirstRunID: s.firstRunID, WorkflowType: wire.SensorWorkflow,
		Input: string(input[:min(len(input), rememberedInput)]), Problems: problems,
	}).Get(ctx, nil)
	if err != nil {
		return err
	}
	return refusal("sensor", problems)
}

// work has the sensor evaluated, again and again.
func (s *sensor) work(ctx workflow.Context) error {
	for {
		s.dispatch(ctx)
		s.showDetails(ctx)
		if err := workflow.Await(ctx, func() bool { return s.stirs(ctx) }); err != nil {
			return s.cancelled(ctx)
		}
		for _, work := range []**sensorWork{&s.taking, &s.evaluating} {
			if *work != nil && (*work).future.IsReady() {
				if err := s.collect(ctx, work); err != nil {
					return err
				}
			}
		}
		if s.ends(ctx) {
			return s.end(ctx)
		}
		if s.mayContinue(ctx) {
			// What came with this workflow task is heard before, and what it starts has begun.
			if err := s.turns.all(ctx); err != nil {
				return s.cancelled(ctx)
			}
			if s.mayContinue(ctx) {
				return s.next(ctx)
			}
		}
	}
}

// idle says that no activity is in flight that works on the sensor.
func (s *sensor) idle() bool { return s.taking == nil && s.evaluating == nil }

// ends says that the sensor is no more, and that nobody waits for it any longer: who waited for an evaluation is told so first.
func (s *sensor) ends(ctx workflow.Context) bool {
	if s.gone == "" || !s.idle() {
		return false
	}
	for _, order := range s.orders {
		order.take(wire.EvaluateSensorResult{Gone: s.gone}, nil)
	}
	s.orders = nil
	return s.isLeft(ctx)
}

// isLeft says that nothing is on its way that somebody wants of the sensor.
func (s *sensor) isLeft(ctx workflow.Context) bool {
	return len(s.orders) == 0 && s.answered == s.asked && workflow.AllHandlersFinished(ctx)
}

// stirs says whether there is something to do, once what is done now has brought nothing.
func (s *sensor) stirs(ctx workflow.Context) bool {
	now := workflow.Now(ctx)
	at, _, _ := s.due(ctx, now)
	return at.After(now) && (s.timer == nil || !s.timerAt.Equal(at)) || s.taking != nil && s.taking.future.IsReady() || s.evaluating != nil && s.evaluating.future.IsReady() ||
		s.mayEvaluate(ctx, now) || s.mayTake(ctx, now) || s.mayContinue(ctx) || s.timer != nil && s.timer.IsReady() ||
		s.gone != "" && s.idle() && (len(s.orders) > 0 || s.isLeft(ctx))
}

// dispatch starts what can be done now, and a timer for what can be done later.
func (s *sensor) dispatch(ctx workflow.Context) {
	now := workflow.Now(ctx)
	if s.mayEvaluate(ctx, now) {
		s.evaluate(ctx, now)
	}
	if s.mayTake(ctx, now) {
		s.take(ctx)
	}
	s.setTimer(ctx, now)
}

// evaluate starts an evaluation; what was signalled goes along.
func (s *sensor) evaluate(ctx workflow.Context, now time.Time) {
	batch := s.batch()
	input := wire.EvaluateSensorInput{Events: s.events[:batch:batch], Due: s.passed(now), Manual: len(s.orders) > 0}
	ctx, cancel := workflow.WithCancel(ctx)
	s.evaluating = &sensorWork{
		future: workflow.ExecuteActivity(s.options(ctx, wire.EvaluationQueue(s.queue), "evaluate"), wire.EvaluateSensorActivity, input),
		cancel: cancel, began: now, upTo: s.written + batch, orders: s.orders,
	}
	s.woken, s.orders = false, nil
}

func (s *sensor) take(ctx workflow.Context) {
	batch := s.batch()
	ctx, cancel := workflow.WithCancel(ctx)
	s.taking = &sensorWork{
		future: workflow.ExecuteActivity(s.options(ctx, wire.ControlQueue(s.queue), "take"), wire.TakeEventsActivity,
			wire.EvaluateSensorInput{Events: s.events[:batch:batch]}),
		cancel: cancel, began: workflow.Now(ctx), upTo: s.written + batch,
	}
}

// batch is how many events one activity is given: those that another is already writing among them, so that none overtakes them.
func (s *sensor) batch() int {
	total := 0
	for i, size := range s.sizes {
		if total += size; i == eventBatch || i > 0 && total > eventBatchBytes {
			return i
		}
	}
	return len(s.sizes)
}

func (s *sensor) bytes() int {
	total := 0
	for _, size := range s.sizes {
		total += size
	}
	return total
}

func (s *sensor) keep(event wire.SentEvent) {
	s.events = append(s.events, event)
	s.sizes = append(s.sizes, len(event.Payload)+len(event.ID)+len(event.Problem)+100)
}

func (s *sensor) options(ctx workflow.Context, queue, id string) workflow.Context {
	s.activities++
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID: fmt.Sprintf("%s%s:%d", wire.SystemPrefix, id, s.activities), TaskQueue: queue,
		StartToCloseTimeout: evaluationTimeout, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: patientRetries(),
	})
}

// collect takes in what an activity has brought.
func (s *sensor) collect(ctx workflow.Context, of **sensorWork) error {
	work := *of
	*of = nil
	var result wire.EvaluateSensorResult
	err := work.future.Get(ctx, &result)
	for _, order := range work.orders {
		order.take(result, err)
	}
	if err != nil {
		return fmt.Errorf("work on sensor %q: %w", s.id, err)
	}
	if result.Gone == "" || result.State.Sensor != "" {
		for ; s.written < work.upTo && len(s.events) > 0; s.written++ {
			s.events, s.sizes = s.events[1:], s.sizes[1:]
		}
	}
	s.learn(result)
	if result.Tick != nil {
		// By Temporal's clock, like all that is compared with it.
		s.evaluated = work.began
	}
	return nil
}

// learn takes in how the sensor stands.
func (s *sensor) learn(result wire.EvaluateSensorResult) {
	ticks := s.state.Ticks
	if result.Tick != nil {
		ticks = append([]wire.SensorTick{*result.Tick}, ticks...)
		ticks = ticks[:min(len(ticks), sensorTicks)]
		s.full = result.More
	}
	if result.LastTick != nil && !s.known {
		// An earlier workflow's.
		s.evaluated = *result.LastTick
	}
	s.gone = result.Gone
	if result.State.Sensor == "" {
		return
	}
	s.state, s.known = result.State, true
	s.state.Ticks = ticks
	s.more = result.State.Waiting > 0 || result.Unread
	s.every, s.minInterval, s.continueAfter = result.Every, result.MinInterval, result.ContinueAfter
}

// cancelled ends a sensor whose workflow was cancelled, after what was signalled is written. Whoever keeps Temporal in step with the
// rows starts it again: it is stopped by the signal "pause".
func (s *sensor) cancelled(ctx workflow.Context) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	s.evaluating, s.taking = nil, nil
	if err := s.flush(ctx); err != nil {
		return err
	}
	return temporal.NewCanceledError()
}

// end ends the workflow of a sensor that is no more.
func (s *sensor) end(ctx workflow.Context) error {
	if s.state.Sensor == "" {
		return s.refuse(ctx, nil, wire.Problems{{Code: wire.CodeUnknown, Message: s.gone}})
	}
	return s.flush(ctx)
}

// flush has all that was signalled written, unless there is no sensor.
func (s *sensor) flush(ctx workflow.Context) error {
	for {
		if err := s.turns.all(ctx); err != nil {
			return err
		}
		if len(s.events) == 0 || s.gone != "" && s.state.Sensor == "" {
			return nil
		}
		s.take(ctx)
		if err := s.collect(ctx, &s.taking); err != nil {
			return err
		}
	}
}

func (s *sensor) next(ctx workflow.Context) error {
	state := carriedSensor{
		V: wire.Version, CarriedEvents: wire.CarriedEvents{Heard: s.heard, Events: s.events}, State: s.state, More: s.more, Full: s.full, Woken: s.woken || s.evaluating != nil,
		Every: s.every, MinInterval: s.minInterval, ContinueAfter: s.continueAfter,
	}
	if !s.evaluated.IsZero() {
		state.Evaluated = &s.evaluated
	}
	return workflow.NewContinueAsNewError(ctx, wire.SensorWorkflow, wire.SensorRequest{}, state)
}
