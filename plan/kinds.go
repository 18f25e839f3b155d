package plan

import (
	"fmt"
	"strconv"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// maxLocal is how long a step may be allowed to take that runs as a local activity: everything that began in one workflow
// task runs again when its worker dies.
const maxLocal = time.Second

// executorOf is how the steps of a compute run: as it says itself, else the run config, its job, the instance.
func (b *builder) executorOf(compute *Compute) Executor {
	switch {
	case compute.Executor != nil:
		return *compute.Executor
	case b.configs.execution.executor != nil:
		return *b.configs.execution.executor
	case b.facts.Executor.Kind != "":
		return b.facts.Executor
	default:
		return Executor{Kind: ExecutorActivity}
	}
}

// localProblems says why a step cannot run as a local activity, which runs in the worker of the workflow, under no limit
// and again when that worker dies.
func (b *builder) localProblems(compute *Compute) wire.Problems {
	var reasons []string
	if compute.Pool != "" {
		reasons = append(reasons, fmt.Sprintf("it is in the pool %q", compute.Pool))
	}
	if compute.Remote {
		reasons = append(reasons, "another program computes it")
	}
	if compute.Queue != "" && !compute.Remote {
		reasons = append(reasons, fmt.Sprintf("it runs on the queue %q", compute.Queue))
	}
	if compute.Timeout > maxLocal {
		reasons = append(reasons, fmt.Sprintf("it may take %s, which is more than %s", compute.Timeout, maxLocal))
	}
	path := b.path()
	if chosen := b.configs.execution.executorPath; chosen != "" && compute.Executor == nil {
		path = chosen
	}
	var problems wire.Problems
	for _, reason := range reasons {
		problems = append(problems, wire.Problem{
			Path: path, Code: wire.CodeInvalid, Message: fmt.Sprintf("step %q cannot run as a local activity: %s", compute.Name, reason),
			Fix: "give it the executor activity",
		})
	}
	return problems
}

// path is where a request says what runs.
func (b *builder) path() string {
	if b.target.job != nil {
		return "job"
	}
	return "assets"
}

// kindOf is how the steps of a compute are scheduled.
func (b *builder) kindOf(compute *Compute) Kind {
	executor := b.executorOf(compute)
	kind := Kind{
		Queue: compute.Queue, Pool: compute.Pool, Priority: b.plan.Priority, Order: compute.Order,
		OnSuccess: compute.OnSuccess, OnFailure: compute.OnFailure,
		Remote: compute.Remote, Local: executor.Kind == ExecutorLocalActivity,
		Subprocess: executor.Kind == ExecutorSubprocess && !compute.Remote,
	}
	if compute.Remote {
		kind.Timeout = compute.Timeout
	}
	if job := b.target.job; job != nil {
		kind.OnSuccess = kind.OnSuccess || job.OnSuccess
		kind.OnFailure = kind.OnFailure || job.OnFailure
	}
	for i, limit := range b.plan.Walk.TagLimits {
		value, tagged := compute.Tags[limit.Key]
		if !tagged || (limit.Value != "" && limit.Value != value) {
			continue
		}
		under := KindLimit{Limit: i}
		if limit.PerValue {
			under.Value = value
		}
		kind.Limits = append(kind.Limits, under)
	}
	return kind
}

// kindNumber is a kind's place in the walk's table, which has each once.
func (b *builder) kindNumber(kind Kind) int {
	kinds := b.plan.Walk.Kinds
	if b.lastKind < len(kinds) && kinds[b.lastKind].equal(kind) {
		return b.lastKind // most steps of a run share one
	}
	text := fmt.Sprintf("%#v", kind)
	number, known := b.kinds[text]
	if !known {
		number = len(kinds)
		b.kinds[text] = number
		b.plan.Walk.Kinds = append(kinds, kind)
	}
	b.lastKind = number
	return number
}

// limitProblems says what is wrong with a job's limits.
func limitProblems(job *Job) wire.Problems {
	var problems wire.Problems
	add := func(format string, arguments ...any) {
		problems = append(problems, wire.Problem{
			Path: "job", Code: wire.CodeInvalid, Message: fmt.Sprintf("job %q: ", job.Name) + fmt.Sprintf(format, arguments...), Fix: "mend its definition",
		})
	}
	if job.MaxConcurrentSteps < 0 || job.MaxConcurrentSteps > maxConcurrentSteps {
		add("its max_concurrent_steps is %d and must be 1 to %d", job.MaxConcurrentSteps, maxConcurrentSteps)
	}
	if job.Timeout < 0 {
		add("its timeout is %s and must not be negative", job.Timeout)
	}
	for _, problem := range tagLimitProblems("tag_limits", job.TagLimits) {
		add("%s: %s", problem.Path, problem.Message)
	}
	return problems
}

// maxRuntime is how long a run may take: as its tag says, else its job, the instance. The tag is in seconds or a duration
// such as 90m; 0 is no bound.
func (b *builder) maxRuntime() (time.Duration, wire.Problems) {
	text, tagged := b.plan.Tags[TagMaxRuntime]
	if !tagged {
		if job := b.target.job; job != nil && job.Timeout > 0 {
			return job.Timeout, nil
		}
		return b.facts.MaxRuntime, nil
	}
	bound, err := time.ParseDuration(text)
	if seconds, notSeconds := strconv.ParseUint(text, 10, 31); notSeconds == nil {
		bound, err = time.Duration(seconds)*time.Second, nil
	}
	if err == nil && bound >= 0 {
		return bound, nil
	}
	problem := wire.Problem{
		Path: wire.FieldPath("tags", TagMaxRuntime), Code: wire.CodeInvalid, Message: fmt.Sprintf("%q is no time that a run may take", text),
		Fix: "give seconds, such as 5400, or a duration, such as 90m; 0 is no bound",
	}
	if _, own := b.request.Tags[TagMaxRuntime]; !own {
		problem.Path, problem.Message = b.path(), fmt.Sprintf("the tag %s: %s", TagMaxRuntime, problem.Message)
	}
	return 0, wire.Problems{problem}
}

// limitsOf is the run's limits: the number of concurrent steps of job or run config in place of the instance's.
func limitsOf(limits Limits, execution execution) Limits {
	if execution.maxConcurrentSteps > 0 {
		limits.MaxConcurrentSteps = execution.maxConcurrentSteps
	}
	return limits
}
