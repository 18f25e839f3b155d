package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/selection"
	"github.com/perdure-io/perdure/wire"
)

const maxListed = 5 // names that a message lists

// target is what a request asks for, found in the snapshot.
type target struct {
	// job is nil when the request names assets.
	job *Job
	// assets are the positions of what will be made, ascending by key; ops are those of an op job.
	assets []int
	ops    []int
	// known is whether it could be found out what the request asks for.
	known bool
	// reason says why a step is in the plan.
	reason string
	// subsets are the partitions to make of each of the assets; nil when none of them is partitioned. opSubset is those of an op
	// job that is partitioned.
	subsets  []partition.Subset
	opSubset partition.Subset
}

// resolve finds what a request asks for.
func (p *Planner) resolve(request wire.RunRequest) (target, wire.Problems) {
	switch {
	case !request.Assets.IsZero() && request.Job != "" && (request.Backfill != "" || request.Trigger != nil):
		return p.resolvePart(request)
	case !request.Assets.IsZero() && request.Job != "":
		return target{}, wire.Problems{{Code: wire.CodeConflict, Message: "both assets and a job are given", Fix: `give "assets" or "job"`}}
	case request.Assets.IsZero() && request.Job == "":
		return target{}, wire.Problems{{Code: wire.CodeMissing, Message: "it is not said what to run", Fix: `give "assets", for example "*", or "job"`}}
	case request.Job == "":
		found, problems := p.evaluate("assets", request.Assets)
		reason := "selected by " + request.Assets.Expression
		if request.Assets.Keys != nil {
			reason = "selected by key"
		}
		return target{assets: found, known: len(problems) == 0, reason: reason}, append(problems, noOpsProblems(request)...)
	}
	position, known := p.jobs[request.Job]
	if !known {
		return target{}, wire.Problems{{
			Path: "job", Code: wire.CodeUnknown, Message: fmt.Sprintf("there is no job %q in location %q", request.Job, p.snapshot.Location),
			Fix: wire.FixUnknown(request.Job, slices.Sorted(maps.Keys(p.jobs))),
		}}
	}
	job := &p.snapshot.Jobs[position]
	if job.Ops != nil {
		return p.resolveOps(request, job, p.jobOps[position])
	}
	found, problems := p.evaluate("job", job.Selection)
	for i := range problems {
		problems[i].Path = "job"
		problems[i].Message = fmt.Sprintf("the selection of job %q: %s", job.Name, problems[i].Message)
	}
	reason := fmt.Sprintf("selected by job %s (%s)", job.Name, job.Selection)
	return target{job: job, assets: found, known: len(problems) == 0, reason: reason}, append(problems, noOpsProblems(request)...)
}

// resolvePart finds what a run of a backfill, or of a schedule or sensor, makes of a job: some of its assets, with the job's config
// and all else.
func (p *Planner) resolvePart(request wire.RunRequest) (target, wire.Problems) {
	part := request.Assets
	request.Assets = wire.AssetSelection{}
	whole, problems := p.resolve(request)
	if len(problems) > 0 || whole.ops != nil {
		return whole, problems
	}
	found, problems := p.evaluate("assets", part)
	for _, a := range found {
		if !slices.Contains(whole.assets, a) {
			problems = append(problems, wire.Problem{
				Path: "assets", Code: wire.CodeConflict, Message: fmt.Sprintf("asset %q is not one of job %q", p.snapshot.Assets[a].Key, request.Job), Fix: "leave it out",
			})
		}
	}
	whole.assets, whole.known = found, len(problems) == 0
	return whole, problems
}

// noOpsProblems refuses to narrow what is no op job.
func noOpsProblems(request wire.RunRequest) wire.Problems {
	if request.Ops == "" {
		return nil
	}
	return wire.Problems{{
		Path: "ops", Code: wire.CodeConflict, Message: "it narrows a job of ops, and this run makes assets",
		Fix: `select fewer assets, or give "retry_of" to run steps of an earlier run again`,
	}}
}

// resolveOps finds the ops of an op job, or those that the request narrows it to.
func (p *Planner) resolveOps(request wire.RunRequest, job *Job, ops []int) (target, wire.Problems) {
	wanted := target{job: job, ops: ops, reason: "op of job " + job.Name}
	path := "job"
	if request.Ops != "" {
		path, wanted.reason = "ops", "selected by "+request.Ops
		index, err := p.jobIndex(ops)
		if err != nil {
			return target{}, wire.Problems{{Path: "job", Code: wire.CodeInvalid, Message: err.Error()}}
		}
		keys, problems := chooseSteps("ops", request.Ops, index)
		if len(problems) > 0 {
			return target{job: job}, problems
		}
		wanted.ops = nil
		for _, key := range keys {
			wanted.ops = append(wanted.ops, p.computes[key])
		}
	}
	problems := p.leftOutProblems(path, job, wanted.ops)
	wanted.known = len(problems) == 0
	return wanted, problems
}

