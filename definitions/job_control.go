package definitions

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/perdure-io/perdure/plan"
)

// jobControl is how the runs of a job run, besides what they make.
type jobControl struct {
	executor  *plan.Executor
	maxSteps  *MaxConcurrentSteps
	tagLimits []TagLimit
	timeout   *RunTimeout
	hooks     []*hook
	loggers   []*resource
}

// MaxConcurrentSteps is how many steps of one run of the job are under way at once, 1 to 500. Without it, the instance's
// max_concurrent_steps holds.
type MaxConcurrentSteps int

const maxConcurrentSteps = 500

// RunTimeout bounds the runs of a job, from their start: one that takes longer fails, and its steps are cancelled. Without
// it, there is no bound.
type RunTimeout time.Duration

// TagLimit bounds how many steps that have a tag are under way at once in one run of the job. A step has the [Tags] of its
// op or asset; that of a multi-asset those which all its outputs share. A job may have several limits.
type TagLimit struct {
	// Key is the tag's.
	Key string
	// Value limits only steps whose tag has it; "" is any value.
	Value string
	// PerValue gives each value of the tag the limit for itself.
	PerValue bool
	// Limit is at least 1.
	Limit int
}

func (v MaxConcurrentSteps) applyJob(j *Job) {
	j.options.once(&j.declared, "max_concurrent_steps", "MaxConcurrentSteps")
	j.control.maxSteps = &v
}

func (v RunTimeout) applyJob(j *Job) {
	j.options.once(&j.declared, "timeout", "RunTimeout")
	j.control.timeout = &v
}

func (v TagLimit) applyJob(j *Job) { j.control.tagLimits = append(j.control.tagLimits, v) }

// jobControl lowers how the runs of a job run.
func (l *lowering) jobControl(j *Job, lowered *plan.Job) {
	c := &j.control
	lowered.Executor = c.executor
	if c.maxSteps != nil {
		lowered.MaxConcurrentSteps = int(*c.maxSteps)
	}
	if c.timeout != nil {
		lowered.Timeout = time.Duration(*c.timeout)
	}
	for _, limit := range c.tagLimits {
		lowered.TagLimits = append(lowered.TagLimits, plan.TagLimit(limit))
	}
	var needs []need
	for _, h := range c.hooks {
		lowered.OnSuccess = lowered.OnSuccess || h.on == onSuccess
		lowered.OnFailure = lowered.OnFailure || h.on == onFailure
		needs = append(needs, h.run.needs...)
	}
	for _, logger := range c.loggers {
		lowered.Loggers = append(lowered.Loggers, logger.name)
		needs = append(needs, logger.needs...)
	}
	slices.Sort(lowered.Loggers)
	names := map[string]bool{}
	l.addResources(names, needs)
	lowered.Resources = sorted(slices.Collect(maps.Keys(names)))
}

// jobControl checks how the runs of a job run.
func (v *validation) jobControl(j *Job) {
	c := &j.control
	if c.maxSteps != nil && (*c.maxSteps < 1 || *c.maxSteps > maxConcurrentSteps) {
		v.add(j.problem("max_concurrent_steps", fmt.Sprintf("at most %d steps are to run at once", *c.maxSteps), fmt.Sprintf("use 1 to %d", maxConcurrentSteps)))
	}
	if c.timeout != nil && *c.timeout <= 0 {
		v.add(j.problem("timeout", fmt.Sprintf("the run timeout is %s", time.Duration(*c.timeout)), "set a positive duration, or leave RunTimeout out for no bound"))
	}
	seen := map[[2]string]bool{}
	for _, limit := range c.tagLimits {
		v.tagLimit(j, limit)
		if of := [2]string{limit.Key, limit.Value}; seen[of] {
			v.add(j.problem("tag_limits", fmt.Sprintf("the tag %q has two limits", limit.Key), "give one for each tag and value"))
		} else {
			seen[of] = true
		}
	}
	v.executor(&j.declared, c.executor)
	v.hooks(&j.declared, c.hooks)
	v.jobLoggers(j)
}

func (v *validation) tagLimit(j *Job, limit TagLimit) {
	for _, problem := range plan.TagProblems("tag_limits", map[string]string{limit.Key: limit.Value}) {
		v.add(j.problem(problem.Path, problem.Message, problem.Fix))
	}
	if limit.Limit < 1 {
		v.add(j.problem("tag_limits", fmt.Sprintf("the limit of the tag %q is %d", limit.Key, limit.Limit), "set Limit, at least 1"))
	}
	if limit.Value != "" && limit.PerValue {
		v.add(j.problem("tag_limits", fmt.Sprintf("the limit of the tag %q is for the value %q, and PerValue", limit.Key, limit.Value), "leave one of the two out"))
	}
}
