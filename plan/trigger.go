package plan

import (
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Schedule starts runs of a job at certain times.
type Schedule struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Owners      []string          `json:"owners,omitempty"`
	Metadata    []wire.Metadatum  `json:"metadata,omitempty"`
	// Job is what it starts runs of.
	Job string `json:"job"`
	// Crons are expressions of five fields, at least one: it is due when one of them is, once where several are. Zone is an IANA
	// name; "" is UTC.
	Crons []string `json:"crons"`
	Zone  string   `json:"zone,omitempty"`
	// Partitioned says that each tick is for the partitions of the job that are the last ones at its nominal time.
	Partitioned bool `json:"partitioned,omitempty"`
	// Dynamic names the dynamic sets whose keys its evaluation is given.
	Dynamic []string `json:"dynamic,omitempty"`
	// Computed says that a function decides what a tick starts. Otherwise it is what Requests say, or, without any, one run.
	Computed bool              `json:"computed,omitempty"`
	Requests []wire.RunRequest `json:"requests,omitempty"`
	// Resources are the names of those that its function uses.
	Resources []string `json:"resources,omitempty"`
	// Running is its status until a person says otherwise.
	Running bool `json:"running,omitempty"`
	// CatchUp is how many of the ticks that were missed are evaluated, the latest ones: the others are recorded as skipped.
	// -1 is all of them.
	CatchUp int `json:"catch_up"`
	// Jitter delays each tick by a part of it that the tick alone decides, in nanoseconds.
	Jitter time.Duration `json:"jitter,omitempty"`
	// Overlap says what becomes of a tick while runs of the schedule are open; "" is that they do not matter.
	Overlap Overlap `json:"overlap,omitempty"`
	// PauseOnFailure stops the schedule when one of its runs has failed, after all retries.
	PauseOnFailure bool `json:"pause_on_failure,omitempty"`
	// Timeout bounds one evaluation of its function, in nanoseconds; 0 is a minute.
	Timeout time.Duration `json:"timeout,omitempty"`
	At      string        `json:"at"`
}

// Overlap is what becomes of a tick while runs of its schedule are open.
type Overlap string

// The overlap policies, as Temporal's schedules have them, but about runs. OverlapAllowAll starts the new runs beside the
// open ones.
const (
	OverlapAllowAll       Overlap = ""
	OverlapSkip           Overlap = "skip"
	OverlapBufferOne      Overlap = "buffer_one"
	OverlapBufferAll      Overlap = "buffer_all"
	OverlapCancelOther    Overlap = "cancel_other"
	OverlapTerminateOther Overlap = "terminate_other"
)

// Sensor starts runs when something has happened.
type Sensor struct {
	Name        string            `json:"name"`
	Kind        SensorKind        `json:"kind"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Owners      []string          `json:"owners,omitempty"`
	Metadata    []wire.Metadatum  `json:"metadata,omitempty"`
	// Jobs are what it may start runs of; none when it only acts.
	Jobs []string `json:"jobs,omitempty"`
	// Events says that its function takes what services signal; EventType is the Go type of a payload, for people.
	Events    bool   `json:"events,omitempty"`
	EventType string `json:"event_type,omitempty"`
	// CursorType is the Go type of its cursor, for people; "" has none.
	CursorType string `json:"cursor_type,omitempty"`
	// Every is the interval at which it is evaluated, too, in nanoseconds; 0 is only when something wakes it.
	Every time.Duration `json:"every,omitempty"`
	// MinInterval is the least time from one evaluation to the next, in nanoseconds: what wakes it earlier is gathered.
	MinInterval time.Duration `json:"min_interval,omitempty"`
	// Timeout bounds one evaluation, in nanoseconds; 0 is a minute.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Resources are the names of those that its function uses.
	Resources []string `json:"resources,omitempty"`
	// Running is its status until a person says otherwise.
	Running bool `json:"running,omitempty"`

	// Assets are the keys that an asset sensor watches. All says that a tick waits until each of them has something new.
	Assets []string `json:"assets,omitempty"`
	All    bool     `json:"all,omitempty"`

	// Statuses are the ends, or beginnings, of runs that a run-status sensor watches: of the jobs MonitoredJobs of its own location
	// (none is all), of all jobs of MonitoredLocations, or of everything.
	Statuses           []wire.RunStatus `json:"statuses,omitempty"`
	MonitoredJobs      []string         `json:"monitored_jobs,omitempty"`
	MonitoredLocations []string         `json:"monitored_locations,omitempty"`
	AllLocations       bool             `json:"all_locations,omitempty"`
	// AfterRetries leaves out failed runs that are started again by themselves.
	AfterRetries bool   `json:"after_retries,omitempty"`
	At           string `json:"at"`
}

// SensorKind says what a sensor's function is given.
type SensorKind string

// The kinds of sensors: of signalled events and of what its function finds out itself; of materializations; of runs.
const (
	SensorOfEvents SensorKind = "events"
	SensorOfAssets SensorKind = "assets"
	SensorOfRuns   SensorKind = "runs"
)