// leftOutProblems names every op that needs one which is not among the ops.
func (p *Planner) leftOutProblems(path string, job *Job, ops []int) wire.Problems {
	in := make(map[int]bool, len(ops))
	for _, c := range ops {
		in[c] = true
	}
	var problems wire.Problems
	for _, c := range ops {
		var missing []string
		for _, need := range p.opsOf(c) {
			if name := p.snapshot.Computes[need].Name; !in[need] && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 {
			problems = append(problems, wire.Problem{
				Path: path, Code: wire.CodeInvalid,
				Message: fmt.Sprintf("op %q of job %q needs %s, which is left out", p.snapshot.Computes[c].Name, job.Name, quoted(missing, " and ")),
				Fix:     fmt.Sprintf("select %s too, or leave %q out", quoted(missing, " and "), p.snapshot.Computes[c].Name),
			})
		}
	}
	return problems
}

// opsOf are the ops whose outputs a compute takes, and the one that it is mapped over.
func (p *Planner) opsOf(c int) []int {
	var ops []int
	for _, input := range p.inputs[c] {
		ops = append(ops, input.ops...)
	}
	if over := p.over[c]; over >= 0 {
		ops = append(ops, over)
	}
	return ops
}

// evaluate gives the positions of the assets to make.
func (p *Planner) evaluate(path string, wanted wire.AssetSelection) ([]int, wire.Problems) {
	selected := selection.Keys(wanted.Keys...)
	if wanted.Keys == nil {
		parsed, err := selection.Parse(wanted.Expression)
		if err != nil {
			return nil, wire.Problems{{Path: path, Code: wire.CodeSyntax, Message: err.Error()}}
		}
		selected = parsed
	}
	keys, err := selected.Evaluate(p.index)
	if err != nil {
		return nil, unknownNames(path, wanted, err)
	}
	var problems wire.Problems
	var found, external []int
	for _, key := range keys {
		if a := p.assets[key]; p.computeOf[a] >= 0 {
			found = append(found, a)
		} else {
			external = append(external, a)
		}
	}
	// Through an expression such as airports+ an external asset only says where to begin.
	if wanted.Keys != nil || len(found) == 0 {
		for _, a := range external {
			problems = append(problems, p.externalProblem(path, wanted, a))
		}
	}
	if len(keys) == 0 {
		problems = append(problems, wire.Problem{
			Path: path, Code: wire.CodeInvalid, Message: fmt.Sprintf("%s selects nothing", wanted),
			Fix: fmt.Sprintf("location %q has %d assets: * selects all that are made here", p.snapshot.Location, len(p.assets)),
		})
	}
	if wanted.Keys == nil {
		found = p.withNeighbours(found)
	} else {
		problems = append(problems, p.partialProblems(path, found)...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return found, nil
}

func unknownNames(path string, wanted wire.AssetSelection, err error) wire.Problems {
	var unknown selection.UnknownErrors
	if !errors.As(err, &unknown) {
		return wire.Problems{{Path: path, Code: wire.CodeInvalid, Message: err.Error()}}
	}
	var problems wire.Problems
	for _, one := range unknown {
		problem := wire.Problem{Path: path, Code: wire.CodeUnknown, Message: fmt.Sprintf("there is no %s %q", one.What, one.Name), Fix: "check its spelling"}
		if position := slices.Index(wanted.Keys, one.Name); position >= 0 {
			problem.Path = wire.ItemPath(path, position)
		}
		if len(one.Suggestions) > 0 {
			problem.Fix = "did you mean " + quoted(one.Suggestions, " or ") + "?"
		}
		problems = append(problems, problem)
	}
	return problems
}

func (p *Planner) externalProblem(path string, wanted wire.AssetSelection, asset int) wire.Problem {
	key := p.snapshot.Assets[asset].Key
	if position := slices.Index(wanted.Keys, key); position >= 0 {
		path = wire.ItemPath(path, position)
	}
	problem := wire.Problem{Path: path, Code: wire.CodeInvalid, Message: fmt.Sprintf("asset %q is external: nothing in location %q makes it", key, p.snapshot.Location)}
	var readers []string
	for reader, parents := range p.parents {
		if slices.Contains(parents, key) {
			readers = append(readers, p.snapshot.Assets[reader].Key)
		}
	}
	if len(readers) == 0 {
		problem.Fix = "nothing here reads it either"
		return problem
	}
	slices.Sort(readers)
	problem.Fix = "materialize what reads it: " + listed(readers)
	return problem
}

// withNeighbours adds what can only be made together with what an expression selects: whoever writes +report means
// all that it takes, and no more can be had of a function that makes several assets at once.
func (p *Planner) withNeighbours(selected []int) []int {
	all := slices.Clone(selected)
	for _, a := range selected {
		if c := p.computeOf[a]; !p.snapshot.Computes[c].CanSubset {
			all = append(all, p.outputs[c]...)
		}
	}
	slices.SortFunc(all, func(a, b int) int { return strings.Compare(p.snapshot.Assets[a].Key, p.snapshot.Assets[b].Key) })
	return slices.Compact(all)
}

// partialProblems refuses a part of what can only be made together, when it is named key by key.
func (p *Planner) partialProblems(path string, selected []int) wire.Problems {
	in := make([]bool, len(p.snapshot.Assets))
	for _, a := range selected {
		in[a] = true
	}
	var problems wire.Problems
	told := make([]bool, len(p.snapshot.Computes))
	for _, a := range selected {
		c := p.computeOf[a]
		compute := &p.snapshot.Computes[c]
		if compute.CanSubset || len(compute.Outputs) == 1 || told[c] {
			continue
		}
		var chosen, missing []string
		for _, output := range p.outputs[c] {
			if key := p.snapshot.Assets[output].Key; in[output] {
				chosen = append(chosen, key)
			} else {
				missing = append(missing, key)
			}
		}
		told[c] = true
		if len(missing) > 0 {
			problems = append(problems, wire.Problem{
				Path: path, Code: wire.CodeInvalid,
				Message: fmt.Sprintf("multi-asset %q makes all its assets together, and only %s of them is selected", compute.Name, quoted(chosen, ", ")),
				Fix:     fmt.Sprintf("select %s too, or declare the multi-asset with CanSubset", quoted(missing, " and ")),
			})
		}
	}
	return problems
}

func quoted(names []string, separator string) string {
	marked := make([]string, len(names))
	for i, name := range names {
		marked[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(marked, separator)
}

// listed names the first few.
func listed(names []string) string {
	text := strings.Join(names[:min(len(names), maxListed)], ", ")
	if more := len(names) - maxListed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
