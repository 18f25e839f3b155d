package definitions

import (
	"errors"
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/plan"
)

// hookKind is when a hook runs.
type hookKind string

const (
	onSuccess hookKind = "on_success"
	onFailure hookKind = "on_failure"
)

// hook is a function that runs when a step has ended.
type hook struct {
	on  hookKind
	run Compute[Nothing]
}

// HookOption is what [OnSuccess] and [OnFailure] return.
type HookOption interface {
	StepOption
	JobOption
}

// OnSuccess runs a function when the step has succeeded; on a job, for each of its steps. It may bind [TheSuccess], resources,
// and the config that the step itself takes. What needs the step does not wait for it; the run's end does. Its failure
// is recorded with the run, and changes nothing else. It may be given several times.
func OnSuccess(fn Compute[Nothing]) HookOption { return &hook{onSuccess, fn} }

// OnFailure runs a function when the step has failed and is not tried again; on a job, for each of its steps. It may bind
// [TheFailure]. For the rest see [OnSuccess].
func OnFailure(fn Compute[Nothing]) HookOption { return &hook{onFailure, fn} }

func (h *hook) applyAsset(a *asset)        { a.maker.control.hooks = append(a.maker.control.hooks, h) }
func (h *hook) applyMultiAsset(c *compute) { c.control.hooks = append(c.control.hooks, h) }
func (h *hook) applyOp(c *compute)         { c.control.hooks = append(c.control.hooks, h) }
func (h *hook) applyJob(j *Job)            { j.control.hooks = append(j.control.hooks, h) }

// StepEnd is a step that has ended.
type StepEnd struct {
	// Run is the step's; its Attempt is the last one.
	Run RunInfo
	// Step is the step's key: "route_delays", "etl.clean[page_3]".
	Step string
	// Metadata is what was reported for what the step made, each label once; of a failure, what its error carries.
	Metadata []Metadatum
}

// Success is what an [OnSuccess] hook is about.
type Success struct {
	StepEnd
	// Assets are the keys of those that the step materialized.
	Assets []string
}

// Failure is what an [OnFailure] hook is about.
type Failure struct {
	StepEnd
	// Err is the last attempt's. Where the step ran in another process, it has the message alone.
	Err error
	// Stack is the Go stack of a panic; "" otherwise.
	Stack string
}

// TheSuccess is what an [OnSuccess] hook is about. Bound elsewhere it is a problem.
var TheSuccess Source[Success] = theSuccess{}

// TheFailure is what an [OnFailure] hook is about. Bound elsewhere it is a problem.
var TheFailure Source[Failure] = theFailure{}

type theSuccess struct{}

func (theSuccess) carries(Success) {}
func (h theSuccess) need() need    { return need{kind: needSuccess, id: h} }
func (theSuccess) load(s *scope) (Success, error) {
	if s.ended == nil {
		return Success{}, errors.New("TheSuccess is for OnSuccess hooks")
	}
	return Success{StepEnd: s.ended.end(), Assets: slices.Clone(s.ended.Assets)}, nil
}

type theFailure struct{}

func (theFailure) carries(Failure) {}
func (h theFailure) need() need    { return need{kind: needFailure, id: h} }
func (theFailure) load(s *scope) (Failure, error) {
	if s.ended == nil {
		return Failure{}, errors.New("TheFailure is for OnFailure hooks")
	}
	return Failure{StepEnd: s.ended.end(), Err: s.ended.Err, Stack: s.ended.Stack}, nil
}

// of says which hooks a kind of source is for; "" is any function.
func (k needKind) of() hookKind {
	switch k { //nolint:exhaustive // the others are not for hooks
	case needSuccess:
		return onSuccess
	case needFailure:
		return onFailure
	}
	return ""
}

