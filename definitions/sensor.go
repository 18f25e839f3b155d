package definitions

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// SensorOf is the typed handle of a sensor with a cursor of type C. Make one with [Sensor], [AssetSensor], [RunStatusSensor] or
// [RunFailureSensor].
type SensorOf[C any] struct{ def *sensor }

// sensor is a sensor without its type.
type sensor struct {
	declared
	trigger
	// function is what is known of it without its types.
	function bound
	kind     plan.SensorKind
	targets  []*Job
	// onlyActs says that it requests no runs.
	onlyActs bool
	cursor   reflect.Type
	run      func(*scope) (answer, error)

	every, minInterval time.Duration
	// assets and all are an asset sensor's.
	assets []AnyAsset
	all    bool
	// The rest is a run sensor's.
	statuses     []wire.RunStatus
	afterRetries bool
	monitored    []*Job
	locations    []string
	allLocations bool
}

// answer is what a sensor's function gave.
type answer struct {
	Requests
	cursor  json.RawMessage
	changes []PartitionChange
	reports []AssetReport
}

// SensorOption is an option of [Sensor].
type SensorOption interface{ applySensor(*sensor) }

// AssetSensorOption is an option of [AssetSensor].
type AssetSensorOption interface{ applyAssetSensor(*sensor) }

// RunSensorOption is an option of [RunStatusSensor] and [RunFailureSensor].
type RunSensorOption interface{ applyRunSensor(*sensor) }

// Sensor declares a sensor: a function that is called when services have signalled events to it, and, with [Every], at an interval.
// It may request runs of targets, and of no other jobs; a sensor that requests none has none, and [OnlyActs]. The function may bind
// [Events], [CursorOf], [TheTick] and resources. name is letters, digits, "_", "." and "-"; schedules and sensors share one space
// of names. A sensor is stopped until somebody starts it, unless it has [DefaultRunning]; it misses nothing that is signalled
// meanwhile.
//
// When the function fails, nothing that it returned happens, its cursor stays, and it is called again with the same events.
func Sensor[C any](name string, targets []*Job, fn Compute[Tick[C]], opts ...SensorOption) *SensorOf[C] {
	s := newSensor(name, plan.SensorOfEvents, targets, fn)
	for _, o := range opts {
		if o == nil {
			s.nilOption()
			continue
		}
		o.applySensor(s)
	}
	return &SensorOf[C]{s}
}

// newSensor is one whose function answers with a Tick.
func newSensor[C any](name string, kind plan.SensorKind, targets []*Job, fn Compute[Tick[C]]) *sensor {
	s := &sensor{declared: declared{what: "sensor", name: name, at: place()}, kind: kind, targets: targets, function: fn.bound}
	s.function.faults = fn.faultsOf()
	if typ := reflect.TypeFor[C](); typ != reflect.TypeFor[Nothing]() {
		s.cursor = typ
	}
	s.run = func(scope *scope) (answer, error) {
		tick, err := fn.run(scope)
		if err != nil {
			return answer{}, err
		}
		return tick.answer()
	}
	return s
}

// Name is the sensor's name.
func (s *SensorOf[C]) Name() string {
	if s == nil || s.def == nil {
		return ""
	}
	return s.def.name
}

func (s *SensorOf[C]) definitions() []*declaration {
	if s == nil || s.def == nil {
		return nil
	}
	return []*declaration{{sensor: s.def}}
}

// Tick is a sensor's answer: runs, or why none, and its cursor. What else it asks for happens before the runs start.
type Tick[C any] struct {
	// Runs are requested of the sensor's targets.
	Runs []RunRequest
	// Skip says why there are no runs. It is an error beside some.
	Skip string
	// Cursor is what the next tick gets from [CursorOf]; the zero C leaves the cursor as it is.
	Cursor C
	// Reset makes the cursor the zero C, as before the first tick.
	Reset bool
	// Partitions are changes of dynamic partitions: see [DynamicPartitions.Add]. Runs of the same tick can be for what is added.
	Partitions []PartitionChange
	// Reports are what happened to assets elsewhere.
	Reports []AssetReport
}

func (t Tick[C]) answer() (answer, error) {
	a := answer{Requests: Requests{t.Runs, t.Skip}, changes: t.Partitions, reports: t.Reports}
	given := reflect.ValueOf(&t.Cursor).Elem()
	switch {
	case t.Reset && !given.IsZero():
		return a, errors.New("the tick has a cursor, and Reset: leave one of the two out")
	case reflect.TypeFor[C]() == reflect.TypeFor[Nothing](), given.IsZero() && !t.Reset:
		return a, nil
	}
	var err error
	if a.cursor, err = json.Marshal(t.Cursor); err != nil {
		return a, fmt.Errorf("write the cursor as JSON: %w", err)
	}
	if len(a.cursor) > wire.MaxCursor {
		return a, fmt.Errorf("the cursor has %d bytes of JSON, and at most %d are kept: keep what is large elsewhere, and where it lies here", len(a.cursor), wire.MaxCursor)
	}
	return a, nil
}

// PartitionChange is keys that a tick adds to a dynamic set, or removes: see [DynamicPartitions.Add].
type PartitionChange struct {
	of     *DynamicPartitions
	keys   []string
	remove bool
}

// Add is keys that a sensor's tick adds to the set. Those that are there stay.
func (p *DynamicPartitions) Add(keys ...string) PartitionChange {
	return PartitionChange{p, keys, false}
}

// Remove is keys that a sensor's tick removes from the set. What was materialized of them stays.
func (p *DynamicPartitions) Remove(keys ...string) PartitionChange {
	return PartitionChange{p, keys, true}
}

// AssetReport is something that happened to an asset elsewhere, as a sensor found out.
type AssetReport struct {
	// Asset is among the definitions.
	Asset AnyAsset
	// Observed says that somebody looked at it; otherwise somebody made it.
	Observed bool
	// Partitions are the keys that it happened to, of a partitioned asset.
	Partitions []string
	// Metadata is recorded with it; among it may be a [DataVersion].
	Metadata []Metadatum
	// Location is where the value lies, as the storage of the asset finds it; "" when nothing is to be loaded.
	Location string
	// Why is for people.
	Why string
}

// Every has a sensor be evaluated at this interval, too. Without it, it is only when something wakes it.
type Every time.Duration

// MinInterval is the least time from one evaluation of a sensor to the next: what wakes it earlier is gathered.
type MinInterval time.Duration

// OnlyActs says that a sensor requests no runs: it changes partitions, reports, or does something else.
type OnlyActs struct{}

func (v Every) applySensor(s *sensor) {
	s.options.once(&s.declared, "every", "Every")
	s.every = time.Duration(v)
	if v <= 0 {
		s.wrong("every", "the interval is "+s.every.String(), "set a positive duration, or leave Every out")
	}
}

func (v MinInterval) applySensor(s *sensor) {
	s.options.once(&s.declared, "min_interval", "MinInterval")
	s.minInterval = time.Duration(v)
	if v <= 0 {
		s.wrong("min_interval", "the interval is "+s.minInterval.String(), "set a positive duration, or leave MinInterval out")
	}
}

func (OnlyActs) applySensor(s *sensor) { s.onlyActs = true }

func (v MinInterval) applyAssetSensor(s *sensor) { v.applySensor(s) }
func (v MinInterval) applyRunSensor(s *sensor)   { v.applySensor(s) }
func (v OnlyActs) applyAssetSensor(s *sensor)    { v.applySensor(s) }
