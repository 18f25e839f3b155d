package definitions

import (
	"slices"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// RunStatus is where a run stands.
type RunStatus = wire.RunStatus

// The statuses that a [RunStatusSensor] can watch.
const (
	RunQueued    = wire.RunQueued
	RunStarting  = wire.RunStarting
	RunStarted   = wire.RunStarted
	RunCanceling = wire.RunCanceling
	RunSucceeded = wire.RunSuccess
	RunFailed    = wire.RunFailure
	RunCanceled  = wire.RunCanceled
)

// RunSensorAnswer is what the function of a run sensor may return: nothing, of one that only acts, or runs, or [Requests].
type RunSensorAnswer interface {
	Nothing | []RunRequest | Requests
}

// RunStatusSensor declares a sensor that is called for each run of its location that takes one of the statuses, in order; see
// [Monitor], [MonitorLocations] and [MonitorAll] for other runs. Its function may bind [TheRun], [TheTick] and resources, and
// request runs of [Targets]. It hears of what happens after it was started for the first time, and of each run once: also when the
// function fails, so that what it did before is not done again. It hears of the runs that it has requested, too: mind the circle.
func RunStatusSensor[A RunSensorAnswer](name string, statuses []RunStatus, fn Compute[A], opts ...RunSensorOption) *SensorOf[Nothing] {
	s := &sensor{declared: declared{what: "sensor", name: name, at: place()}, kind: plan.SensorOfRuns, statuses: slices.Clone(statuses), function: fn.bound}
	s.function.faults = fn.faultsOf()
	s.run = func(scope *scope) (answer, error) {
		given, err := fn.run(scope)
		if err != nil {
			return answer{}, err
		}
		return answer{Requests: requestsOf(given)}, nil
	}
	for _, o := range opts {
		if o == nil {
			s.nilOption()
			continue
		}
		o.applyRunSensor(s)
	}
	return &SensorOf[Nothing]{s}
}

// RunFailureSensor is a [RunStatusSensor] of runs that have failed, but for those that are started again by themselves: of a chain of
// retries it hears of the last one.
func RunFailureSensor[A RunSensorAnswer](name string, fn Compute[A], opts ...RunSensorOption) *SensorOf[Nothing] {
	s := RunStatusSensor(name, []RunStatus{RunFailed}, fn, opts...)
	s.def.afterRetries = true
	return s
}

// Monitor has a run sensor hear of the runs of these jobs of its own location.
func Monitor(jobs ...*Job) RunSensorOption { return monitored(jobs) }

type monitored []*Job

func (v monitored) applyRunSensor(s *sensor) {
	s.monitored = append(s.monitored, v...)
	if len(v) == 0 {
		s.wrong("monitored_jobs", "Monitor is given no jobs", "list some, or leave it out for all of the location")
	}
}

// MonitorLocations has a run sensor hear of all runs of these locations.
func MonitorLocations(names ...string) RunSensorOption { return monitoredLocations(names) }

type monitoredLocations []string

func (v monitoredLocations) applyRunSensor(s *sensor) {
	s.locations = append(s.locations, v...)
	if len(v) == 0 {
		s.wrong("monitored_locations", "MonitorLocations is given no names", "list some, or leave it out for the sensor's own")
	}
}

// MonitorAll has a run sensor hear of all runs of all locations.
type MonitorAll struct{}

func (MonitorAll) applyRunSensor(s *sensor) { s.allLocations = true }

// Targets are the jobs that a run sensor may request runs of.
func Targets(jobs ...*Job) RunSensorOption { return targets(jobs) }

type targets []*Job

func (v targets) applyRunSensor(s *sensor) { s.targets = append(s.targets, v...) }

// MonitoredRun is a run that a [RunStatusSensor] hears of, as it was when it took the status.
type MonitoredRun struct {
	ID       string
	Location string
	// Job is "" of a run that selects assets.
	Job    string
	Status RunStatus
	// At is when it took the status, Position the place of that in the event log.
	At       time.Time
	Position int64
	Tags     map[string]string
	// Partition is the key, or the keys, that it is for; "" of a run without partitions.
	Partition string
	Cause     string
	// Failures are its first failed steps, Reason says why it ended so when they do not.
	Failures []StepFailure
	Reason   string
	// WillRetry says of one that has failed that it is started again by itself.
	WillRetry bool
	// RequestedBy is the schedule or sensor that requested it, "" none. A sensor that hears of the runs of all jobs tells its own ones
	// by it.
	RequestedBy string
	// URL leads to it in Temporal's Web UI.
	URL string
}

// StepFailure is a step that has failed, and why.
type StepFailure struct {
	Step    string
	Message string
}

// TheRun is what a [RunStatusSensor] is called for. Bound elsewhere it is a problem.
var TheRun Source[MonitoredRun] = theRun{}

type theRun struct{}

func (theRun) carries(MonitoredRun) {}
func (r theRun) need() need         { return need{kind: needTick, id: r, tick: tickRun} }
func (theRun) load(s *scope) (MonitoredRun, error) {
	if s.tick == nil || s.tick.record == nil {
		return MonitoredRun{}, errNoTick
	}
	r := s.tick.record
	run := MonitoredRun{
		ID: r.RunID, Location: r.Location, Job: r.Job, Status: r.Status, At: r.At, Position: r.Position, Tags: r.Tags, Partition: r.RunPartition,
		Cause: r.Cause, Reason: r.Reason, WillRetry: r.WillRetry, RequestedBy: r.RequestedBy, URL: r.URL,
	}
	for _, failure := range r.Failures {
		run.Failures = append(run.Failures, StepFailure(failure))
	}
	return run, nil
}
