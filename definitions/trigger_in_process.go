package definitions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// EvaluateOption is an option of [EvaluateSchedule] and [EvaluateSensor].
type EvaluateOption interface{ applyEvaluate(*evaluating) }

// EvaluateSchedule evaluates a schedule in this process, without any server, for the tick that is due at a time. It is for tests:
// sources that its function binds can be [Given], resources that are not are opened, and closed before it returns. What it asks
// for is checked as in a real tick, and that the partitions exist: at that time, among [DynamicKeys]. Nothing is started.
func EvaluateSchedule(ctx context.Context, d *Definitions, s *ScheduleOf, at time.Time, opts ...EvaluateOption) (Ticked, error) {
	e := newEvaluating(d, "EvaluateSchedule", opts)
	if s == nil || s.at == "" {
		e.fail("EvaluateSchedule is given a schedule that was never declared: declare it with Schedule")
		return Ticked{}, errors.Join(e.problems...)
	}
	if e.asOf.IsZero() {
		e.asOf = at
	}
	var needs []need
	if s.evaluate != nil {
		needs = s.evaluate.needs
	}
	if len(e.with.Events) > 0 {
		e.fail("%s receives no events: leave Signal out", s.object())
	}
	e.with.ScheduledAt = at
	evaluated, err := e.run(ctx, &s.declared, d != nil && slices.Contains(d.schedules, s), needs, func(r *Runtime) (Evaluated, error) {
		return r.EvaluateSchedule(ctx, s.name, e.with)
	})
	if err != nil {
		return Ticked{}, err
	}
	return ticked(evaluated), nil
}

// EvaluateSensor evaluates a sensor in this process, as [EvaluateSchedule] does a schedule. Its events are [Given] as a function
// takes them, or, with [Signal], as services send them.
func EvaluateSensor[C any](ctx context.Context, d *Definitions, s *SensorOf[C], opts ...EvaluateOption) (SensorTicked[C], error) {
	var result SensorTicked[C]
	e := newEvaluating(d, "EvaluateSensor", opts)
	if s == nil || s.def == nil {
		e.fail("EvaluateSensor is given a sensor that was never declared: declare it with Sensor")
		return result, errors.Join(e.problems...)
	}
	if e.asOf.IsZero() {
		e.asOf = time.Now()
	}
	if given, ok := e.inProcess.given(cursorOf[C]{}); ok {
		result.Cursor, _ = given.(C)
	}
	e.records(s.def)
	evaluated, err := e.run(ctx, &s.def.declared, d != nil && slices.Contains(d.sensors, s.def), s.def.function.needs, func(r *Runtime) (Evaluated, error) {
		if err := e.checkEvents(r, s.def); err != nil {
			return Evaluated{}, err
		}
		return r.EvaluateSensor(ctx, s.def.name, e.with)
	})
	if err != nil {
		return SensorTicked[C]{}, err
	}
	if evaluated.Cursor != nil {
		var cursor C
		if err := json.Unmarshal(evaluated.Cursor, &cursor); err != nil {
			return SensorTicked[C]{}, fmt.Errorf("the cursor %s is not read back as it was written: %w", evaluated.Cursor, err)
		}
		result.Cursor = cursor
	}
	result.Ticked = ticked(evaluated)
	return result, nil
}

// Signal has a sensor receive an event as a service sends it: payload is JSON. One that does not fit the type of its events is an
// error.
func Signal(id, payload string) EvaluateOption { return signal{id, payload} }

type signal struct{ id, payload string }

func (v signal) applyEvaluate(e *evaluating) {
	e.with.Events = append(e.with.Events, ReceivedEvent{ID: v.id, At: time.Now(), Payload: json.RawMessage(v.payload)})
}

func (g given) applyEvaluate(e *evaluating) {
	if g.need.kind == needInvalid {
		e.fail("Given is to replace a source that was never declared: %s", g.need.fault.fix)
		return
	}
	e.inProcess.replaced[g.need.id] = g.value
	e.given = append(e.given, g.need)
}

func (v asOf) applyEvaluate(e *evaluating) { e.asOf = time.Time(v) }

func (v dynamicKeys) applyEvaluate(e *evaluating) {
	if v.of.Name() == "" {
		e.fail(neverDynamic)
		return
	}
	e.with.Dynamic[v.of.Name()] = append(e.with.Dynamic[v.of.Name()], v.keys...)
}

// evaluating is one call of EvaluateSchedule or EvaluateSensor.
type evaluating struct {
	definitions *Definitions
	name        string
	inProcess   *inProcess
	given       []need
	asOf        time.Time
	with        Evaluation
	problems    []error
}

