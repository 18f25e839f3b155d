package step

import (
	"context"
	"errors"
	"log/slog"
	"strings"

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
	// Settle tells an asset's store that the slot's value is recorded; nil when no store wants to hear it.
	Settle func(a *Attempt, slot Slot) error
}

// Slot is where one value goes: an asset's, or the output of an op's step, whose Asset is "".
type Slot struct {
	Asset, Partition string
	// Run and Step are those of an op's output, Key the element's in a dynamic one; "" for an asset.
	Run, Step, Key string
	Token          int64
	// Location is where the value lies, as its record says; it is set to load, and "" to store.
	Location string
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
	// Asset is "" for the value of an op.
	Asset string
	// Partition is the key of the partition that a ranged step made; "" is the step's own.
	Partition string
	// Key is the element's of a dynamic output; "" otherwise.
	Key   string
	Value any
	// Metadata is what the function reported for this output alone.
	Metadata []wire.Metadatum
	// DataVersion replaces the computed one; "" keeps it.
	DataVersion string
}

// AssetPartition names a partition of an asset; Partition is "" for one that is not partitioned.
type AssetPartition struct{ Asset, Partition string }

// InputsByPartition are materializations by what they are of.
func InputsByPartition(versions []wire.InputVersion) map[AssetPartition]wire.InputVersion {
	inputs := make(map[AssetPartition]wire.InputVersion, len(versions))
	for _, version := range versions {
		inputs[AssetPartition{version.Asset, version.Partition}] = version
	}
	return inputs
}

// Attempt is one attempt at a step: what the user's side may know.
type Attempt struct {
	context.Context
	Plan plan.Step
	// Run and Cause are ids; Tags and Job the run's.
	Run   string
	Cause string
	Tags  map[string]string
	Job   string
	// Step is the step's key: of a mapped one Plan.Key[MappingKey].
	Step string
	// MappingKey is the key of a dynamic output that the step is for; "" when it is not mapped.
	MappingKey string
	// Number counts failures of the user's function, from 1.
	Number int
	// Token names what this attempt stages.
	Token int64
	// Inputs are the materializations to load.
	Inputs map[AssetPartition]wire.InputVersion
	// Values are the outputs of ops to load: see [Attempt.ValuesOf].
	Values []wire.StepValue
	// Loaded is what the ops before this one have loaded, of the value of a graph asset.
	Loaded []wire.InputVersion
	Log    *slog.Logger

	reported    []wire.Metadatum
	dataVersion string
	// live is what the runner sees while the function still runs, prints what it prints; nil outside a runner.
	live   *live
	prints *prints
	// relay hears what the function tells where the runner is in another process; nil elsewhere.
	relay Relay
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

// ValuesOf are the stored outputs of an op's step that this one loads: of a plain step one, or none when it was not
// emitted; of one that is mapped, or has a dynamic output, the one for this step's mapping key, or all in the order of
// emission without those that were not emitted.
func (a *Attempt) ValuesOf(stepKey string, take plan.Take) []wire.StepValue {
	instance := func(key string) string { return stepKey + "[" + key + "]" }
	var found []wire.StepValue
	for _, value := range a.Values {
		var taken bool
		switch take {
		case plan.TakeKey:
			taken = value.Step == stepKey && value.Key == a.MappingKey || value.Step == instance(a.MappingKey)
		case plan.TakeAll:
			taken = value.Step == stepKey && value.Key != "" || strings.HasPrefix(value.Step, stepKey+"[")
		default:
			taken = value.Step == stepKey && value.Key == ""
		}
		if taken {
			found = append(found, value)
		}
	}
	return found
}

// ValueSlot is where a stored output of an op's step lies.
func ValueSlot(value wire.StepValue) Slot {
	return Slot{Run: value.Run, Step: value.Step, Key: value.Key, Token: value.Token, Location: value.Location}
}
