package definitions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// ended is a step that is done.
type ended struct {
	number int
	result wire.StepResult
	err    error
}

// run walks the plan as the workflow does, with steps as goroutines.
func (m *materialization) run(ctx context.Context) {
	walk := &m.plan.Walk
	ledger := newMemoryLedger(m.plan)
	progress := plan.NewProgress(walk)
	m.result.begin(m.plan, progress, ledger)
	runner := &step.Runner{Ledger: ledger, Log: slog.Default(), Worker: "this process", Random: rand.Float64}
	results := make(chan ended)
	running, limit := 0, 2*runtime.GOMAXPROCS(0)
	if most := walk.Limits.MaxConcurrentSteps; most > 0 {
		limit = min(limit, most)
	}
	var hooks processHooks
	whole := ctx
	if walk.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, walk.Timeout, fmt.Errorf("it took longer than its run timeout of %s", walk.Timeout))
		defer cancel()
	}
	for !progress.Done() {
		for running < limit && ctx.Err() == nil {
			number, ok := progress.NextReady()
			if !ok {
				break
			}
			running++
			planned := progress.Step(number)
			go func() {
				result, err := m.step(ctx, runner, planned)
				results <- ended{number, result, err}
			}()
		}
		if running == 0 {
			progress.CancelRest() // nothing runs and nothing may start: ctx has ended
			m.result.canceled = context.Cause(ctx)
			break
		}
		end := <-results
		running--
		var interrupted *step.InterruptedError
		switch {
		case end.err == nil:
			hooks.begin(whole, m, ledger, progress.Step(end.number), nil)
			progress.Succeed(end.number, end.result.NotEmitted, end.result.Keys)
		case errors.As(end.err, &interrupted):
			m.result.canceled = context.Cause(ctx)
			progress.Cancel(end.number)
		default:
			m.result.failures[end.number] = end.err
			hooks.begin(whole, m, ledger, progress.Step(end.number), end.err)
			progress.Fail(end.number)
		}
	}
	hooks.running.Wait()
	m.result.hooks = hooks.results
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	m.result.closing = m.runtime.Close(closing)
}

// step makes attempts until the step is done or has no retry left.
func (m *materialization) step(ctx context.Context, runner *step.Runner, planned plan.WalkStep) (wire.StepResult, error) {
	code, ok := m.runtime.Code(planned.ActivityType())
	if !ok {
		return wire.StepResult{}, fmt.Errorf("there is no code for %q", planned.ActivityType())
	}
	scheduled := time.Now()
	for {
		id := step.Identity{Run: processRun, Step: planned.Key, Scheduled: scheduled, Started: time.Now()}
		result, err := runner.Run(ctx, code, id, silentHeart{})
		var failed *step.FailedError
		if !errors.As(err, &failed) || failed.Final {
			return result, err
		}
		delay := failed.Delay
		if m.inProcess.retryAtOnce {
			delay = 0
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return wire.StepResult{}, &step.InterruptedError{Step: planned.Key, Cause: err}
		}
	}
}

// silentHeart is a heartbeat that nobody hears: nobody takes over a step in process.
type silentHeart struct{}

func (silentHeart) Beat(step.Beat)                {}
func (silentHeart) Previous() *step.StagedOutputs { return nil }
