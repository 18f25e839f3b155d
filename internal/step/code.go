package step

import (
	"context"
	"errors"
	"log/slog"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// ErrUnavailable marks an error of a ledger or a store that cannot be reached: the step is tried
// again on the infrastructure's account, not on the user's retries.
var ErrUnavailable = errors.New("unavailable")

// ErrNotResumable says that an IO manager cannot find again what an earlier attempt staged.
var ErrNotResumable = errors.New("staged output cannot be resumed")

// Code is the user's side of one compute, as definitions lower it.
type Code struct {
	// Type is the compute's name; Shape the hash that a plan's step must have.
	Type  string
	Shape string
	// Compute loads the inputs and runs the user's function.
	Compute func(*Attempt) ([]Output, error)
	// Stage writes an output so that nobody sees it yet.
	Stage func(a *Attempt, slot Slot, value any) (Staged, error)
	// Resume finds what an earlier attempt staged in the slot, or answers ErrNotResumable.
	Resume func(a *Attempt, slot Slot, location string) (Staged, error)
}

// Slot is where one value goes.
type Slot struct {
	Asset, Partition string
	Token            int64
}

// Staged is a value that is written and not yet published.
type Staged interface {
	// Location says where the value will lie once published.
	Location() string
	Publish(context.Context) error
	Discard(context.Context) error
}

// Output is one value that the user's function produced.
type Output struct {
	Asset string
	Value any
	// Metadata is what the function reported for this output alone.
	Metadata []wire.Metadatum
	// DataVersion replaces the computed one; "" keeps it.
	DataVersion string
}

// Attempt is one attempt at a step: what the user's side may know.
type Attempt struct {
	context.Context
	Plan plan.Step
	// Run and Cause are ids; Tags the run's.
	Run   string
	Cause string
	Tags  map[string]string
	// Number counts failures of the user's function, from 1.
	Number int
	// Token names what this attempt stages.
	Token int64
	// Inputs are the materializations to load, by asset key.
	Inputs map[string]wire.InputVersion
	Log    *slog.Logger

	reported    []wire.Metadatum
	dataVersion string
}

// Report adds metadata to every output of the step.
func (a *Attempt) Report(metadata ...wire.Metadatum) { a.reported = append(a.reported, metadata...) }

// ReportDataVersion replaces the computed data version of every output.
func (a *Attempt) ReportDataVersion(version string) { a.dataVersion = version }

// Requested are the keys of the assets that this step is asked for.
func (a *Attempt) Requested() []string {
	keys := make([]string, len(a.Plan.Outputs))
	for i, output := range a.Plan.Outputs {
		keys[i] = output.Asset
	}
	return keys
}
