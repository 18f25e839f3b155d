package definitions

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
)

// Runtime is a location's definitions, ready to run in this process: its code by name, and its open resources. It
// is for Perdure's own packages. All methods may be called concurrently.
type Runtime struct {
	environment Environment
	snapshot    *plan.Snapshot
	codes       map[string]*step.Code
	pool        *pool
	// inProcess is Materialize's; nil in a worker.
	inProcess *inProcess
}

// NewRuntime validates the definitions and lowers them. The error holds a [ProblemList] when they are not valid,
// also when the default storage is missing or cannot store an asset that has no other.
func NewRuntime(d *Definitions, environment Environment) (*Runtime, error) {
	snapshot, err := d.Snapshot()
	if err != nil {
		return nil, err
	}
	if err := d.checkDefaultStorage(environment.Storage); err != nil {
		return nil, err
	}
	return newRuntime(d, snapshot, environment, nil), nil
}

func newRuntime(d *Definitions, snapshot *plan.Snapshot, environment Environment, inProcess *inProcess) *Runtime {
	if environment.Log == nil {
		environment.Log = slog.Default()
	}
	r := &Runtime{environment: environment, snapshot: snapshot, inProcess: inProcess, codes: map[string]*step.Code{}}
	r.pool = newPool(r, environment.Log)
	computes := make(map[string]*compute, len(d.computes))
	for _, c := range d.computes {
		computes[c.name] = c
	}
	for _, lowered := range snapshot.Computes {
		r.codes[lowered.Name] = r.lower(computes[lowered.Name], lowered.Shape)
	}
	return r
}

// checkDefaultStorage reports the assets that the default storage cannot keep.
func (d *Definitions) checkDefaultStorage(storage IOManager) error {
	var problems ProblemList
	for _, a := range d.assets {
		switch {
		case a.store != nil || a.isNothing():
		case storage == nil:
			problems = append(problems, a.problem("stored_by", "no IO manager keeps its value, for this process has no default storage",
				"give it StoredBy, or configure a default storage"))
		default:
			if refusal := ask(storage.Accepts, a.typ); refusal != nil {
				problems = append(problems, a.problem("stored_by", fmt.Sprintf("the default storage does not keep a %v: %v", a.typ, refusal),
					"change its type, or give it StoredBy with an IO manager that keeps it"))
			}
		}
	}
	return problems.err()
}

// Snapshot is the definitions as data.
func (r *Runtime) Snapshot() *plan.Snapshot { return r.snapshot }

// Code is what runs the compute of that name: an asset's key, or a multi-asset's name. ok is false when this
// location has none.
func (r *Runtime) Code(computeName string) (code *step.Code, ok bool) {
	code, ok = r.codes[computeName]
	return code, ok
}

// Close closes the open resources in the reverse order of opening. It attempts all, joins their errors, and waits
// for none beyond the end of ctx. Steps that ask for a resource afterwards fail.
func (r *Runtime) Close(ctx context.Context) error { return r.pool.close(ctx) }

func (r *Runtime) lower(c *compute, shape string) *step.Code {
	assets := make(map[string]*asset, len(c.outs))
	for _, out := range c.outs {
		assets[out.name] = out
	}
	return &step.Code{
		Type: c.name, Shape: shape,
		Compute: func(a *step.Attempt) ([]step.Output, error) {
			context := contextOf(a)
			s := newScope(r, a, context)
			for _, key := range a.Requested() {
				if err := s.prepare(assets[key]); err != nil {
					return nil, err
				}
			}
			outputs, err := c.run(s)
			if err != nil {
				return nil, err
			}
			reported := context.Reported()
			countRows(outputs, reported)
			return outputs, handOver(a, reported)
		},
		Stage: func(a *step.Attempt, slot step.Slot, value any) (step.Staged, error) {
			return r.stage(assets[slot.Asset], a, slot, value)
		},
		Resume: func(a *step.Attempt, slot step.Slot, location string) (step.Staged, error) {
			return r.resume(assets[slot.Asset], a, slot, location)
		},
	}
}

// prepare opens an output's IO manager before anything is computed, so that a store which cannot be reached or does
// not keep the type costs no work.
func (s *scope) prepare(a *asset) error {
	if a == nil || a.isNothing() {
		return nil
	}
	manager, err := s.manager(a)
	if err != nil {
		return fmt.Errorf("store %q: %w", a.name, err)
	}
	if a.store == nil || s.runtime.inProcess.keeps(a) {
		return nil // its type was checked with the definitions
	}
	if refusal := ask(manager.Accepts, a.typ); refusal != nil {
		return fmt.Errorf("store %q: its IO manager does not keep a %v: %w", a.name, a.typ, refusal)
	}
	return nil
}
