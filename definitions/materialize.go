package definitions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// processRun is the id of the one run that an in-process materialization is.
const processRun = "in-process"

// closeWithin bounds how long the resources of a materialization may take to close.
const closeWithin = 30 * time.Second

// Materialize computes assets in this process, without any server: the same steps with the same retries as a real
// run, values and records in memory. It is for tests, and returns when everything has ended. A failure stops what
// needs it and nothing else.
//
// Every asset is stored in memory, whatever its IO manager is, and handed on as it is, not copied. An external
// asset that something reads must be [Given], or named in [LoadExternal]: a test touches no store that it does not name.
func Materialize(ctx context.Context, d *Definitions, opts ...MaterializeOption) *Result {
	m := &materialization{
		definitions: d, result: &Result{},
		inProcess: &inProcess{replaced: map[any]any{}, loads: map[*asset]bool{}},
	}
	for _, o := range opts {
		if o == nil {
			m.fail("Materialize is given a nil option: leave it out")
			continue
		}
		o.applyMaterialize(m)
	}
	if err := m.prepare(); err != nil {
		m.problems = append(m.problems, err)
	}
	m.result.replaced = m.inProcess.replaced
	if m.result.refused = errors.Join(m.problems...); m.result.refused != nil {
		return m.result
	}
	m.run(ctx)
	return m.result
}

// materialization is one call of Materialize.
type materialization struct {
	definitions *Definitions
	only        []AnyAsset
	isOnly      bool
	external    []AnyAsset
	allExternal bool
	inProcess   *inProcess
	given       []need
	runConfig   RunConfig
	configured  []configured
	problems    []error

	runtime *Runtime
	plan    *plan.Plan
	result  *Result
}

func (m *materialization) fail(format string, args ...any) {
	m.problems = append(m.problems, fmt.Errorf(format, args...))
}

// prepare validates, plans, and finds what cannot work before anything runs.
func (m *materialization) prepare() error {
	if err := m.definitions.Validate(); err != nil {
		return err
	}
	m.checkGiven()
	m.loadExternal()
	lowering := &lowering{definitions: m.definitions, inProcess: m.inProcess}
	snapshot, err := lowering.snapshot()
	if err != nil {
		return err
	}
	planner, err := plan.NewPlanner(snapshot)
	if err != nil {
		return err
	}
	memory := newMemory()
	m.result.memory = memory
	m.runtime = newRuntime(m.definitions, snapshot, Environment{Storage: memory, Log: slog.Default()}, m.inProcess)
	keys := m.wanted(snapshot)
	if len(keys) == 0 || len(m.problems) > 0 {
		m.plan = &plan.Plan{}
		return nil
	}
	config, err := m.definitions.runConfig(m.runConfig, m.configured)
	if err != nil {
		return err
	}
	m.plan, err = planner.Plan(wire.RunRequest{Assets: wire.AssetSelection{Keys: keys}, Config: config}, plan.Facts{RunID: processRun})
	return err
}

// checkGiven refuses to replace what nothing binds: a test that does would not test what it says.
func (m *materialization) checkGiven() {
	d := m.definitions
	known := map[any]bool{}
	enter := func(needs []need) {
		for _, n := range needs {
			n.each(nil, func(n need) { known[n.id] = true })
		}
	}
	for _, a := range d.assets {
		known[a] = true
	}
	for _, c := range d.computes {
		enter(c.needs)
	}
	for _, r := range d.resources {
		known[r] = true
		enter(r.needs)
	}
	for _, n := range m.given {
		if !known[n.id] {
			m.fail("Given replaces %s, which nothing in location %q binds", n.describe(), d.location.name)
		}
	}
}

// loadExternal finds the external assets that their own managers are to load.
func (m *materialization) loadExternal() {
	listed := setOf(m.definitions.assets)
	for _, handle := range m.external {
		a := baseOf(handle)
		switch {
		case a == nil:
			m.fail("LoadExternal names an asset handle that was never declared: declare it first")
		case !listed[a]:
			m.fail("LoadExternal names %s (%s), which is not among the definitions: add it to New(%q, …)", a.object(), a.at, m.definitions.location.name)
		case !a.external:
			m.fail("LoadExternal names %s (%s), which is not external: it is computed; give it with Given to leave that out", a.object(), a.at)
		case a.store == nil:
			m.fail("LoadExternal names %s (%s), which only the instance's default storage keeps: give it with Given, or declare it with LoadedBy", a.object(), a.at)
		default:
			m.inProcess.loads[a] = true
		}
	}
	if m.allExternal {
		for _, a := range m.definitions.assets {
			if a.external && a.store != nil {
				m.inProcess.loads[a] = true
			}
		}
	}
}

// describe names a source in a message.
func (n need) describe() string {
	switch n.kind {
	case needAsset:
		return n.asset.object()
	case needResource:
		return n.resource.object()
	case needConfig:
		return n.config.object()
	case needAll:
		return "an All"
	case needView:
		return "a View"
	default:
		return "a source"
	}
}

