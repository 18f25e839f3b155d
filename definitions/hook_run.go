package definitions

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/perdure-io/perdure/wire"
)

// HookOutcome is what became of a hook.
type HookOutcome string

// The outcomes of hooks.
const (
	HookCompleted HookOutcome = "completed"
	HookErrored   HookOutcome = "errored"
	HookSkipped   HookOutcome = "skipped" // a success hook of a step that failed, or the other way round
)

// HookResult is what became of one hook of a step that has ended.
type HookResult struct {
	// Step is the step's key. Hook names the hook: "on_failure flights/flights.go:120", "on_success of job daily …".
	Step, Hook string
	Outcome    HookOutcome
	// Err is set of one that errored.
	Err error
}

// Ended is a step that has ended, SUCCESS or FAILED, as its hooks are told. It is for Perdure's own packages.
type Ended struct {
	Run    RunInfo
	Step   string
	Status wire.StepStatus
	// Err and Stack are the last attempt's failure.
	Err   error
	Stack string
	// Assets are what it materialized; Metadata what was reported of that, or what the error carries.
	Assets   []string
	Metadata []wire.Metadatum
	// Config and Resources are the step's, as planned.
	Config    json.RawMessage
	Resources map[string]json.RawMessage
	// Done are the names of hooks that ran before, which are left out.
	Done []string
	// Each, unless nil, is called with what became of a hook before the next one begins.
	Each func(HookResult)
	// Log is what the hooks log to; nil is the environment's.
	Log *slog.Logger
}

func (e *Ended) end() StepEnd {
	return StepEnd{Run: e.Run, Step: e.Step, Metadata: raiseMetadata(e.Metadata)}
}

// HasHooks says whether a compute has hooks of its own, or by a job ("" is none).
func (r *Runtime) HasHooks(computeName, job string) bool { return len(r.hooksOf(computeName, job)) > 0 }

// namedHook is a hook and its name in records.
type namedHook struct {
	*hook
	name string
}

// hooksOf are a compute's hooks, and then those of the job that it runs in.
func (r *Runtime) hooksOf(computeName, job string) []namedHook {
	var named []namedHook
	count := map[string]int{}
	add := func(of string, hooks []*hook) {
		for _, h := range hooks {
			name := fmt.Sprintf("%s%s %s", h.on, of, h.run.at)
			if count[name]++; count[name] > 1 {
				name = fmt.Sprintf("%s#%d", name, count[name])
			}
			named = append(named, namedHook{h, name})
		}
	}
	if c := r.computes[computeName]; c != nil {
		add("", c.control.hooks)
	}
	if j := r.jobs[job]; j != nil {
		add(" of job "+j.name, j.control.hooks)
	}
	return named
}

// RunHooks runs the hooks of a step that has ended, one after the other: those of its compute, and those of the run's
// job ("" is none). A hook that fails or panics keeps no other from running. One that the end of ctx keeps from running is
// not among the results.
func (r *Runtime) RunHooks(ctx context.Context, computeName, job string, ended Ended) []HookResult {
	log := ended.Log
	if log == nil {
		log = r.environment.Log
	}
	var results []HookResult
	for _, h := range r.hooksOf(computeName, job) {
		if slices.Contains(ended.Done, h.name) || ctx.Err() != nil {
			continue
		}
		result := HookResult{Step: ended.Step, Hook: h.name, Outcome: HookCompleted}
		switch {
		case (h.on == onSuccess) != (ended.Status == wire.StepSuccess):
			result.Outcome = HookSkipped
		default:
			if result.Err = r.runHook(ctx, computeName, h, &ended, log); result.Err != nil {
				result.Outcome = HookErrored
			}
		}
		results = append(results, result)
		if ended.Each != nil {
			ended.Each(result)
		}
	}
	return results
}

func (r *Runtime) runHook(ctx context.Context, computeName string, h namedHook, ended *Ended, log *slog.Logger) error {
	s := &scope{context: newContext(ctx, log.With("hook", h.name), ended.Run), runtime: r, ended: ended, resources: ended.Resources}
	if c := r.computes[computeName]; c != nil && configOf(c.needs) == configOf(h.run.needs) {
		s.compute, s.config = c, ended.Config
	}
	return guarded(func() error {
		_, err := h.run.run(s)
		return err
	})
}

// outputsMetadata is what was recorded of a step's outputs: of several under one label, the first.
func outputsMetadata(outputs []wire.CommittedOutput) (assets []string, metadata []wire.Metadatum) {
	for _, output := range outputs {
		if output.Asset != "" {
			assets = append(assets, output.Asset)
		}
		for _, m := range output.Metadata {
			same := func(other wire.Metadatum) bool { return other.Label == m.Label }
			if !slices.ContainsFunc(metadata, same) {
				metadata = append(metadata, m)
			}
		}
	}
	return assets, metadata
}
