package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const (
	// mostTickRuns is how many runs one evaluation may ask for.
	mostTickRuns = 10_000
	// maxRequest is how large the request of a run may be, in bytes.
	maxRequest = 1 << 20
)

// checkEvaluated checks what a sensor asks for against the active definitions, and gives its runs what their requests leave out. A run of
// which nothing is left, because its request is narrowed, is left out. Everything that is wrong is one [evaluationError].
func (a *Activities) checkEvaluated(ctx context.Context, sensor plan.Sensor, trigger wire.RunTrigger, evaluated *definitions.Evaluated) ([]*plan.Plan, error) {
	defined, _, err := a.definitions(ctx)
	if err != nil {
		return nil, err
	}
	c := &tickCheck{a: a, planner: defined.Planner, jobs: sensor.Jobs, now: time.Now()}
	if err := c.partitions(ctx, evaluated); err != nil {
		return nil, err
	}
	if len(evaluated.Runs) > mostTickRuns {
		c.add("runs", wire.CodeTooLarge, fmt.Sprintf("it asks for %d runs, and one evaluation may ask for %d", len(evaluated.Runs), mostTickRuns), "start a backfill, or return a cursor and go on with the next evaluation")
		return nil, c.failure()
	}
	if len(evaluated.Cursor) > wire.MaxCursor {
		c.add("cursor", wire.CodeTooLarge, fmt.Sprintf("it has %d bytes, and at most %d are kept", len(evaluated.Cursor), wire.MaxCursor), "keep what is large elsewhere")
	}
	var plans []*plan.Plan
	for i := range evaluated.Runs {
		c.run(i, &evaluated.Runs[i])
	}
	if len(c.problems) == 0 && len(evaluated.Runs) > 0 {
		kept, planned, problems, err := a.planRuns(ctx, defined, "", c.now, trigger, evaluated.Runs, c.dynamic)
		if err != nil {
			return nil, err
		}
		if c.problems = problems; len(kept) == 0 && len(problems) == 0 {
			evaluated.Skip = fmt.Sprintf("nothing is left of the %d runs that it asked for", len(evaluated.Runs))
		}
		evaluated.Runs, plans = kept, planned
	}
	existing := c.planner.Existing(c.now, c.dynamic)
	for i, report := range evaluated.Reports {
		c.problems = append(c.problems, c.planner.CheckReport(report, existing).Below(wire.ItemPath("reports", i))...)
	}
	return plans, c.failure()
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
	return evaluationFailure(fmt.Errorf("what it asks for is wrong: %w", c.problems))
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

// run checks one run, as far as the sensor goes, and gives it its job.
func (c *tickCheck) run(i int, run *wire.TickRun) {
	at := wire.ItemPath("runs", i)
	if run.Job == "" && len(c.jobs) == 1 {
		run.Job = c.jobs[0]
	}
	switch {
	case len(c.jobs) == 0:
		c.add(at, wire.CodeConflict, "it asks for a run, and has no job to start one of", "declare it with the job")
	case run.Job == "":
		c.add(wire.FieldPath(at, "job"), wire.CodeMissing, "it does not say of which job", fmt.Sprintf("name one of %v", c.jobs))
	case !slices.Contains(c.jobs, run.Job):
		c.add(wire.FieldPath(at, "job"), wire.CodeInvalid, fmt.Sprintf("job %q is not among those that it may start", run.Job), wire.FixUnknown(run.Job, c.jobs))
	default:
		c.problems = append(c.problems, sizeProblems(at, run.Request)...)
	}
}

// sizeProblems refuses the request of a run that Temporal would not take: nobody could start it.
func sizeProblems(at string, request wire.RunRequest) wire.Problems {
	data, err := json.Marshal(request)
	switch {
	case err != nil:
		return wire.Problems{{Path: at, Code: wire.CodeInvalid, Message: err.Error()}}
	case len(data) > maxRequest:
		return wire.Problems{{Path: at, Code: wire.CodeTooLarge, Message: fmt.Sprintf("its request has %d bytes, and may have %d", len(data), maxRequest), Fix: "configure it with less"}}
	default:
		return nil
	}
}
