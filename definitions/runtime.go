package definitions

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
)

// Runtime is a location's definitions, ready to run in this process: its code by name, and its open resources. It
// is for Perdure's own packages. All methods may be called concurrently.
type Runtime struct {
	definitions *Definitions
	environment Environment
	snapshot    *plan.Snapshot
	codes       map[string]*step.Code
	computes    map[string]*compute
	jobs        map[string]*Job
	// mappings are the custom ones by name.
	mappings map[string]*customMapping
	pool     *pool
	// schedules and sensors are by name; planner checks what they ask for.
	schedules map[string]*ScheduleOf
	sensors   map[string]*sensor
	planner   func() (*plan.Planner, error)
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
	r := &Runtime{definitions: d, environment: environment, snapshot: snapshot, inProcess: inProcess, codes: map[string]*step.Code{}}
	r.pool = newPool(r, environment.Log)
	r.computes = make(map[string]*compute, len(d.computes))
	for _, c := range d.computes {
		r.computes[c.name] = c
	}
	r.mappings = d.customMappings()
	r.jobs = make(map[string]*Job, len(d.jobs))
	for _, j := range d.jobs {
		r.jobs[j.name] = j
	}
	r.addTriggers()
	for _, lowered := range snapshot.Computes {
		r.codes[lowered.Name] = r.lower(r.computes[lowered.Name], lowered.Shape)
	}
	return r
}

// checkDefaultStorage reports the assets and ops whose values the default storage cannot keep.
func (d *Definitions) checkDefaultStorage(storage IOManager) error {
	var problems ProblemList
	check := func(d *declared, own, nothing, ofOp bool, typ reflect.Type) {
		switch {
		case own || nothing:
		case storage == nil:
			problems = append(problems, d.problem("stored_by", "no IO manager keeps its value, for this process has no default storage",
				"give it StoredBy, or configure a default storage"))
		default:
			if refusal := askForOps(storage); ofOp && refusal != nil {
				problems = append(problems, d.problem("stored_by", "the default storage keeps no outputs of ops: "+refusal.Error(),
					"give it StoredBy with an IO manager that does"))
			}
			if refusal := ask(storage.Accepts, typ); refusal != nil {
				problems = append(problems, d.problem("stored_by", fmt.Sprintf("the default storage does not keep a %v: %v", typ, refusal),
					"change its type, or give it StoredBy with an IO manager that keeps it"))
			}
		}
	}
	for _, a := range d.assets {
		check(&a.declared, a.store != nil, a.isNothing(), false, a.typ)
	}
	for _, c := range d.computes {
		if c.node != nil && len(c.outs) == 0 {
			check(&c.declared, c.store != nil, c.node.noValue(), true, c.node.typ)
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
	return &step.Code{
		Type: c.name, Shape: shape,
		Compute: func(a *step.Attempt) ([]step.Output, error) {
			a.Log = r.withLoggers(a)
			context := contextOf(a)
			s := newScope(r, c, a, context)
			for _, stored := range c.kept(a.Requested()) {
				if err := s.prepare(stored); err != nil {
					return nil, err
				}
			}
			outputs, err := s.outputs(c)
			if err != nil {
				return nil, err
			}
			if err := c.checkOutputs(outputs); err != nil {
				return nil, err
			}
			reported := context.Reported()
			countRows(outputs, reported)
			return outputs, handOver(a, reported)
		},
		Stage: func(a *step.Attempt, slot step.Slot, value any) (step.Staged, error) {
			return r.stage(c, a, slot, value)
		},
		Resume: func(a *step.Attempt, slot step.Slot, location string) (step.Staged, error) {
			return r.resume(c, a, slot, location)
		},
		Settle: func(a *step.Attempt, slot step.Slot) error { return r.settle(c, a, slot) },
	}
}

// outputs are what the user's function gives, or what was given in its place.
func (s *scope) outputs(c *compute) ([]step.Output, error) {
	if !s.runtime.inProcess.gives(c) {
		return c.run(s)
	}
	given := s.runtime.inProcess.outputs[c.node]
	if elements, ok := given.([]step.Output); ok && c.node.fanOut {
		return elements, nil
	}
	return c.emit(given), nil
}

// kept is a value that a step stores: an asset's, or an op's.
type kept struct {
	// text is what messages call it, object what declares it.
	text, object string
	typ          reflect.Type
	store        *storage
	// nothing says that there is no value; inMemory, given the runtime, that the process's own storage takes it.
	nothing  bool
	inMemory func(*inProcess) bool
	// ofOp says that it belongs to a run, not to an asset.
	ofOp bool
}

func keptAsset(a *asset) kept {
	return kept{strconv.Quote(a.name), a.object(), a.typ, a.store, a.isNothing(), func(p *inProcess) bool { return p.keeps(a) }, false}
}

func keptOutput(c *compute) kept {
	return kept{"the value of " + c.object(), c.object(), c.node.typ, c.store, c.node.noValue(), func(p *inProcess) bool { return p != nil }, true}
}

// kept is what a step stores that is asked for some assets.
func (c *compute) kept(requested []string) []kept {
	if c.node != nil && len(c.outs) == 0 {
		return []kept{keptOutput(c)}
	}
	var all []kept
	for _, out := range c.outs {
		if slices.Contains(requested, out.name) {
			all = append(all, keptAsset(out))
		}
	}
	return all
}

// keptIn is what goes into a slot; ok is false when this compute does not make it.
func (c *compute) keptIn(slot step.Slot) (k kept, ok bool) {
	if slot.Asset == "" {
		return keptOutput(c), c.node != nil
	}
	for _, out := range c.outs {
		if out.name == slot.Asset {
			return keptAsset(out), true
		}
	}
	return kept{}, false
}

// manager is the opened IO manager of what is stored.
func (s *scope) manager(k kept) (IOManager, error) {
	reader, err := s.opened(k.store, k.object, k.inMemory(s.runtime.inProcess))
	manager, _ := reader.(IOManager) // it is one: no other option of what is made here than StoredBy gives it
	return manager, err
}

// prepare opens an output's IO manager before anything is computed, so that a store which cannot be reached or does
// not keep the type costs no work.
func (s *scope) prepare(k kept) error {
	if k.nothing {
		return nil
	}
	manager, err := s.manager(k)
	if err != nil {
		return fmt.Errorf("store %s: %w", k.text, err)
	}
	if k.store == nil || k.inMemory(s.runtime.inProcess) {
		return nil // its type was checked with the definitions
	}
	if k.ofOp {
		if refusal := askForOps(manager); refusal != nil {
			return fmt.Errorf("store %s: its IO manager keeps no outputs of ops: %w", k.text, refusal)
		}
	}
	if refusal := ask(manager.Accepts, k.typ); refusal != nil {
		return fmt.Errorf("store %s: its IO manager does not keep a %v: %w", k.text, k.typ, refusal)
	}
	return nil
}