// wanted are the keys of all that must be computed, sorted: what is asked for, and upstream of it what is not given.
func (m *materialization) wanted(snapshot *plan.Snapshot) []string {
	computes := make(map[string]*plan.Compute, len(snapshot.Computes))
	for i := range snapshot.Computes {
		computes[snapshot.Computes[i].Name] = &snapshot.Computes[i]
	}
	assets := make(map[string]*asset, len(m.definitions.assets))
	for _, a := range m.definitions.assets {
		assets[a.name] = a
	}
	var queue []*asset
	if m.isOnly {
		for _, handle := range m.only {
			a := baseOf(handle)
			switch {
			case a == nil:
				m.fail("Only names an asset handle that was never declared: declare it first")
			case assets[a.name] != a:
				m.fail("Only names %s (%s), which is not among the definitions: add it to New(%q, …)", a.object(), a.at, m.definitions.location.name)
			case a.external && !m.isReplaced(a):
				m.fail("Only names %s, which is external: nothing here makes it", a.object())
			default:
				queue = append(queue, a)
			}
		}
	} else {
		for _, a := range m.definitions.assets {
			if !a.external {
				queue = append(queue, a)
			}
		}
	}
	wanted := map[string]bool{}
	for len(queue) > 0 {
		a := queue[0]
		queue = queue[1:]
		if wanted[a.name] || m.isReplaced(a) {
			continue
		}
		outs := []*asset{a}
		if !a.maker.canSubset {
			outs = a.maker.outs // made together, whether given or not
		}
		for _, out := range outs {
			wanted[out.name] = true
		}
		for _, input := range computes[a.maker.name].Inputs {
			for _, key := range input.Assets {
				needed := assets[key]
				if !needed.external {
					queue = append(queue, needed)
				} else if input.Kind != plan.InputAfter && !m.inProcess.loads[needed] {
					m.fail("%s loads %s (%s), which is external: give it with Given, or have its own manager read it with LoadExternal",
						a.object(), needed.object(), needed.at)
				}
			}
		}
	}
	keys := make([]string, 0, len(wanted))
	for key := range wanted {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (m *materialization) isReplaced(a *asset) bool {
	_, replaced := m.inProcess.given(a)
	return replaced
}

// ended is a step that is done.
type ended struct {
	number int
	result wire.StepResult
	err    error
}

// run walks the plan as the workflow does, with steps as goroutines.
func (m *materialization) run(ctx context.Context) {
	walk := &m.plan.Walk
	ledger := newMemoryLedger(m.plan)
	progress := plan.NewProgress(walk)
	m.result.begin(m.plan, progress, ledger)
	runner := &step.Runner{Ledger: ledger, Log: slog.Default(), Worker: "this process", Random: rand.Float64}
	results := make(chan ended)
	running, limit := 0, 2*runtime.GOMAXPROCS(0)
	for !progress.Done() {
		for running < limit && ctx.Err() == nil {
			number, ok := progress.NextReady()
			if !ok {
				break
			}
			running++
			go func() {
				result, err := m.step(ctx, runner, walk.Steps[number])
				results <- ended{number, result, err}
			}()
		}
		if running == 0 {
			progress.CancelRest() // nothing runs and nothing may start: ctx has ended
			m.result.canceled = context.Cause(ctx)
			break
		}
		end := <-results
		running--
		var interrupted *step.InterruptedError
		switch {
		case end.err == nil:
			progress.Succeed(end.number, end.result.NotEmitted, end.result.Keys)
		case errors.As(end.err, &interrupted):
			m.result.canceled = context.Cause(ctx)
			progress.Cancel(end.number)
		default:
			m.result.failures[end.number] = end.err
			progress.Fail(end.number)
		}
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	m.result.closing = m.runtime.Close(closing)
}

// step makes attempts until the step is done or has no retry left.
func (m *materialization) step(ctx context.Context, runner *step.Runner, planned plan.WalkStep) (wire.StepResult, error) {
	code, ok := m.runtime.Code(planned.ActivityType())
	if !ok {
		return wire.StepResult{}, fmt.Errorf("there is no code for %q", planned.ActivityType())
	}
	scheduled := time.Now()
	for {
		id := step.Identity{Run: processRun, Step: planned.Key, Scheduled: scheduled, Started: time.Now()}
		result, err := runner.Run(ctx, code, id, silentHeart{})
		var failed *step.FailedError
		if !errors.As(err, &failed) || failed.Final {
			return result, err
		}
		delay := failed.Delay
		if m.inProcess.retryAtOnce {
			delay = 0
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return wire.StepResult{}, &step.InterruptedError{Step: planned.Key, Cause: err}
		}
	}
}

// silentHeart is a heartbeat that nobody hears: nobody takes over a step in process.
type silentHeart struct{}

func (silentHeart) Beat(step.Beat)                {}
func (silentHeart) Previous() *step.StagedOutputs { return nil }
