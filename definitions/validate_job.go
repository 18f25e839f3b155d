package definitions

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// jobs checks each job by itself, and then as the planner will, over as much of the graph as is valid.
func (v *validation) jobs() {
	var plannable []*Job
	names := map[string]bool{}
	for _, j := range v.definitions.jobs {
		if v.job(j) && !names[j.name] {
			names[j.name] = true
			plannable = append(plannable, j)
		}
	}
	if len(plannable) > 0 {
		v.planJobs(plannable)
	}
}

// job checks what is one job's own, and says whether it can be planned.
func (v *validation) job(j *Job) bool {
	before := len(v.problems)
	v.problems = append(v.problems, j.problems()...)
	for _, problem := range plan.RunTagProblems("tags", j.tags) {
		v.add(j.problem(problem.Path, problem.Message, problem.Fix))
	}
	for _, f := range j.retries.faults() {
		v.add(j.problem(f.field, f.message, f.fix))
	}
	if j.options["Priority"] && (j.priority < 1 || j.priority > Priority(wire.PriorityBackfill)) {
		v.add(j.problem("priority", fmt.Sprintf("the priority is %d", j.priority), "use 1 to 5, 1 first"))
	}
	if j.selection.undeclared > 0 {
		v.add(j.problem("selection", "it selects an asset handle that was never declared", "declare it with Asset, OptionalAsset, External or Output"))
	}
	for _, a := range once(slices.Clone(j.selection.assets)) {
		if !v.listed[a] {
			v.add(v.unlisted(&j.declared, "selection", &a.declared))
		}
	}
	if _, err := j.selection.parsed(); err != nil && !j.isOps {
		v.add(j.problem("selection", err.Error(), "correct the expression"))
	}
	v.jobControl(j)
	if _, err := v.definitions.runConfig(j.runConfig, j.configured); err != nil {
		v.wire(&j.declared, wire.ProblemsOf(err).Below("config"))
	}
	return len(v.problems) == before
}

// wire reports problems of a request as problems of the declaration that will make it.
func (v *validation) wire(d *declared, problems wire.Problems) {
	for _, p := range problems {
		fix := p.Fix
		if fix == "" {
			fix = "correct it"
		}
		v.add(d.problem(p.Path, p.Message, fix))
	}
}

// ofJob gives the planner's problems with a job the places they have in the job: a request sees only that its job
// is at fault.
func ofJob(name string, problems wire.Problems) wire.Problems {
	var found wire.Problems
	for _, p := range problems {
		if p.Code == wire.CodeMissing && (strings.HasPrefix(p.Path, "config") || p.Path == "partition") {
			continue // a required config, or which partitions: the request brings them
		}
		if message, cut := strings.CutPrefix(p.Message, fmt.Sprintf("the selection of job %q: ", name)); cut {
			p.Path, p.Message = "selection", message
		}
		if message, cut := strings.CutPrefix(p.Message, fmt.Sprintf("the config of job %q: ", name)); cut {
			p.Path, p.Message, _ = strings.Cut(message, ": ")
		}
		found = append(found, p)
	}
	return found
}

// planJobs reports what the planner would refuse. It needs a graph: where names are not unique, or needs unknown,
// there are problems enough already, and needs that cannot be met are left out. That a required config is missing
// is no problem of a job, for the request may bring it.
func (v *validation) planJobs(jobs []*Job) {
	part := *v.definitions
	part.jobs, part.schedules, part.sensors = jobs, nil, nil
	lowering := lowering{definitions: &part, without: func(c *compute, a *asset) bool { return v.cyclic[c] || !v.listed[a] }}
	snapshot, err := lowering.snapshot()
	if err != nil {
		return
	}
	planner, err := plan.NewPlanner(snapshot, nil)
	if err != nil {
		return
	}
	v.planner = planner
	for _, j := range jobs {
		_, err := planner.Plan(wire.RunRequest{Job: j.name}, plan.Facts{})
		problems := slices.DeleteFunc(wire.ProblemsOf(err), func(p wire.Problem) bool {
			return p.Path == "partition" && p.Code == wire.CodeMissing // a job is not told which partitions before it runs
		})
		v.wire(&j.declared, ofJob(j.name, problems))
		v.jobRoots(planner, j)
		if contents, err := planner.JobContents(j.name); err == nil {
			v.jobHookConfigs(j, contents)
		}
	}
}

// jobRoots checks that there is one set of partitions that a run of the job can be asked for.
func (v *validation) jobRoots(planner *plan.Planner, j *Job) {
	existing := planner.Existing(time.Now(), nil)
	_, problems := planner.Target(wire.RunRequest{Job: j.name, AllPartitions: true}, existing)
	for _, p := range problems {
		if p.Code == wire.CodeNoRoot {
			v.add(j.problem("selection", p.Message, "select less, or one asset that all others are made from"))
		}
	}
}
