package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

// again is a request as it is planned: of a run that executes another one again, with that one's under it.
type again struct {
	// parent is the run that is executed again; nil for a request that names none.
	parent *ParentRun
	from   wire.RetryFrom
	// merged is the request as a whole; target the part that says what the run is made of.
	merged wire.RunRequest
	target wire.RunRequest
	// scope is the selection of steps that the parent was restricted to, when it executed a part of another run again.
	scope string
	// unknown is whether the request cannot be looked at any further.
	unknown bool
}

// again lays a request over that of the run that it executes again.
func (p *Planner) again(request wire.RunRequest, facts Facts) (*again, wire.Problems, error) {
	if request.RetryOf == nil {
		return &again{merged: request, target: request}, nil, nil
	}
	a := &again{parent: facts.Parent, from: request.RetryOf.From}
	if a.from == "" {
		a.from = wire.RetryFailure
	}
	var problems wire.Problems
	add := func(path, code, message, fix string) {
		problems = append(problems, wire.Problem{Path: path, Code: code, Message: message, Fix: fix})
	}
	if !request.Assets.IsZero() || request.Job != "" {
		add("retry_of", wire.CodeConflict, "assets or a job are given, and those of the earlier run are executed again", `leave "assets" and "job" out`)
	}
	for _, field := range givenPartitions(request) {
		add(field, wire.CodeConflict, "partitions are given, and those of the earlier run are executed again", fmt.Sprintf("leave %q out", field))
	}
	for _, field := range []struct{ path, value string }{{"only", string(request.Only)}, {"as_of", request.AsOf}} {
		if field.value != "" {
			add(field.path, wire.CodeConflict, "it says which partitions there are, and those of the earlier run are executed again", fmt.Sprintf("leave %q out", field.path))
		}
	}
	switch a.from {
	case wire.RetrySelection:
		if request.Ops == "" {
			add("ops", wire.CodeMissing, "it is not said which steps run again", `give "ops", for example "clean*", or another "from"`)
		}
	case wire.RetryFailure, wire.RetryAll:
		if request.Ops != "" {
			add("ops", wire.CodeConflict, fmt.Sprintf("it says which steps run again, and so does \"from\": %q", a.from), `give "from": "selection", or leave "ops" out`)
		}
	default:
		add("retry_of.from", wire.CodeInvalid, fmt.Sprintf("%q is nothing to begin from", a.from), "give failure, all or selection")
	}
	if a.parent == nil {
		add("retry_of.run_id", wire.CodeUnknown, fmt.Sprintf("there is no run %q", request.RetryOf.RunID), "give the id of a run that has ended")
		a.unknown = true
		return a, problems, nil
	}
	if a.parent.RunID != request.RetryOf.RunID {
		return nil, nil, fmt.Errorf("run %q is to be executed again, and the facts are of run %q", request.RetryOf.RunID, a.parent.RunID)
	}
	problems = append(problems, a.statusProblems()...)
	a.merge(p, request)
	return a, problems, nil
}

// statusProblems says why a run that stands like the parent cannot be executed again.
func (a *again) statusProblems() wire.Problems {
	problem := wire.Problem{Path: "retry_of.run_id", Code: wire.CodeInvalid, Message: fmt.Sprintf("run %q is %s", a.parent.RunID, a.parent.Status)}
	switch status := a.parent.Status; {
	case !status.Ended():
		problem.Fix = "cancel it or wait until it has ended"
	case a.from == wire.RetryFailure && status != wire.RunFailure && status != wire.RunCanceled:
		problem.Message += ": it did not fail"
		problem.Fix = `give "from": "all", or "selection" with "ops"`
	default:
		return nil
	}
	return wire.Problems{problem}
}

