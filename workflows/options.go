package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const (
	// controlTimeout bounds one attempt of a planning or recording activity.
	controlTimeout = time.Minute
	// heartbeatTimeout is when an activity's worker counts as lost.
	heartbeatTimeout = 20 * time.Second
	// maxSummary is how much of a step's key its line in Temporal's timeline says, in bytes: Temporal takes 400.
	maxSummary = 200
	// unbounded stands for "no limit" where Temporal wants one: heartbeats find dead workers, and a step's own
	// timeout is kept where it runs.
	unbounded = 10 * 365 * 24 * time.Hour
)

// patientRetries is the budget for lost workers and unreachable stores. The user's retries are not
// here: they are counted in Postgres and decided by the activity.
func patientRetries() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second}
}

func controlOptions(ctx workflow.Context, queue, id string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID: wire.SystemPrefix + id, TaskQueue: wire.ControlQueue(queue),
		StartToCloseTimeout: controlTimeout, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: patientRetries(),
	})
}

func stepOptions(ctx workflow.Context, queue string, step plan.WalkStep, kind plan.Kind) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID: step.Key, TaskQueue: wire.NamedQueue(queue, kind.Queue), Summary: cut(step.Key, maxSummary),
		StartToCloseTimeout: unbounded, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: patientRetries(),
		WaitForCancellation: true,
		Priority:            temporal.Priority{PriorityKey: int(kind.Priority)},
	})
}