// hooks checks the hooks of one declaration.
func (v *validation) hooks(d *declared, hooks []*hook) {
	for _, h := range hooks {
		for _, f := range h.run.faultsOf() {
			v.add(d.problem(string(h.on), f.message, f.fix))
		}
		v.needsListed(d, h.run.needs)
		v.oneConfig(d, h.run.needs)
		for _, n := range h.run.needs {
			n.each(nil, func(n need) { v.hookNeed(d, h, n) })
		}
	}
}

func (v *validation) hookNeed(d *declared, h *hook, n need) {
	switch {
	case n.kind == needAsset, n.node != nil:
		v.add(d.problem(string(h.on), fmt.Sprintf("the hook (%s) binds %s, and a hook loads no values", h.run.at, n.describe()), "bind TheSuccess or TheFailure, resources and config"))
	case n.kind == needRequested, n.kind == needMappingKey, n.kind == needPartition, n.kind == needPrevious, n.kind == needReport:
		v.add(d.problem(string(h.on), fmt.Sprintf("the hook (%s) binds %s, which only a step's function can", h.run.at, n.describe()), "bind TheSuccess or TheFailure, resources and config"))
	case n.kind == needTick:
		v.add(d.problem(string(h.on), fmt.Sprintf("the hook (%s) binds %s, which is for schedules and sensors", h.run.at, n.describe()), "bind TheSuccess or TheFailure, resources and config"))
	case n.kind.of() != "" && n.kind.of() != h.on:
		v.add(d.problem(string(h.on), fmt.Sprintf("the hook (%s) binds %s, which is not what it is about", h.run.at, n.describe()), "bind TheSuccess in OnSuccess, and TheFailure in OnFailure"))
	}
}

// hookConfigs reports steps whose own hooks cannot be given their config.
func (v *validation) hookConfigs() {
	reported := map[*hook]bool{}
	for _, c := range v.definitions.computes {
		for _, h := range c.control.hooks {
			if !reported[h] && !h.configured(c) {
				reported[h] = true
				v.add(c.problem(string(h.on), h.lacksConfig(), h.configFix()))
			}
		}
	}
}

// jobHookConfigs reports hooks of a job that cannot be given their config for one of its steps.
func (v *validation) jobHookConfigs(j *Job, contents plan.JobContents) {
	for _, h := range j.control.hooks {
		for _, c := range v.definitions.computes {
			runs := slices.Contains(contents.Ops, c.name) ||
				slices.ContainsFunc(c.outs, func(out *asset) bool { return slices.Contains(contents.Assets, out.name) })
			if runs && !h.configured(c) {
				v.add(j.problem(string(h.on), h.lacksConfig()+fmt.Sprintf(" (%s)", c.object()), h.configFix()))
				break
			}
		}
	}
}

// configured says whether a hook has all of its config when it runs for a step: it gets the step's, or the defaults.
func (h *hook) configured(c *compute) bool {
	config := configOf(h.run.needs)
	if config == nil || config == configOf(c.needs) || len(config.faults) > 0 {
		return true // a config with faults is reported by itself
	}
	_, err := config.decode(nil)
	return err == nil
}

func (h *hook) lacksConfig() string {
	config := configOf(h.run.needs)
	return fmt.Sprintf("the hook (%s) binds %s (%s), which has required fields, and its step does not take that config", h.run.at, config.object(), config.at)
}

func (h *hook) configFix() string {
	return "bind that config in the step's function, too, or give each of its fields a default"
}

// noHook reports sources that only hooks have, or schedules and sensors, where they are bound elsewhere.
func (v *validation) noHook(d *declared, needs []need) {
	for _, n := range needs {
		n.each(nil, func(n need) {
			if n.kind == needTick {
				v.add(d.problem("inputs", fmt.Sprintf("it binds %s, which is for schedules and sensors", n.describe()), "bind it in the function of a schedule or sensor"))
			}
			if n.kind.of() != "" {
				v.add(d.problem("inputs", fmt.Sprintf("it binds %s, which is for hooks", n.describe()), "bind it in "+map[hookKind]string{onSuccess: "OnSuccess", onFailure: "OnFailure"}[n.kind.of()]))
			}
		})
	}
}
