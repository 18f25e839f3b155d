package worker

import (
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/perdure-io/perdure/activities"
	"github.com/perdure-io/perdure/internal/computelog"
	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
)

func (w *Worker) activities() (*activities.Activities, error) {
	c := w.options.Config
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Logs.Level)); err != nil {
		return nil, fmt.Errorf("logs.level: %w", err)
	}
	executor, err := w.stepExecutor()
	if err != nil {
		return nil, err
	}
	return &activities.Activities{
		Client: w.temporal, Store: w.store, Runtime: w.runtime, Log: w.log,
		Namespace: c.Temporal.Namespace, Location: w.location, Worker: w.identity(), Build: w.build,
		Starter: w.starter(), Wake: w.waker.Wake, RunURL: c.Temporal.WorkflowURL,
		DeployGrace: c.Run.DeployGrace, CommitPatience: c.Run.CommitPatience, Random: rand.Float64,
		Lines: w.lines, LogLevel: level, Printer: printer{w.prints}, Isolate: executor.Isolate,
	}, nil
}

// printer keeps what steps print as compute logs.
type printer struct{ store *computelog.Store }

// Begin makes the log of one execution.
func (p printer) Begin(of step.Execution) step.Prints {
	return p.store.Begin(computelog.Execution{Run: of.Run, Step: of.Step, Attempt: of.Attempt, Token: of.Token})
}

// starter has the instance's settings for what is started from here.
func (w *Worker) starter() *starter.Starter {
	c := w.options.Config
	return &starter.Starter{
		Temporal: w.temporal, Store: w.store, Deployment: c.Deployment,
		Limits: plan.Limits{
			MaxConcurrentSteps: c.Run.MaxConcurrentSteps, ContinueAfter: c.Run.ContinueAfterEvents,
			ForceAfter: c.Run.ForceContinueEvents, MaxLostWorkers: c.Run.MaxLostWorkers,
		},
		Executor: plan.Executor{Kind: plan.ExecutorKind(c.Run.Executor)}, MaxRuntime: c.Run.MaxRuntime,
		Retries: starter.RetrySettings{MaxRetries: c.Run.MaxRetries, OnStepFailure: c.Run.RetryOnStepFailure},
	}
}
