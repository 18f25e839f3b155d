package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

// Target is what a request asks for: which partitions of which assets. It is the same rule for a run and for a backfill.
//
// Where all selected assets that are partitioned have one definition, the request's partitions are those of all of them.
// Otherwise those without a selected partitioned parent, the roots, must share one; they get the request's partitions, and
// every other asset those that exist downstream of them by mapping. What is not partitioned is made once.
type Target struct {
	// Job is the request's; "" when it names assets. Reason says why a step is in the plan.
	Job    string
	Reason string
	// Assets are the partitions to make by asset: none of them is empty. Of an asset that is not partitioned it is the one of
	// the zero Definition's Set. Assets of which nothing exists downstream of the roots are left out.
	Assets map[string]partition.Subset
	// Ops is the partitions of an op job, that of the zero Definition when it has none; the zero Subset for assets.
	Ops partition.Subset
	// found is the same by positions.
	found target
}

// Target finds what a request asks for among the partitions that exist; the problems are under the request's paths. It does
// not look at [wire.RunRequest].Only: [Planner.Narrow] does that.
func (p *Planner) Target(request wire.RunRequest, existing *Existing) (Target, wire.Problems) {
	found, problems := p.resolve(request)
	problems = append(problems, p.choosePartitions(request, existing, &found)...)
	if len(problems) > 0 {
		return Target{}, problems
	}
	return p.export(found, existing), nil
}

// export gives names to a target.
func (p *Planner) export(found target, existing *Existing) Target {
	t := Target{Reason: found.reason, Assets: make(map[string]partition.Subset, len(found.assets)), found: found}
	if found.job != nil {
		t.Job = found.job.Name
	}
	if found.ops != nil {
		t.Ops = found.opSubset
		if t.Ops.IsEmpty() {
			t.Ops = existing.single.All()
		}
	}
	for i, a := range found.assets {
		t.Assets[p.snapshot.Assets[a].Key] = found.subset(i, existing)
	}
	return t
}

// subset is the partitions to make of the i-th asset.
func (t *target) subset(i int, existing *Existing) partition.Subset {
	if t.subsets == nil {
		return existing.single.All()
	}
	return t.subsets[i]
}

// partitionsPath is where a request says which partitions; "" when it does not.
func partitionsPath(request wire.RunRequest) string {
	if given := givenPartitions(request); len(given) > 0 {
		return given[0]
	}
	return ""
}

func givenPartitions(request wire.RunRequest) []string {
	var given []string
	if request.Partition != "" {
		given = append(given, "partition")
	}
	if request.Partitions != nil {
		given = append(given, "partitions")
	}
	if request.Range != nil {
		given = append(given, "range")
	}
	if request.AllPartitions {
		given = append(given, "all_partitions")
	}
	return given
}

// choosePartitions decides which partitions a target is for, and leaves out of it the assets of which there are none.
func (p *Planner) choosePartitions(request wire.RunRequest, existing *Existing, found *target) wire.Problems {
	_, problems := AsOf(request, existing.at)
	switch request.Only {
	case "", wire.OnlyMissing, wire.OnlyFailed, wire.OnlyStale:
	default:
		problems = append(problems, wire.Problem{
			Path: "only", Code: wire.CodeInvalid, Message: fmt.Sprintf("%q is no state of a partition", request.Only), Fix: "give missing, failed or stale",
		})
	}
	given := givenPartitions(request)
	if len(given) > 1 {
		return append(problems, wire.Problem{
			Path: given[1], Code: wire.CodeConflict, Message: quoted(given, " and ") + " are given", Fix: "give one of them",
		})
	}
	if !found.known {
		return problems
	}
	if found.ops != nil {
		return append(problems, p.chooseJobPartitions(request, existing, found)...)
	}
	var parted []int
	for _, a := range found.assets {
		if p.assetParts[a] != nil {
			parted = append(parted, a)
		}
	}
	switch {
	case len(parted) == 0 && len(given) == 0:
		return problems
	case len(parted) == 0:
		return append(problems, p.notPartitioned(given[0], "asset", p.keysOf(found.assets)))
	case len(given) == 0:
		return append(problems, noPartitionGiven(fmt.Sprintf("asset %q", p.snapshot.Assets[parted[0]].Key), existing.of(p.assetParts[parted[0]])))
	}
	roots := parted
	if !p.oneDefinition(parted) {
		roots = p.rootsOf(parted)
		if !p.oneDefinition(roots) {
			return append(problems, p.noCommonRoot(given[0], roots, existing))
		}
	}
	set := existing.of(p.assetParts[roots[0]])
	anchor, wrong := requested(request, fmt.Sprintf("asset %q", p.snapshot.Assets[roots[0]].Key), set)
	if len(wrong) > 0 {
		return append(problems, wrong...)
	}
	if len(problems) > 0 {
		return problems
	}
	return p.spreadTarget(given[0], existing, found, roots, anchor)
}

