package definitions

import (
	"fmt"

	"github.com/perdure-io/perdure/plan"
)

// Executor says how a step runs: [InWorker], [LocalActivity] or [Subprocess].
type Executor interface{ executor() *plan.Executor }

// InWorker runs a step in the worker's process, as an activity of its own in Temporal. That is so where neither step, job
// nor the instance's configuration says otherwise.
type InWorker struct{}

// LocalActivity runs a step in the worker that walks the run, without a task of its own: for many steps that take
// milliseconds and may be done twice. Temporal's timeline does not show them one by one.
type LocalActivity struct{}

// Subprocess runs a step in a process of its own, started by the worker from the same program: what it holds is gone
// when it ends, it is killed on cancel, and all that it prints is kept.
type Subprocess struct {
	// MemoryLimit ends a process that uses more; 0 is no limit.
	MemoryLimit Bytes
}

// Bytes is an amount of memory.
type Bytes int64

// Units of memory: 512 * MiB.
const (
	KiB Bytes = 1 << (10 * (iota + 1))
	MiB
	GiB
)

func (InWorker) executor() *plan.Executor { return &plan.Executor{Kind: plan.ExecutorActivity} }
func (LocalActivity) executor() *plan.Executor {
	return &plan.Executor{Kind: plan.ExecutorLocalActivity}
}

func (s Subprocess) executor() *plan.Executor {
	return &plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: int64(s.MemoryLimit)}
}

// ExecutorOption is what [ExecuteAs] returns.
type ExecutorOption interface {
	StepOption
	JobOption
}

// ExecuteAs chooses how a step runs; on a job, how those of its steps run that do not choose themselves. Without it, the
// instance's configuration says.
func ExecuteAs(e Executor) ExecutorOption {
	if e == nil {
		return executeAs{}
	}
	return executeAs{e.executor()}
}

type executeAs struct{ chosen *plan.Executor }

func (e executeAs) apply(d *declared, options *optionNames, into **plan.Executor) {
	options.once(d, "executor", optionExecutor)
	if e.chosen == nil {
		d.wrong("executor", "ExecuteAs is given nil", "give it InWorker{}, LocalActivity{} or Subprocess{}")
		return
	}
	*into = e.chosen
}

func (e executeAs) applyAsset(a *asset) {
	e.apply(&a.declared, &a.maker.options, &a.maker.control.executor)
}

func (e executeAs) applyMultiAsset(c *compute) { e.apply(&c.declared, &c.options, &c.control.executor) }

func (e executeAs) applyOp(c *compute) { e.apply(&c.declared, &c.options, &c.control.executor) }

func (e executeAs) applyJob(j *Job) { e.apply(&j.declared, &j.options, &j.control.executor) }

func (v *validation) executor(d *declared, e *plan.Executor) {
	if e != nil && e.MemoryLimit < 0 {
		v.add(d.problem("executor", fmt.Sprintf("the memory limit is %d bytes", e.MemoryLimit), "set a positive one, such as 512 * definitions.MiB, or leave it out"))
	}
}
