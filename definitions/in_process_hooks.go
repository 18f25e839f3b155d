package definitions

import (
	"context"
	"errors"
	"sync"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// processHooks are the hooks of an in-process run: they run beside the steps, and the run's end waits for them.
type processHooks struct {
	running sync.WaitGroup
	mutex   sync.Mutex
	results []HookResult
}

// begin runs the hooks of a step that has succeeded, or failed with err.
func (h *processHooks) begin(ctx context.Context, m *materialization, ledger *memoryLedger, planned plan.WalkStep, err error) {
	if ctx.Err() != nil || !m.runtime.HasHooks(planned.ActivityType(), ledger.job) {
		return
	}
	ended := ledger.ended(planned.Key, err)
	h.running.Go(func() {
		results := m.runtime.RunHooks(ctx, planned.ActivityType(), ledger.job, ended)
		h.mutex.Lock()
		defer h.mutex.Unlock()
		h.results = append(h.results, results...)
	})
}

// ended is what hooks are told of a step.
func (l *memoryLedger) ended(key string, err error) Ended {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	planned, ok := l.steps[key]
	if template, _, mapped := plan.SplitMappedKey(key); mapped && !ok {
		planned = l.steps[template]
	}
	ended := Ended{
		Run:  RunInfo{ID: processRun, Cause: processRun, Attempt: l.attempts[key] + 1, Tags: l.tags, Job: l.job},
		Step: key, Status: wire.StepSuccess, Config: planned.Config, Resources: planned.Resources,
	}
	if err == nil {
		ended.Assets, ended.Metadata = outputsMetadata(l.committed[key])
		return ended
	}
	ended.Status, ended.Err = wire.StepFailed, err
	if failed, ok := errors.AsType[*step.FailedError](err); ok {
		ended.Err, ended.Stack, ended.Metadata, ended.Run.Attempt = failed.Cause, failed.Stack, failed.Metadata, failed.Attempt
	}
	return ended
}

// Hooks is what became of the hooks of the steps that ended, in the order in which they ended. A hook that failed fails
// nothing else: Err does not say so.
func (r *Result) Hooks() []HookResult { return r.hooks }

// FailureMetadata is what the error carries that failed an asset's step, of several the first: see [WithMetadata].
func (r *Result) FailureMetadata(a AnyAsset) []Metadatum {
	for _, key := range r.keysOf(a) {
		if failed, ok := errors.AsType[*step.FailedError](r.failures[r.stepOf[partOf(a, key)]]); ok {
			return raiseMetadata(failed.Metadata)
		}
	}
	return nil
}