func (p *Planner) keysOf(assets []int) []string {
	keys := make([]string, len(assets))
	for i, a := range assets {
		keys[i] = p.snapshot.Assets[a].Key
	}
	return keys
}

func (p *Planner) notPartitioned(path, what string, names []string) wire.Problem {
	message := fmt.Sprintf("%s %q is not partitioned", what, names[0])
	if len(names) > 1 {
		message = fmt.Sprintf("none of the selected assets is partitioned: %s", listed(names))
	}
	return wire.Problem{Path: path, Code: wire.CodeConflict, Message: message, Fix: fmt.Sprintf("leave %q out", path)}
}

func noPartitionGiven(what string, set *partition.Set) wire.Problem {
	problem := wire.Problem{
		Path: "partition", Code: wire.CodeMissing, Message: fmt.Sprintf("%s has %s, and it is not said which of them", what, set),
		Fix: `give "partition", "partitions", "range" or "all_partitions"`,
	}
	if last, exists := set.All().Last(); exists {
		problem.Fix += fmt.Sprintf(`, for example "partition": %q`, last)
	} else {
		problem.Fix += ", once any exist"
	}
	return problem
}

// oneDefinition says whether all of the assets are partitioned alike.
func (p *Planner) oneDefinition(assets []int) bool {
	return !slices.ContainsFunc(assets, func(a int) bool { return p.assetParts[a] != p.assetParts[assets[0]] })
}

// rootsOf are those of the partitioned assets that are not made from another one of them.
func (p *Planner) rootsOf(parted []int) []int {
	in := map[int]bool{}
	for _, a := range parted {
		in[a] = true
	}
	var roots []int
	for _, a := range parted {
		if !slices.ContainsFunc(p.parents[a], func(parent string) bool { return in[p.assets[parent]] }) {
			roots = append(roots, a)
		}
	}
	return roots
}

func (p *Planner) noCommonRoot(path string, roots []int, existing *Existing) wire.Problem {
	var each []string
	told := map[*partition.Partitions]bool{}
	for _, a := range roots {
		if parts := p.assetParts[a]; !told[parts] {
			told[parts] = true
			each = append(each, fmt.Sprintf("%q has %s", p.snapshot.Assets[a].Key, existing.of(parts)))
		}
	}
	return wire.Problem{
		Path: path, Code: wire.CodeNoRoot, Message: "the partitions are of no one root: " + strings.Join(each[:min(len(each), maxListed)], "; "),
		Fix: "select them in runs of their own, or with one asset that all others are made from",
	}
}

func (p *Planner) chooseJobPartitions(request wire.RunRequest, existing *Existing, found *target) wire.Problems {
	parts := p.jobParts[p.jobs[found.job.Name]]
	path, what := partitionsPath(request), fmt.Sprintf("job %q", found.job.Name)
	switch {
	case request.Only != "":
		return wire.Problems{{
			Path: "only", Code: wire.CodeConflict, Message: what + " makes no assets: nothing is known of what it has made", Fix: `leave "only" out`,
		}}
	case parts == nil && path == "":
		return nil
	case parts == nil:
		return wire.Problems{p.notPartitioned(path, "job", []string{found.job.Name})}
	case path == "":
		return wire.Problems{noPartitionGiven(what, existing.of(parts))}
	}
	var problems wire.Problems
	found.opSubset, problems = requested(request, what, existing.of(parts))
	return problems
}

// requested is the partitions of a set that a request names; what is whose they are.
func requested(request wire.RunRequest, what string, set *partition.Set) (partition.Subset, wire.Problems) {
	var problems wire.Problems
	add := func(path, code, message, fix string) {
		problems = append(problems, wire.Problem{Path: path, Code: code, Message: what + ": " + message, Fix: fix})
	}
	switch {
	case request.AllPartitions:
		if set.Count() == 0 {
			add("all_partitions", wire.CodeInvalid, fmt.Sprintf("there are none yet of %s", set), "wait until one exists, or add one where the set is dynamic")
		}
		return set.All(), problems
	case request.Partition != "":
		subset, err := set.Of(request.Partition)
		return subset, keyProblems(what, err, func(string) string { return "partition" })
	case request.Partitions != nil:
		if len(request.Partitions) == 0 {
			add("partitions", wire.CodeInvalid, "the list of partitions is empty", `name one, or give "all_partitions"`)
			return set.None(), problems
		}
		subset, err := set.Of(request.Partitions...)
		if err == nil {
			return subset, nil
		}
		places := map[string][]int{}
		for i, key := range request.Partitions {
			places[key] = append(places[key], i)
		}
		return subset, keyProblems(what, err, func(key string) string {
			at := places[key]
			if len(at) == 0 {
				return "partitions"
			}
			if len(at) > 1 {
				places[key] = at[1:]
			}
			return wire.ItemPath("partitions", at[0])
		})
	}
	if set.Partitions().Kind() == partition.KindStatic {
		add("range", wire.CodeInvalid, fmt.Sprintf("a range of %s, which have no order but that of a list", set), `name them in "partitions"`)
		return set.None(), problems
	}
	for _, end := range []struct{ path, key string }{{"range.start", request.Range.Start}, {"range.end", request.Range.End}} {
		if end.key == "" {
			add(end.path, wire.CodeMissing, "an end of the range is not given", "give the key of a partition")
		}
	}
	if len(problems) > 0 {
		return set.None(), problems
	}
	subset, err := set.Range(request.Range.Start, request.Range.End)
	if reversed, ok := errors.AsType[*partition.RangeError](err); ok {
		add("range", wire.CodeInvalid, reversed.Error(), fmt.Sprintf(`give "start": %q and "end": %q`, request.Range.End, request.Range.Start))
		return subset, problems
	}
	return subset, keyProblems(what, err, func(key string) string {
		if key == request.Range.Start {
			return "range.start"
		}
		return "range.end"
	})
}

