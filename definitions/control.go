package definitions

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/perdure-io/perdure/plan"
)

// control is how a step runs, besides its function.
type control struct {
	stall    *StallTimeout
	executor *plan.Executor
	order    int
	// hooks are those of the step itself; a job has more.
	hooks []*hook
	// ofType checks an op's value.
	ofType *checkedType
}

// StepOption is an option of everything that a step runs: assets, multi-assets and ops.
type StepOption interface {
	AssetOption
	MultiAssetOption
	OpOption
}

// StallTimeout fails an attempt that has called the Progress of its [Context] for so long no more, and is retried like any
// other failure. It begins with the attempt, before its inputs are loaded; what the function logs or reports does not
// count. Without it there is no bound; beside it, [Timeout] bounds the whole attempt.
type StallTimeout time.Duration

// Order says which of the steps that could start in a run does first, where its limits make some wait: the one with the
// greater order. Without it, 0; among equals, the one that could start first.
type Order int

func (v StallTimeout) apply(c *compute, d *declared) {
	c.options.once(d, "stall_timeout", optionStall)
	c.control.stall = &v
}

func (v StallTimeout) applyAsset(a *asset)        { v.apply(a.maker, &a.declared) }
func (v StallTimeout) applyMultiAsset(c *compute) { v.apply(c, &c.declared) }
func (v StallTimeout) applyOp(c *compute)         { v.apply(c, &c.declared) }

func (v Order) apply(c *compute, d *declared) {
	c.options.once(d, "order", optionOrder)
	c.control.order = int(v)
}

func (v Order) applyAsset(a *asset)        { v.apply(a.maker, &a.declared) }
func (v Order) applyMultiAsset(c *compute) { v.apply(c, &c.declared) }
func (v Order) applyOp(c *compute)         { v.apply(c, &c.declared) }

// inheritControl takes over from what is said for several steps what this one was not given itself. Hooks add up. What
// another program computes has no executor here, and reports no progress.
func (c *compute) inheritControl(from *compute) {
	for option, take := range map[string]func(){
		optionStall:    func() { c.control.stall = from.control.stall },
		optionExecutor: func() { c.control.executor = from.control.executor },
		optionOrder:    func() { c.control.order = from.control.order },
	} {
		if from.options[option] && !c.options[option] && (!c.remote || option == optionOrder) {
			take()
			c.options.add(option)
		}
	}
	c.control.hooks = append(slices.Clone(c.control.hooks), from.control.hooks...)
}

// control lowers how a step runs.
func (l *lowering) control(c *compute, lowered *plan.Compute) {
	lowered.Executor, lowered.Order = c.control.executor, c.control.order
	if c.control.stall != nil {
		lowered.StallTimeout = time.Duration(*c.control.stall)
	}
	for _, h := range c.control.hooks {
		lowered.OnSuccess = lowered.OnSuccess || h.on == onSuccess
		lowered.OnFailure = lowered.OnFailure || h.on == onFailure
	}
	if c.node == nil {
		lowered.Tags = sharedTags(c.outs)
	}
}

// sharedTags are the tags that all assets of a step have.
func sharedTags(outs []*asset) map[string]string {
	var shared map[string]string
	for i, out := range outs {
		if i == 0 {
			shared = maps.Clone(out.tags)
			continue
		}
		for key, value := range shared {
			if other, has := out.tags[key]; !has || other != value {
				delete(shared, key)
			}
		}
	}
	if len(shared) == 0 {
		return nil
	}
	return shared
}

// opStores checks that what stores the outputs of ops takes them. The last op of a graph asset stores the asset.
func (v *validation) opStores() {
	for _, c := range v.definitions.computes {
		if c.node == nil || len(c.outs) > 0 || c.store == nil {
			continue
		}
		if refusal := c.store.refusesOps(); refusal != nil {
			v.add(c.problem(c.store.field, "its IO manager keeps no outputs of ops: "+refusal.Error(), "store it with one that does, or leave "+c.store.option+" out"))
		}
	}
}

// control checks how a step runs.
func (v *validation) control(c *compute) {
	d := &c.declared
	if stall := c.control.stall; stall != nil && *stall <= 0 {
		v.add(d.problem("stall_timeout", fmt.Sprintf("the stall timeout is %s", time.Duration(*stall)),
			"set a positive duration, or leave StallTimeout out for no bound"))
	}
	if stall := c.control.stall; stall != nil && c.timeout != nil && *stall > 0 && time.Duration(*stall) >= c.timeout.duration() {
		v.add(d.problem("stall_timeout", fmt.Sprintf("the stall timeout of %s is not shorter than the timeout of %s, which ends the attempt before", time.Duration(*stall), c.timeout.duration()),
			"leave one of the two out"))
	}
	if e := c.control.executor; e != nil && e.Kind == plan.ExecutorLocalActivity && c.queue != "" {
		v.add(d.problem("executor", fmt.Sprintf("it is a local activity, which runs on the worker that walks the run, and has the queue %q", c.queue),
			"leave Queue out, or choose another executor"))
	}
	v.executor(d, c.control.executor)
	v.hooks(d, c.control.hooks)
	v.ofType(c)
}
