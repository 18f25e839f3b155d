package plan

import (
	"fmt"
	"time"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

// CheckRequest finds everything that is wrong with a request of a schedule or sensor, but for which of its partitions exist: that
// is known when its run is planned. It looks at no state, and makes no plan.
func (p *Planner) CheckRequest(request wire.RunRequest) wire.Problems {
	problems := DescriptionProblems(request)
	if request.Trigger == nil {
		request.Trigger = &wire.RunTrigger{} // it asks as one
	}
	wanted, found := p.resolve(request)
	problems = append(problems, found...)
	var computes []int
	if wanted.known {
		computes = p.computesOf(target{assets: wanted.assets, ops: wanted.ops})
		problems = append(problems, p.checkPartitions(request, &wanted)...)
	}
	_, configured, err := p.resolveConfig(request.Config, wanted, computes)
	if err != nil {
		return append(problems, wire.Problem{Path: "config", Code: wire.CodeInvalid, Message: err.Error()})
	}
	return append(problems, configured...)
}

// DescriptionProblems are what is wrong with a request's tags, texts and priority.
func DescriptionProblems(request wire.RunRequest) wire.Problems {
	problems := append(RunTagProblems("tags", request.Tags), textProblems(request)...)
	if request.Priority < 0 || request.Priority > wire.PriorityBackfill {
		problems = append(problems, wire.Problem{Path: "priority", Code: wire.CodeInvalid, Message: fmt.Sprintf("priority %d is not allowed", request.Priority), Fix: "give 1 to 5, 1 first"})
	}
	return problems
}

// checkPartitions finds whether a request names partitions where there are some, and none where there are not.
func (p *Planner) checkPartitions(request wire.RunRequest, found *target) wire.Problems {
	given := givenPartitions(request)
	parts, what, problems := p.partitionsOfTarget(found)
	if request.Only != "" && found.ops != nil {
		problems = append(problems, wire.Problem{
			Path: "only", Code: wire.CodeConflict, Message: what + " makes no assets: nothing is known of what it has made", Fix: `leave "only" out`,
		})
	}
	switch {
	case len(problems) > 0 && parts == nil:
	case len(given) > 1:
		problems = append(problems, wire.Problem{
			Path: given[1], Code: wire.CodeConflict, Message: quoted(given, " and ") + " are given", Fix: "give one of them",
		})
	case parts == nil && len(given) == 1 && found.ops != nil:
		problems = append(problems, p.notPartitioned(given[0], "job", []string{found.job.Name}))
	case parts == nil && len(given) == 1:
		problems = append(problems, p.notPartitioned(given[0], "asset", p.keysOf(found.assets)))
	case parts != nil && len(given) == 0:
		problems = append(problems, noPartitionGiven(what, parts.At(time.Now(), nil)))
	}
	return problems
}

// JobPartitions are the partitions that a run of a job is asked for: those of a job of ops, or of the assets that all others of
// a job of assets are made from. They are nil of a job that is not partitioned, and of one without one root for all.
func (p *Planner) JobPartitions(job string) *partition.Definition {
	found, problems := p.resolve(wire.RunRequest{Job: job})
	if len(problems) > 0 {
		return nil
	}
	if found.ops != nil {
		return found.job.Partitions
	}
	roots, problems := p.partitionedRoots(&found)
	if len(problems) > 0 || len(roots) == 0 {
		return nil
	}
	return p.snapshot.Assets[roots[0]].Partitions
}

// partitionedRoots are the assets of a target whose partitions a request names: one set for all of them. There are none where
// nothing is partitioned.
func (p *Planner) partitionedRoots(found *target) ([]int, wire.Problems) {
	var parted []int
	for _, a := range found.assets {
		if p.assetParts[a] != nil {
			parted = append(parted, a)
		}
	}
	if len(parted) == 0 || p.oneDefinition(parted) {
		return parted, nil
	}
	roots := p.rootsOf(parted)
	if !p.oneDefinition(roots) {
		return nil, wire.Problems{p.noCommonRoot("partition", roots, p.Existing(time.Now(), nil))}
	}
	return roots, nil
}

// partitionsOfTarget are the partitions that a request for a target names, and of what they are.
func (p *Planner) partitionsOfTarget(found *target) (parts *partition.Partitions, what string, problems wire.Problems) {
	if found.ops != nil {
		return p.jobParts[p.jobs[found.job.Name]], fmt.Sprintf("job %q", found.job.Name), nil
	}
	roots, problems := p.partitionedRoots(found)
	if len(problems) > 0 || len(roots) == 0 {
		return nil, "", problems
	}
	return p.assetParts[roots[0]], fmt.Sprintf("asset %q", p.snapshot.Assets[roots[0]].Key), nil
}
