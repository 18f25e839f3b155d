package activities

import (
	"context"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// checkRuns checks the runs that a schedule asks for against the active definitions, as they are planned at a time, and gives them what
// their requests leave out. What is wrong, all of it, is an [evaluationError]. A run of which nothing is left, because its request is
// narrowed, is left out; plans are those of the others.
func (a *Activities) checkRuns(ctx context.Context, defined starter.Definitions, job string, at time.Time, trigger wire.RunTrigger, runs []wire.TickRun) (
	kept []wire.TickRun, plans []*plan.Plan, err error,
) {
	var large wire.Problems
	for i, run := range runs {
		large = append(large, sizeProblems(wire.ItemPath("runs", i), run.Request)...)
	}
	if len(large) > 0 {
		return nil, nil, evaluationFailure(large)
	}
	dynamic, err := a.Store.DynamicKeys(ctx, defined.Planner.DynamicSets())
	if err != nil {
		return nil, nil, planFailure(err)
	}
	kept, plans, problems, err := a.planRuns(ctx, defined, job, at, trigger, runs, dynamic)
	if err == nil && len(problems) > 0 {
		err = evaluationFailure(problems)
	}
	return kept, plans, err
}

// planRuns is checkRuns among the partitions that dynamic says, with the problems for themselves.
func (a *Activities) planRuns(ctx context.Context, defined starter.Definitions, job string, at time.Time, trigger wire.RunTrigger, runs []wire.TickRun,
	dynamic map[string][]string,
) (kept []wire.TickRun, plans []*plan.Plan, problems wire.Problems, err error) {
	for i, run := range runs {
		if run.Job == "" {
			run.Job = job
		}
		run.Request.Job = run.Job
		trigger.RunKey = run.RunKey
		ofRun := trigger
		run.Request.Trigger = &ofRun
		facts := plan.Facts{
			RunID: "tick", Limits: a.Starter.Limits, Executor: a.Starter.Executor, MaxRuntime: a.Starter.MaxRuntime, Now: at, Dynamic: dynamic,
		}
		if len(defined.Planner.StatesNeeded(run.Request)) > 0 {
			if err := assetstatus.Facts(ctx, a.Store, defined.Planner, run.Request, at, &facts); err != nil {
				return nil, nil, nil, planFailure(err)
			}
			facts.Dynamic = dynamic
		}
		planned, err := defined.Planner.Plan(run.Request, facts)
		if wrong := wire.ProblemsOf(err); wrong != nil {
			if !nothingLeft(wrong) {
				problems = append(problems, wrong.Below(wire.ItemPath("runs", i))...)
			}
			continue
		}
		if err != nil {
			return nil, nil, nil, planFailure(err)
		}
		if run.Request.Priority == 0 && !hasPriority(defined.Snapshot, run.Job) {
			// A person's runs come before those that start by themselves.
			run.Request.Priority = wire.PriorityLow
		}
		kept, plans = append(kept, run), append(plans, planned)
	}
	return kept, plans, problems, a.lacks(problems, activity.GetInfo(ctx).ScheduledTime)
}

func nothingLeft(problems wire.Problems) bool {
	return !slices.ContainsFunc(problems, func(p wire.Problem) bool { return p.Code != wire.CodeNothingLeft })
}

func hasPriority(snapshot *plan.Snapshot, job string) bool {
	return slices.ContainsFunc(snapshot.Jobs, func(j plan.Job) bool { return j.Name == job && j.Priority != 0 })
}
