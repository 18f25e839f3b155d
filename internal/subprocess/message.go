package subprocess

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// call is what the child is asked to do.
type call string

const (
	callOpen    call = "open"    // the definitions
	callCompute call = "compute" // load inputs and run the function; the child keeps the values
	callStage   call = "stage"   // one of the values
	callResume  call = "resume"  // find what an earlier attempt staged
	callPublish call = "publish" // what was staged or resumed
	callDiscard call = "discard"
	callSettle  call = "settle"
)

// request is a line to the child.
type request struct {
	ID   int64 `json:"id"`
	Call call  `json:"call"`
	// Setup, of open, is the worker's own.
	Setup json.RawMessage `json:"setup,omitempty"`
	// Type is the compute's name.
	Type string `json:"type,omitempty"`
	// Attempt is set where the code takes one; Slot where it takes one.
	Attempt *attempt   `json:"attempt,omitempty"`
	Slot    *step.Slot `json:"slot,omitempty"`
	// Mark, of compute, is what the child writes to both its streams when the function has returned.
	Mark []byte `json:"mark,omitempty"`
	// Output is the index of a value, Handle what stage or resume answered.
	Output   int    `json:"output,omitempty"`
	Handle   int64  `json:"handle,omitempty"`
	Location string `json:"location,omitempty"`
}

// answer is a line from the child: the answer to a request, or, with ID 0, what it tells meanwhile.
type answer struct {
	ID    int64           `json:"id,omitempty"`
	Error *step.ErrorData `json:"error,omitempty"`
	// Outputs are what the function gave, without the values.
	Outputs []output `json:"outputs,omitempty"`
	// Reported and DataVersion are for all outputs.
	Reported    []wire.Metadatum `json:"reported,omitempty"`
	DataVersion string           `json:"data_version,omitempty"`
	Handle      int64            `json:"handle,omitempty"`
	Location    string           `json:"location,omitempty"`

	Log      *record         `json:"log,omitempty"`
	Event    *wire.StepEvent `json:"event,omitempty"`
	Progress *step.Progress  `json:"progress,omitempty"`
}

// output is a step.Output without its value.
type output struct {
	Asset       string           `json:"asset,omitempty"`
	Partition   string           `json:"partition,omitempty"`
	Key         string           `json:"key,omitempty"`
	Metadata    []wire.Metadatum `json:"metadata,omitempty"`
	DataVersion string           `json:"data_version,omitempty"`
}

// record is a log record; Attributes are pairs of a key and a value, as JSON.
type record struct {
	Time       time.Time       `json:"time"`
	Level      slog.Level      `json:"level"`
	Message    string          `json:"message"`
	Attributes json.RawMessage `json:"attributes,omitempty"`
}

// attempt is a step.Attempt as data.
type attempt struct {
	Plan       plan.Step           `json:"plan"`
	Run        string              `json:"run"`
	Cause      string              `json:"cause,omitempty"`
	Tags       map[string]string   `json:"tags,omitempty"`
	Job        string              `json:"job,omitempty"`
	Step       string              `json:"step"`
	MappingKey string              `json:"mapping_key,omitempty"`
	Number     int                 `json:"number"`
	Token      int64               `json:"token"`
	Inputs     []wire.InputVersion `json:"inputs,omitempty"`
	Values     []wire.StepValue    `json:"values,omitempty"`
	// Level is the least that the attempt logs.
	Level slog.Level `json:"level"`
}

func dataOf(a *step.Attempt) *attempt {
	data := &attempt{
		Plan: a.Plan, Run: a.Run, Cause: a.Cause, Tags: a.Tags, Job: a.Job, Step: a.Step, MappingKey: a.MappingKey,
		Number: a.Number, Token: a.Token, Inputs: slices.Collect(maps.Values(a.Inputs)), Values: a.Values, Level: slog.LevelError,
	}
	for _, level := range []slog.Level{slog.LevelWarn, slog.LevelInfo, slog.LevelDebug} {
		if a.Log.Enabled(a, level) {
			data.Level = level
		}
	}
	return data
}
