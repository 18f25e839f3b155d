package definitions

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// RunJob runs a job in this process, as [Materialize] does for assets: the same steps with the same skips, retries and
// dynamic outputs as a real run, values and records in memory. [Value.In] and [Fan.In] read what its ops gave,
// [Result.OpStatus] says how they ended.
//
// An asset that the job loads and does not make must be [Given], or be external and named in [LoadExternal]. What is
// Given is neither computed nor does it need anything; only ops that others of the job need still run.
func RunJob(ctx context.Context, d *Definitions, job *Job, opts ...MaterializeOption) *Result {
	m := newMaterialization(d, "RunJob", opts)
	m.job, m.isJob = job, true
	return m.materialize(ctx)
}

// GivenFan has an op with a dynamic output give these elements: it is then not called, and needs nothing.
func GivenFan[T any](fan *Fan[T], elements ...Keyed[T]) MaterializeOption {
	n := fan.op()
	return materializeOption(func(m *materialization) {
		switch {
		case n == nil:
			m.fail("GivenFan is to replace a fan that was never declared: declare it with FanOut")
		case !n.fanOut:
			m.fail("GivenFan is to replace what a Map makes of %q: give that fan, or the value of op %q with Given", n.over.name, n.name)
		default:
			m.inProcess.outputs[n] = elementsOf(elements)
			m.given = append(m.given, need{kind: needOp, id: outputID{needOp, n}, node: n})
		}
	})
}

// jobName is the job that stands for what Materialize is asked for; no other can have this name.
const jobName = "in process"

// request makes the request that is planned. It adds the typed config to the job, whose config is for whatever of it is
// in the run, and narrows it to what is not given. ok is false when there is nothing to run.
func (m *materialization) request(snapshot *plan.Snapshot) (request wire.RunRequest, ok bool, err error) {
	job := plan.Job{Name: jobName}
	if m.job != nil {
		job = snapshot.Jobs[slices.IndexFunc(snapshot.Jobs, func(j plan.Job) bool { return j.Name == m.job.name })]
	}
	switch {
	case m.job == nil:
		job.Selection = wire.AssetSelection{Keys: m.wanted(snapshot, m.asked(), true)}
		ok = len(job.Selection.Keys) > 0
	case m.job.isOps:
		inJob := setOf(job.Ops)
		for i := range snapshot.Computes {
			if c := &snapshot.Computes[i]; inJob[c.Name] {
				m.loads(c, func(needed *asset) { m.notMade(c, needed) })
			}
		}
		ok = true
	default:
		selected, err := m.selected(job.Selection)
		if err != nil {
			return request, false, err
		}
		job.Selection = wire.AssetSelection{Keys: m.wanted(snapshot, selected, false)}
		ok = len(job.Selection.Keys) > 0
	}
	if job.Config, err = m.definitions.overConfig(job.Config, m.runConfig, m.configured); err != nil {
		return request, false, err
	}
	snapshot.Jobs = []plan.Job{job}
	request = m.partitions
	request.Job = job.Name
	if m.runConfig != "" {
		request.Config = json.RawMessage(m.runConfig)
	}
	return request, ok, nil
}

// selected are the assets that an asset job makes when nothing is given.
func (m *materialization) selected(selection wire.AssetSelection) ([]*asset, error) {
	snapshot, err := m.definitions.Snapshot()
	if err != nil {
		return nil, err
	}
	planner, err := plan.NewPlanner(snapshot, m.runtime)
	if err != nil {
		return nil, err
	}
	keys, err := planner.Select(selection)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.job.object(), err)
	}
	var found []*asset
	for _, a := range m.definitions.assets {
		if !a.external && slices.Contains(keys, a.name) {
			found = append(found, a)
		}
	}
	return found, nil
}
