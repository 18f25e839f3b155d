package definitions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Evaluation is what a schedule or sensor is evaluated with. It is for Perdure's own packages.
type Evaluation struct {
	// ScheduledAt is a schedule's nominal time.
	ScheduledAt time.Time
	// Dynamic are the keys of the dynamic sets that the schedule's definition names, each list in the order of adding.
	Dynamic map[string][]string
	// Events are what a sensor has received, in order; Records what an asset sensor or a run-status sensor has read in the log.
	Events  []ReceivedEvent
	Records []LogRecord
	// Cursor is that of the last successful tick, as its JSON; nil before the first.
	Cursor json.RawMessage
	// LastTick is when the last successful tick was, LastRunKey the last key that it asked for a run with.
	LastTick   time.Time
	LastRunKey string
	// First says that it is the first tick since the sensor was started.
	First bool
	// Log is what its function logs to; nil is the environment's.
	Log *slog.Logger
}

// ReceivedEvent is an event as a service sent it.
type ReceivedEvent struct {
	ID      string
	At      time.Time
	Payload json.RawMessage
}

// LogRecord is an entry of the event log: a materialization, or the status that a run has taken.
type LogRecord struct {
	Position int64
	At       time.Time
	Type     string
	// Asset and Partition are a materialization's; the run, and its step, are of both.
	Asset, Partition string
	RunID, Step      string
	Cause            string
	// Metadata and DataVersion are a materialization's.
	Metadata    []wire.Metadatum
	DataVersion string
	// The rest is a run's.
	Location, Job string
	Status        wire.RunStatus
	Tags          map[string]string
	RunPartition  string
	Failures      []wire.StepFailureInfo
	Reason        string
	// WillRetry says of a run that failed that it is started again by itself; RequestedBy is the schedule or sensor that requested it.
	WillRetry   bool
	RequestedBy string
	// URL leads to the run in Temporal's Web UI.
	URL string
}

// Evaluated is what an evaluation asks for. Requests have no ids yet, and nothing of them was checked against partitions.
type Evaluated struct {
	Runs []wire.TickRun
	// Skip says why there are none.
	Skip string
	// Cursor is the new one; nil leaves it as it was.
	Cursor json.RawMessage
	// Consumed is how many of the Records were taken in; the others are read again, with those that come after. A run sensor
	// takes them in also when its function has failed: it is given with the error, and counts the record that it failed for.
	Consumed int
	// Add and Remove are changes of dynamic partition sets, Reports what happened to assets elsewhere.
	Add, Remove []wire.TickPartitions
	Reports     []wire.ReportRequest
}

// PanicError is a panic of a function of a schedule or sensor.
type PanicError struct {
	Value any
	// Stack is the Go stack.
	Stack string
}

// Error is the panic's value.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// maxTickRuns is how many runs one tick requests at most: they are one record.
const maxTickRuns = 10_000

// addTriggers enters the schedules and sensors.
func (r *Runtime) addTriggers() {
	r.schedules, r.sensors = map[string]*ScheduleOf{}, map[string]*sensor{}
	for _, s := range r.definitions.schedules {
		r.schedules[s.name] = s
	}
	for _, s := range r.definitions.sensors {
		r.sensors[s.name] = s
	}
	r.planner = sync.OnceValues(func() (*plan.Planner, error) { return plan.NewPlanner(r.snapshot, r) })
}

// EvaluateSchedule calls the function of a schedule, or gives the requests that it always makes. The error is the function's,
// or says that this location has no such schedule.
func (r *Runtime) EvaluateSchedule(ctx context.Context, name string, with Evaluation) (Evaluated, error) {
	s := r.schedules[name]
	if s == nil {
		return Evaluated{}, fmt.Errorf("schedule %q of location %q: %w", name, r.snapshot.Location, ErrNoTrigger)
	}
	planner, err := r.planner()
	if err != nil {
		return Evaluated{}, err
	}
	lowered := r.snapshot.Schedules[slices.IndexFunc(r.snapshot.Schedules, func(one plan.Schedule) bool { return one.Name == name })]
	zone, err := time.LoadLocation(lowered.Zone)
	if err != nil {
		return Evaluated{}, err
	}
	asked := Requests{Runs: s.requests}
	switch {
	case s.partitioned != nil:
		keys, skip, err := due(planner.JobPartitions(s.job.name), with.ScheduledAt.In(zone), with.Dynamic)
		if err != nil {
			return Evaluated{}, err
		}
		asked.Skip = skip
		for _, key := range keys {
			asked.Runs = append(asked.Runs, s.job.Request(RunKey(key), ForPartition(key)))
		}
	case s.evaluate != nil:
		scope := r.tickScope(with, zone, s.object(), &s.trigger, s.evaluate.needs)
		if err := r.call(ctx, scope, s.bounds(), func() (err error) {
			asked, err = s.evaluate.run(scope)
			return err
		}); err != nil {
			return Evaluated{}, err
		}
		if len(asked.Runs) == 0 && asked.Skip == "" {
			asked.Skip = "its function requested no runs"
		}
	case len(asked.Runs) == 0:
		asked.Runs = []RunRequest{s.job.Request()}
	}
	return r.asked(asked, []*Job{s.job}, s.object(), planner)
}

