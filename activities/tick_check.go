package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const (
	// mostTickRuns is how many runs one evaluation may ask for.
	mostTickRuns = 10_000
	// maxRunKey is how long a run key may be, in bytes.
	maxRunKey = 500
)

// checkEvaluated checks what an evaluation asks for against the active definitions, and gives its runs what the request leaves out.
// jobs are what it may start runs of. Everything that is wrong is the failure of the evaluation.
func (a *Activities) checkEvaluated(ctx context.Context, jobs []string, evaluated *definitions.Evaluated) error {
	defined, _, err := a.definitions(ctx)
	if err != nil {
		return err
	}
	c := &tickCheck{a: a, planner: defined.Planner, jobs: jobs, now: time.Now()}
	if err := c.partitions(ctx, evaluated); err != nil {
		return err
	}
	if len(evaluated.Runs) > mostTickRuns {
		c.add("runs", wire.CodeTooLarge, fmt.Sprintf("it asks for %d runs, and one evaluation may ask for %d", len(evaluated.Runs), mostTickRuns), "start a backfill, or return a cursor and go on with the next evaluation")
		return c.failure()
	}
	if len(evaluated.Cursor) > wire.MaxCursor {
		c.add("cursor", wire.CodeTooLarge, fmt.Sprintf("it has %d bytes, and at most %d are kept", len(evaluated.Cursor), wire.MaxCursor), "keep what is large elsewhere")
	}
	for i := range evaluated.Runs {
		if err := c.run(ctx, i, &evaluated.Runs[i]); err != nil {
			return err
		}
	}
	existing := c.planner.Existing(c.now, c.dynamic)
	for i, report := range evaluated.Reports {
		c.problems = append(c.problems, c.planner.CheckReport(report, existing).Below(wire.ItemPath("reports", i))...)
	}
	return c.failure()
}

// tickCheck is the check of what one evaluation asks for.
type tickCheck struct {
	a       *Activities
	planner *plan.Planner
	jobs    []string
	now     time.Time
	// dynamic are the keys of dynamic sets, once the evaluation's changes are made.
	dynamic  map[string][]string
	problems wire.Problems
}

func (c *tickCheck) add(path, code, message, fix string) {
	c.problems = append(c.problems, wire.Problem{Path: path, Code: code, Message: message, Fix: fix})
}

func (c *tickCheck) failure() error {
	if len(c.problems) == 0 {
		return nil
	}
	return &failedEvaluation{wire.TickError{Message: storable("what it asks for is wrong: " + c.problems.Error())}}
}

// partitions makes the evaluation's changes of dynamic sets, in what the rest is checked against.
func (c *tickCheck) partitions(ctx context.Context, evaluated *definitions.Evaluated) error {
	sets := c.planner.DynamicSets()
	var err error
	if c.dynamic, err = c.a.Store.DynamicKeys(ctx, sets); err != nil {
		return planFailure(err)
	}
	change := func(path string, changes []wire.TickPartitions, to func(keys, changed []string) []string) {
		for i, changed := range changes {
			if !slices.Contains(sets, changed.Name) {
				c.add(wire.ItemPath(path, i), wire.CodeUnknown, fmt.Sprintf("there is no dynamic set %q", changed.Name), wire.FixUnknown(changed.Name, sets))
				continue
			}
			c.dynamic[changed.Name] = to(c.dynamic[changed.Name], changed.Keys)
		}
	}
	change("add_partitions", evaluated.Add, func(keys, added []string) []string {
		keys = slices.Clone(keys)
		for _, key := range added {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
		return keys
	})
	change("remove_partitions", evaluated.Remove, func(keys, removed []string) []string {
		return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return slices.Contains(removed, key) })
	})
	return nil
}

// run checks one run, and gives it its job and priority.
func (c *tickCheck) run(ctx context.Context, i int, run *wire.TickRun) error {
	at := wire.ItemPath("runs", i)
	if run.Job == "" {
		run.Job = run.Request.Job
	}
	if run.Job == "" && len(c.jobs) == 1 {
		run.Job = c.jobs[0]
	}
	switch {
	case len(c.jobs) == 0:
		c.add(at, wire.CodeConflict, "it asks for a run, and has no job to start one of", "give it one with its options")
		return nil
	case run.Job == "":
		c.add(wire.FieldPath(at, "job"), wire.CodeMissing, "it does not say of which job", fmt.Sprintf("name one of %v", c.jobs))
		return nil
	case !slices.Contains(c.jobs, run.Job):
		c.add(wire.FieldPath(at, "job"), wire.CodeInvalid, fmt.Sprintf("job %q is not among those that it may start", run.Job), wire.FixUnknown(run.Job, c.jobs))
		return nil
	case run.Request.DryRun || run.Request.RetryOf != nil:
		c.add(at, wire.CodeInvalid, "dry runs and runs that execute another again are not for it", "")
		return nil
	}
	run.Request.Job = run.Job
	if len(run.RunKey) > maxRunKey {
		c.add(wire.FieldPath(at, "run_key"), wire.CodeTooLarge, fmt.Sprintf("has %d bytes, and may have %d", len(run.RunKey), maxRunKey), "shorten it, or take its hash")
	}
	facts := plan.Facts{
		RunID: "tick", Limits: c.a.Starter.Limits, Executor: c.a.Starter.Executor, MaxRuntime: c.a.Starter.MaxRuntime, Now: c.now, Dynamic: c.dynamic,
	}
	if len(c.planner.StatesNeeded(run.Request)) > 0 {
		if err := assetstatus.Facts(ctx, c.a.Store, c.planner, run.Request, c.now, &facts); err != nil {
			return planFailure(err)
		}
		facts.Dynamic = c.dynamic
	}
	planned, err := c.planner.Plan(run.Request, facts)
	if problems := wire.ProblemsOf(err); problems != nil {
		if err := c.a.lacks(problems, c.now); err != nil {
			return err
		}
		c.problems = append(c.problems, problems.Below(at)...)
		return nil
	}
	if err != nil {
		return planFailure(err)
	}
	if jobs := c.planner.Snapshot().Jobs; run.Request.Priority == 0 {
		// A person's runs come before those that start by themselves.
		run.Request.Priority = wire.PriorityLow
		if i := slices.IndexFunc(jobs, func(job plan.Job) bool { return job.Name == run.Job }); i >= 0 && jobs[i].Priority != 0 {
			run.Request.Priority = planned.Priority
		}
	}
	request, err := json.Marshal(run.Request)
	if err != nil {
		return fmt.Errorf("encode the request of a run: %w", err)
	}
	if len(request) > wire.MaxEvent {
		c.add(at, wire.CodeTooLarge, fmt.Sprintf("its request has %d bytes, and may have %d", len(request), wire.MaxEvent), "")
	}
	return nil
}