// keyProblems are what is wrong with keys; path gives the place of each.
func keyProblems(what string, err error, path func(key string) string) wire.Problems {
	if err == nil {
		return nil
	}
	var wrong partition.KeyErrors
	if one, ok := errors.AsType[*partition.KeyError](err); ok {
		wrong = partition.KeyErrors{one}
	}
	if all, ok := errors.AsType[partition.KeyErrors](err); ok {
		wrong = all
	}
	if wrong == nil {
		return wire.Problems{{Path: path(""), Code: wire.CodeInvalid, Message: what + ": " + err.Error()}}
	}
	problems := make(wire.Problems, len(wrong))
	for i, one := range wrong {
		problems[i] = wire.Problem{
			Path: path(one.Key), Code: wire.CodeUnknown, Message: fmt.Sprintf("%s: partition %q is not one of %s: %s", what, one.Key, one.Set, one.Detail),
			Fix: "give the key of a partition that exists",
		}
		if one.Nearest != "" {
			problems[i].Fix = fmt.Sprintf("did you mean %q?", one.Nearest)
		}
	}
	return problems
}

// spreadTarget gives the roots the anchor, and what hangs on them the partitions that it maps to.
func (p *Planner) spreadTarget(path string, existing *Existing, found *target, roots []int, anchor partition.Subset) wire.Problems {
	subsets := make(map[int]partition.Subset, len(found.assets))
	in := make(map[int]bool, len(found.assets))
	for _, a := range found.assets {
		in[a] = true
		if p.assetParts[a] == nil {
			subsets[a] = existing.single.All()
		}
	}
	isRoot := make(map[int]bool, len(roots))
	for _, a := range roots {
		isRoot[a] = true
		subsets[a] = anchor
	}
	var problems wire.Problems
	for _, c := range p.order {
		for _, a := range p.outputs[c] {
			if !in[a] || p.assetParts[a] == nil || isRoot[a] {
				continue
			}
			subset := existing.of(p.assetParts[a]).None()
			for _, edge := range p.edges[a] {
				parent := p.assets[edge.Upstream]
				if p.computeOf[parent] == c || !in[parent] || p.assetParts[parent] == nil {
					continue
				}
				needing, err := edge.Link.Downstream(subsets[parent], existing.of(p.assetParts[a]))
				if err != nil {
					problems = append(problems, MappingProblem(path, fmt.Sprintf("asset %q: the partitions that need those of %q", edge.Downstream, edge.Upstream), err))
					continue
				}
				subset = subset.Union(needing)
			}
			subsets[a] = subset
		}
	}
	if len(problems) > 0 {
		return problems
	}
	p.setSubsets(found, subsets)
	return nil
}

// MappingProblem says that a mapping could not be evaluated, what for, and, when it is a custom one that only its location can
// evaluate, to leave it to that: wire.CodeNotHere.
func MappingProblem(path, what string, err error) wire.Problem {
	problem := wire.Problem{Path: path, Code: wire.CodeInvalid, Message: what + ": " + err.Error()}
	if errors.Is(err, partition.ErrNoEvaluator) {
		problem.Code, problem.Fix = wire.CodeNotHere, `start it as a workflow, which its code location plans; with "dry_run" that starts nothing else`
	}
	return problem
}

// setSubsets gives a target its partitions. What can only be made together is made for the same ones, and what has none is
// left out.
func (p *Planner) setSubsets(found *target, subsets map[int]partition.Subset) {
	for _, a := range found.assets {
		if outputs := p.outputs[p.computeOf[a]]; len(outputs) > 1 && outputs[0] == a && !p.snapshot.Computes[p.computeOf[a]].CanSubset {
			var all partition.Subset
			for _, output := range outputs {
				all = all.Union(subsets[output])
			}
			for _, output := range outputs {
				subsets[output] = all
			}
		}
	}
	assets := make([]int, 0, len(found.assets))
	found.subsets = make([]partition.Subset, 0, len(found.assets))
	for _, a := range found.assets {
		if subset := subsets[a]; !subset.IsEmpty() {
			assets, found.subsets = append(assets, a), append(found.subsets, subset)
		}
	}
	found.assets = assets
}