// EvaluateSensor calls the function of a sensor; a run sensor's once for each record, until one asks for something. The error is
// the function's, or says that this location has no such sensor.
func (r *Runtime) EvaluateSensor(ctx context.Context, name string, with Evaluation) (Evaluated, error) {
	s := r.sensors[name]
	if s == nil {
		return Evaluated{}, fmt.Errorf("sensor %q of location %q: %w", name, r.snapshot.Location, ErrNoTrigger)
	}
	planner, err := r.planner()
	if err != nil {
		return Evaluated{}, err
	}
	switch s.kind {
	case plan.SensorOfRuns:
		for i := range with.Records {
			evaluated, err := r.evaluateSensor(ctx, s, with, &with.Records[i], planner)
			evaluated.Consumed = i + 1
			if err != nil || len(evaluated.Runs) > 0 || evaluated.Skip != "" {
				return evaluated, err
			}
		}
		return Evaluated{Consumed: len(with.Records)}, nil
	case plan.SensorOfAssets:
		if waiting := s.waiting(with.Records); len(waiting) > 0 {
			return Evaluated{Skip: "nothing new of " + list(waiting)}, nil
		}
	case plan.SensorOfEvents:
	}
	evaluated, err := r.evaluateSensor(ctx, s, with, nil, planner)
	if err == nil {
		evaluated.Consumed = len(with.Records)
	}
	return evaluated, err
}

// waiting are the assets that a sensor still waits for something new of.
func (s *sensor) waiting(records []LogRecord) []string {
	if !s.all {
		return nil
	}
	waiting := sorted(assetKeys(s.assets))
	for _, record := range records {
		waiting = slices.DeleteFunc(waiting, func(key string) bool { return key == record.Asset })
	}
	return waiting
}

func (r *Runtime) evaluateSensor(ctx context.Context, s *sensor, with Evaluation, record *LogRecord, planner *plan.Planner) (Evaluated, error) {
	scope := r.tickScope(with, time.UTC, s.object(), &s.trigger, s.function.needs)
	scope.tick.record = record
	var given answer
	if err := r.call(ctx, scope, s.bounds(), func() (err error) {
		given, err = s.run(scope)
		return err
	}); err != nil {
		return Evaluated{}, err
	}
	evaluated, err := r.asked(given.Requests, s.targets, s.object(), planner)
	problems := wire.ProblemsOf(err)
	if err != nil && problems == nil {
		return Evaluated{}, err
	}
	problems = append(problems, r.changes(given, &evaluated)...)
	problems = append(problems, r.reports(given.reports, &evaluated)...)
	if err := problems.Err(); err != nil {
		return Evaluated{}, err
	}
	if !bytes.Equal(given.cursor, with.Cursor) {
		evaluated.Cursor = given.cursor
	}
	return evaluated, nil
}

// tickScope is where a function of a schedule or sensor runs.
func (r *Runtime) tickScope(with Evaluation, zone *time.Location, object string, t *trigger, needs []need) *scope {
	if with.Log == nil {
		with.Log = r.environment.Log.With("trigger", object)
	}
	configs, _ := t.resourceConfigs(needs) // the definitions are valid
	return &scope{runtime: r, resources: configs, tick: &tick{Evaluation: with, zone: zone}}
}

// abandoned is how long a function that does not heed the end of its context is waited for.
const abandoned = 5 * time.Second

// call calls a user's function within its time.
func (r *Runtime) call(ctx context.Context, s *scope, bounds time.Duration, function func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bounds, fmt.Errorf("it took longer than its timeout of %s", bounds))
	defer cancel()
	s.context = newContext(ctx, s.tick.Log, RunInfo{Attempt: 1})
	done := make(chan error, 1)
	go func() { done <- recovered(function) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(abandoned):
			return fmt.Errorf("%w, and does not heed the end of its context", context.Cause(ctx))
		}
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// asked lowers what a function, or a definition, asks for.
func (r *Runtime) asked(given Requests, targets []*Job, what string, planner *plan.Planner) (Evaluated, error) {
	switch {
	case given.Skip != "" && len(given.Runs) > 0:
		return Evaluated{}, fmt.Errorf("it requests %d runs, and says why there are none (%q): leave one of the two out", len(given.Runs), given.Skip)
	case len(given.Runs) > maxTickRuns:
		return Evaluated{}, fmt.Errorf("it requests %d runs, and a tick at most %d: request them in several ticks, or start a backfill", len(given.Runs), maxTickRuns)
	}
	runs, problems := (&requests{definitions: r.definitions, check: planner.CheckRequest, targets: targets, what: what}).lower(given.Runs)
	return Evaluated{Runs: runs, Skip: given.Skip}, problems.Err()
}

// CheckEvents says of events which of them do not fit the type that a sensor's function takes, and why, by their place.
func (r *Runtime) CheckEvents(name string, events []ReceivedEvent) (map[int]string, error) {
	s := r.sensors[name]
	if s == nil {
		return nil, fmt.Errorf("sensor %q of location %q: %w", name, r.snapshot.Location, ErrNoTrigger)
	}
	p := s.eventPayload()
	if p == nil {
		return nil, nil
	}
	wrong := map[int]string{}
	for i, event := range events {
		if err := p.decode(event.Payload, reflect.New(p.typ).Elem()); err != nil {
			wrong[i] = err.Error()
		}
	}
	return wrong, nil
}

// ErrNoTrigger says that this location has no schedule or sensor of that name.
var ErrNoTrigger = errors.New("there is none of that name")