func newEvaluating(d *Definitions, name string, opts []EvaluateOption) *evaluating {
	e := &evaluating{
		definitions: d, name: name, with: Evaluation{Dynamic: map[string][]string{}, First: true, Log: slog.Default()},
		inProcess: &inProcess{replaced: map[any]any{}},
	}
	for _, o := range opts {
		if o == nil {
			e.fail("%s is given a nil option: leave it out", name)
			continue
		}
		o.applyEvaluate(e)
	}
	return e
}

func (e *evaluating) fail(format string, args ...any) {
	e.problems = append(e.problems, fmt.Errorf(format, args...))
}

// records stand for what is given in the place of what a sensor reads in the log.
func (e *evaluating) records(s *sensor) {
	if given, ok := e.inProcess.given(newMaterializations{}); ok {
		materialized, _ := given.([]Materialization) // Given has checked the type
		for _, m := range materialized {
			e.with.Records = append(e.with.Records, LogRecord{Asset: m.Asset, Partition: m.Partition})
		}
	}
	if s.kind != plan.SensorOfRuns {
		return
	}
	e.with.Records = []LogRecord{{}}
	replaced := func(n need) bool {
		_, ok := e.inProcess.given(n.id)
		return ok
	}
	for _, n := range s.function.needs {
		n.each(replaced, func(n need) {
			if n.kind == needTick && n.tick == tickRun {
				e.fail("%s is called for a run: give it with Given(TheRun, …)", s.object())
			}
		})
	}
}

func (e *evaluating) checkEvents(r *Runtime, s *sensor) error {
	if len(e.with.Events) > 0 && s.eventPayload() == nil {
		return fmt.Errorf("%s receives no events: leave Signal out", s.object())
	}
	wrong, err := r.CheckEvents(s.name, e.with.Events)
	if err != nil {
		return err
	}
	var rejected []error
	for _, i := range slices.Sorted(maps.Keys(wrong)) {
		rejected = append(rejected, fmt.Errorf("event %q is rejected: %s", e.with.Events[i].ID, wrong[i]))
	}
	return errors.Join(rejected...)
}

// run evaluates, and checks the partitions that are asked for.
func (e *evaluating) run(ctx context.Context, of *declared, listed bool, needs []need, evaluate func(*Runtime) (Evaluated, error)) (Evaluated, error) {
	snapshot, err := e.definitions.Snapshot()
	if err != nil {
		return Evaluated{}, err
	}
	if !listed {
		e.fail("%s is given %s (%s), which is not among the definitions: add it to New(%q, …)", e.name, of.object(), of.at, e.definitions.location.name)
	}
	e.checkGiven(of, needs)
	if err := errors.Join(e.problems...); err != nil {
		return Evaluated{}, err
	}
	runtime := newRuntime(e.definitions, snapshot, Environment{Storage: newMemory(), Log: slog.Default()}, e.inProcess)
	evaluated, err := evaluate(runtime)
	if err == nil {
		err = e.checkPartitions(runtime, evaluated)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	if err := errors.Join(err, runtime.Close(closing)); err != nil {
		return Evaluated{}, err
	}
	return evaluated, nil
}

// checkGiven refuses to replace what the function does not bind: a test that does would not test what it says.
func (e *evaluating) checkGiven(of *declared, needs []need) {
	known := map[any]bool{}
	var enter func(needs []need)
	enter = func(needs []need) {
		for _, n := range needs {
			n.each(nil, func(n need) {
				known[n.id] = true
				if n.kind == needResource {
					enter(n.resource.needs)
				}
			})
		}
	}
	enter(needs)
	for _, n := range e.given {
		if !known[n.id] {
			e.fail("Given replaces %s, which %s does not bind", n.describe(), of.object())
		}
	}
}

// checkPartitions finds requests for partitions that do not exist, also not by what the tick adds.
func (e *evaluating) checkPartitions(r *Runtime, evaluated Evaluated) error {
	planner, err := r.planner()
	if err != nil {
		return err
	}
	dynamic := maps.Clone(e.with.Dynamic)
	for _, added := range evaluated.Add {
		dynamic[added.Name] = once(slices.Concat(dynamic[added.Name], added.Keys))
	}
	for _, removed := range evaluated.Remove {
		dynamic[removed.Name] = slices.DeleteFunc(slices.Clone(dynamic[removed.Name]), func(key string) bool { return slices.Contains(removed.Keys, key) })
	}
	existing := planner.Existing(e.asOf, dynamic)
	var problems wire.Problems
	for i, run := range evaluated.Runs {
		request := run.Request
		request.Trigger, request.Only = &wire.RunTrigger{}, ""
		_, wrong := planner.Target(request, existing)
		problems = append(problems, wrong.Below(fmt.Sprintf("runs[%d] (%s)", i, requestedRun(run)))...)
	}
	return problems.Err()
}
