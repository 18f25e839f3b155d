package alerts

import (
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Kind is what an alert is about.
type Kind string

// The kinds of alerts, as sinks name them under "on".
const (
	RunFailure      Kind = "run_failure"
	ScheduleFailing Kind = "schedule_failing"
	SensorFailing   Kind = "sensor_failing"
	BackfillEnded   Kind = "backfill_ended"
	SinkFailing     Kind = "sink_failing"
)

// Kinds are all of them.
var Kinds = []Kind{RunFailure, ScheduleFailing, SensorFailing, BackfillEnded, SinkFailing}

// version is that of the JSON that a webhook is sent.
const version = 1

// Alert is what templates are given and what a webhook is sent. One of Run, Trigger, Backfill and Sink is there.
type Alert struct {
	V int `json:"v"`
	// Key says what the alert is about: one that comes twice has the same.
	Key  string `json:"key"`
	Kind Kind   `json:"kind"`
	// At is when it happened.
	At time.Time `json:"at"`
	// Recovered says that what was failing works again. Test is an alert that somebody sends to see whether it arrives.
	Recovered bool `json:"recovered,omitempty"`
	Test      bool `json:"test,omitempty"`
	// Deployment is the deployment's name; Location, Job and Tags are "" or empty where they do not apply.
	Deployment string            `json:"deployment"`
	Location   string            `json:"location,omitempty"`
	Job        string            `json:"job,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	// URL leads to it in Temporal's Web UI, Command shows more of it.
	URL     string `json:"url,omitempty"`
	Command string `json:"command"`

	Run      *Run      `json:"run,omitempty"`
	Trigger  *Trigger  `json:"trigger,omitempty"`
	Backfill *Backfill `json:"backfill,omitempty"`
	Sink     *Sink     `json:"sink,omitempty"`
}

// Run is a run that failed and is not started again, or one that a schedule or sensor has asked for and that was refused: it has no steps.
type Run struct {
	RunID string `json:"run_id"`
	// Selection is what it was for, where it is no job's.
	Selection string `json:"selection,omitempty"`
	Partition string `json:"partition,omitempty"`
	Backfill  string `json:"backfill,omitempty"`
	// TriggerKind and TriggerName are the schedule or sensor that asked for it.
	TriggerKind string `json:"trigger_kind,omitempty"`
	TriggerName string `json:"trigger_name,omitempty"`
	// Attempts is how many runs the chain of retries has, of which RootRunID is the first.
	Attempts  int    `json:"attempts"`
	RootRunID string `json:"root_run_id,omitempty"`
	// Reason says why it failed, where its steps do not. Failures are the first failed steps, at most 20.
	Reason     string                 `json:"reason,omitempty"`
	StepsTotal int                    `json:"steps_total"`
	Steps      wire.StepCounts        `json:"steps"`
	Failures   []wire.StepFailureInfo `json:"failures"`
}

// Trigger is a schedule or sensor that fails.
type Trigger struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Failures is how many ticks in a row have failed, since Since, the last with Error.
	Failures int       `json:"failures"`
	Since    time.Time `json:"since"`
	Error    string    `json:"error,omitempty"`
}

// Backfill is a backfill that has ended.
type Backfill struct {
	BackfillID string              `json:"backfill_id"`
	Title      string              `json:"title,omitempty"`
	Status     wire.BackfillStatus `json:"status"`
	Reason     string              `json:"reason,omitempty"`
	Seconds    float64             `json:"seconds"`
	// Partitions are counted over all assets.
	Targeted     int                    `json:"targeted"`
	Materialized int                    `json:"materialized"`
	Failed       int                    `json:"failed"`
	Runs         wire.BackfillRuns      `json:"runs"`
	Failures     []wire.BackfillFailure `json:"failures,omitempty"`
}

// Sink is a sink that cannot be told.
type Sink struct {
	Name string `json:"name"`
	// Failures is how many attempts in a row have failed, since Since, the last with Error.
	Failures int       `json:"failures"`
	Since    time.Time `json:"since"`
	Error    string    `json:"error,omitempty"`
}

// subject is what an alert is about, for mutes and lists.
func (a Alert) subject() string {
	switch {
	case a.Run != nil:
		return a.Run.RunID
	case a.Trigger != nil:
		return a.Trigger.Name
	case a.Backfill != nil:
		return a.Backfill.BackfillID
	case a.Sink != nil:
		return a.Sink.Name
	default:
		return ""
	}
}

// Sample is an alert of that kind as a test sends it.
func Sample(kind Kind, at time.Time) Alert {
	sample := Alert{
		V: version, Key: "test:" + string(kind) + ":" + at.UTC().Format(time.RFC3339Nano), Kind: kind, At: at, Test: true,
		Deployment: "default", Location: "flights", Job: "nightly", Tags: map[string]string{"team": "ops"},
	}
	switch kind {
	case RunFailure:
		sample.Command = "perdure run show nightly-7~1"
		sample.Run = &Run{
			RunID: "nightly-7~1", Partition: "2001-01-01", Attempts: 2, RootRunID: "nightly-7", TriggerKind: "schedule", TriggerName: "every_night",
			StepsTotal: 5, Steps: wire.StepCounts{Succeeded: 3, Failed: 1, Skipped: 1},
			Failures: []wire.StepFailureInfo{{Step: "route_delays", Message: "no such column: fare"}},
		}
	case ScheduleFailing, SensorFailing:
		kindOf := map[Kind]wire.TriggerKind{ScheduleFailing: wire.TriggerSchedule, SensorFailing: wire.TriggerSensor}[kind]
		sample.Job, sample.Tags = "", nil
		sample.Command = "perdure " + string(kindOf) + " ticks arrivals"
		sample.Trigger = &Trigger{Kind: string(kindOf), Name: "arrivals", Failures: 3, Since: at, Error: "connection refused"}
	case BackfillEnded:
		sample.Command = "perdure backfill show bf1"
		sample.Backfill = &Backfill{
			BackfillID: "bf1", Status: wire.BackfillFailed, Seconds: 754, Targeted: 90, Materialized: 88, Failed: 2,
			Runs:     wire.BackfillRuns{Succeeded: 88, Failed: 2},
			Failures: []wire.BackfillFailure{{RunID: "bf1:route_delays:2001-01-01", Message: "no such column: fare"}},
		}
	case SinkFailing:
		sample.Location, sample.Job, sample.Tags = "", "", nil
		sample.Command = "perdure alert list --kind sink_failing"
		sample.Sink = &Sink{Name: "chat", Failures: 3, Since: at, Error: "503 Service Unavailable"}
	}
	return sample
}