// merge lays the request's config, tags, priority and texts over the parent's request.
func (a *again) merge(p *Planner, request wire.RunRequest) {
	of := a.parent.Request
	a.target = wire.RunRequest{
		Assets: of.Assets, Job: of.Job, Ops: of.Ops, // what it was narrowed to is told by its steps
		Partition: of.Partition, Partitions: of.Partitions, Range: of.Range, AllPartitions: of.AllPartitions, AsOf: of.AsOf,
		Backfill: of.Backfill, Trigger: of.Trigger, // these may narrow a job to some of its assets
	}
	if of.RetryOf != nil && of.RetryOf.From == wire.RetrySelection {
		a.scope, a.target.Ops = of.Ops, ""
	}
	a.merged = request
	a.merged.Assets, a.merged.Job = of.Assets, of.Job
	a.merged.Partition, a.merged.Partitions, a.merged.Range, a.merged.AllPartitions = of.Partition, of.Partitions, of.Range, of.AllPartitions
	a.merged.Only, a.merged.AsOf = of.Only, of.AsOf
	if a.merged.Backfill == "" {
		a.merged.Backfill = of.Backfill
	}
	if a.merged.Trigger == nil {
		a.merged.Trigger = of.Trigger
	}
	a.merged.RetryOf = &wire.RetryOf{RunID: a.parent.RunID, From: a.from}
	switch {
	case a.from == wire.RetrySelection:
	case a.scope != "":
		// Its steps are a selection still: whoever executes this run again finds it said so.
		a.merged.Ops, a.merged.RetryOf.From = a.scope, wire.RetrySelection
	default:
		a.merged.Ops = a.target.Ops
	}
	a.merged.Config = p.layRunConfig(of.Config, request.Config)
	a.merged.Tags = withoutRunTags(of.Tags)
	maps.Copy(a.merged.Tags, request.Tags)
	if a.merged.Priority == 0 {
		a.merged.Priority = of.Priority
	}
	if a.merged.Title == "" {
		a.merged.Title = of.Title
	}
}

// below says of problems with what the run is made of whose request they are in.
func (a *again) below(problems wire.Problems) wire.Problems {
	if a.parent == nil {
		return problems
	}
	told := slices.Clone(problems)
	for i, problem := range told {
		told[i].Path = "retry_of.run_id"
		told[i].Message = fmt.Sprintf("the request of run %q cannot be planned any more: %s: %s", a.parent.RunID, problem.Path, problem.Message)
	}
	return told
}

// repeat gives a target the partitions that the parent had steps for: whatever it was narrowed to, and whatever has been
// added since. selected are the assets of its request. What had no steps has come to the location since, and stays.
func (a *again) repeat(p *Planner, selected []int, found *target, existing *Existing) wire.Problems {
	if a.parent == nil {
		return nil
	}
	steps := map[string][]*ParentStep{}
	for i := range a.parent.Steps {
		steps[a.parent.Steps[i].Compute] = append(steps[a.parent.Steps[i].Compute], &a.parent.Steps[i])
	}
	if found.ops != nil {
		return a.repeatOps(p, steps, found, existing)
	}
	if found.subsets == nil && a.merged.Only == "" {
		return nil
	}
	subsets := make(map[int]partition.Subset, len(selected))
	for i, asset := range found.assets {
		if a.merged.Only == "" {
			subsets[asset] = found.subset(i, existing)
		}
	}
	var problems wire.Problems
	for _, asset := range selected {
		key, of := p.snapshot.Assets[asset].Key, steps[p.snapshot.Computes[p.computeOf[asset]].Name]
		if len(of) == 0 {
			continue
		}
		had, wrong := partitionsHad(fmt.Sprintf("asset %q", key), existing.of(p.assetParts[asset]), of, func(step *ParentStep) bool { return slices.Contains(step.Assets, key) })
		problems = append(problems, wrong...)
		subsets[asset] = had
	}
	found.assets = selected
	p.setSubsets(found, subsets)
	return problems
}

func (a *again) repeatOps(p *Planner, steps map[string][]*ParentStep, found *target, existing *Existing) wire.Problems {
	parts := p.jobParts[p.jobs[found.job.Name]]
	if parts == nil {
		return nil
	}
	var problems wire.Problems
	var all partition.Subset
	for _, op := range found.ops {
		// The partitions of mapped steps are those of the step with the dynamic output.
		if of := steps[p.snapshot.Computes[op].Name]; p.over[op] < 0 && len(of) > 0 {
			had, wrong := partitionsHad(fmt.Sprintf("job %q", found.job.Name), existing.of(parts), of, func(*ParentStep) bool { return true })
			problems, all = append(problems, wrong...), all.Union(had)
		}
	}
	if !all.IsEmpty() {
		found.opSubset = all
	}
	return problems
}

// partitionsHad are the partitions of those steps of an earlier run that count; what is whose they are.
func partitionsHad(what string, set *partition.Set, of []*ParentStep, counts func(*ParentStep) bool) (partition.Subset, wire.Problems) {
	var keys []string
	for _, step := range of {
		switch {
		case !counts(step):
		case step.Partitions != nil:
			keys = append(keys, step.Partitions...)
		default:
			keys = append(keys, step.Partition)
		}
	}
	had, err := set.Of(keys...)
	return had, keyProblems(what, err, func(string) string { return "partition" })
}
