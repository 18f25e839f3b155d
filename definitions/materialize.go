package definitions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

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
	return newMaterialization(d, "Materialize", opts).materialize(ctx)
}

// materialization is one call of Materialize, or of RunJob.
type materialization struct {
	definitions *Definitions
	// job is RunJob's.
	job         *Job
	isJob       bool
	only        []AnyAsset
	isOnly      bool
	external    []AnyAsset
	allExternal bool
	inProcess   *inProcess
	given       []need
	// partitions is which are to be made, as a request says it; asOf and dynamic are which exist.
	partitions wire.RunRequest
	asOf       time.Time
	dynamic    map[string][]string
	runConfig  RunConfig
	configured []configured
	problems   []error
	// byKey are the assets by key, once somebody asks.
	byKey map[string]*asset

	runtime *Runtime
	plan    *plan.Plan
	result  *Result
}

func newMaterialization(d *Definitions, name string, opts []MaterializeOption) *materialization {
	m := &materialization{
		definitions: d, result: &Result{}, asOf: time.Now(), dynamic: map[string][]string{},
		inProcess: &inProcess{replaced: map[any]any{}, parts: map[*asset]map[string]any{}, outputs: map[*node]any{}, loads: map[*asset]bool{}},
	}
	for _, o := range opts {
		if o == nil {
			m.fail("%s is given a nil option: leave it out", name)
			continue
		}
		o.applyMaterialize(m)
	}
	return m
}

func (m *materialization) materialize(ctx context.Context) *Result {
	if err := m.prepare(); err != nil {
		m.problems = append(m.problems, err)
	}
	m.result.definitions, m.result.inProcess = m.definitions, m.inProcess
	if m.result.refused = errors.Join(m.problems...); m.result.refused != nil {
		return m.result
	}
	m.run(ctx)
	return m.result
}

func (m *materialization) fail(format string, args ...any) {
	m.problems = append(m.problems, fmt.Errorf(format, args...))
}

// prepare validates, plans, and finds what cannot work before anything runs.
func (m *materialization) prepare() error {
	if err := m.definitions.Validate(); err != nil {
		return err
	}
	m.plan = &plan.Plan{}
	m.checkJob()
	m.checkGiven()
	m.loadExternal()
	lowering := &lowering{definitions: m.definitions, inProcess: m.inProcess}
	snapshot, err := lowering.snapshot()
	if err != nil {
		return err
	}
	memory := newMemory()
	m.result.memory = memory
	m.runtime = newRuntime(m.definitions, snapshot, Environment{Storage: memory, Log: slog.Default()}, m.inProcess)
	if len(m.problems) > 0 && m.isJob {
		return nil
	}
	request, ok, err := m.request(snapshot)
	if err != nil || !ok || len(m.problems) > 0 {
		return err
	}
	planner, err := plan.NewPlanner(snapshot, m.runtime)
	if err != nil {
		return err
	}
	m.plan, err = planner.Plan(request, plan.Facts{RunID: processRun, Now: m.asOf, Dynamic: m.dynamic})
	return err
}

// checkJob refuses what RunJob cannot run.
func (m *materialization) checkJob() {
	switch {
	case !m.isJob:
	case m.job == nil || m.job.at == "":
		m.fail("RunJob is given a job that was never declared: declare it with AssetJob or OpJob")
	case !slices.Contains(m.definitions.jobs, m.job):
		m.fail("RunJob is given %s (%s), which is not among the definitions: add it to New(%q, …)", m.job.object(), m.job.at, m.definitions.location.name)
	case m.isOnly:
		m.fail("RunJob is given Only: a job says itself what it makes")
	}
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
		if c.node != nil {
			known[outputID{needOp, c.node}] = true
		}
		if mapped := c.mappedConfig(); mapped != nil {
			known[mapped.outer] = true
		}
	}
	for _, r := range d.resources {
		known[r] = true
		enter(r.needs)
	}
	for a := range m.inProcess.parts {
		if _, whole := m.inProcess.given(a); whole {
			m.fail("%s is given whole and in partitions: leave Given or GivenPartition out", a.object())
		}
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
		if n.part.name != "" {
			return n.part.name + " of " + n.asset.object()
		}
		return n.asset.object()
	case needResource:
		return n.resource.object()
	case needConfig:
		return n.config.object()
	case needAll:
		return "an All"
	case needView:
		return "a View"
	case needOp:
		return n.node.object()
	case needElement:
		return fmt.Sprintf("an element of %q", n.node.name)
	case needCollect:
		return fmt.Sprintf("the Collect of %q", n.node.name)
	case needSuccess:
		return "TheSuccess"
	case needFailure:
		return "TheFailure"
	case needRequested:
		return "Requested"
	case needMappingKey:
		return "MappingKey"
	case needPartition:
		return fmt.Sprintf("the %s of the %s", n.source, n.partitions.object())
	case needPrevious:
		return "a Previous"
	case needReport:
		return "ReportByKey"
	case needTick:
		if n.tick == tickEvents {
			return fmt.Sprintf("Events[%v]", n.payload.typ)
		}
		if n.tick == tickCursor {
			return fmt.Sprintf("CursorOf[%v]", n.typ)
		}
		return string(n.tick)
	case needOrElse:
		return "an OrElse"
	case needLiteral:
		return "a Literal"
	default:
		return "a source"
	}
}
