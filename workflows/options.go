package workflows

import (
	"cmp"
	"strings"
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
	// remoteHeartbeatTimeout is when the program of a remote step counts as lost: it must send heartbeats more often.
	remoteHeartbeatTimeout = time.Minute
	// hookTimeout bounds one attempt at the hooks of a step, and maxHookAttempts how many workers may die under them.
	hookTimeout     = 10 * time.Minute
	maxHookAttempts = 10
	// maxSummary is how much one line in Temporal's timeline says, in bytes: Temporal takes 400.
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

func summary(text string) string { return cut(text, maxSummary) }

// summaryOf is what a step's line in Temporal's timeline says besides its activity type: nothing when that says it all.
func summaryOf(step plan.WalkStep) string {
	if text := step.Summary(); text != step.ActivityType() {
		return summary(text)
	}
	return ""
}

func controlOptions(ctx workflow.Context, queue, id string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID: wire.SystemPrefix + id, TaskQueue: wire.ControlQueue(queue),
		StartToCloseTimeout: controlTimeout, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: patientRetries(),
	})
}

func stepOptions(ctx workflow.Context, queue, key, summary string, kind plan.Kind) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID: key, TaskQueue: wire.NamedQueue(queue, kind.Queue), Summary: summary,
		StartToCloseTimeout: unbounded, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: patientRetries(),
		WaitForCancellation: true,
		Priority:            temporal.Priority{PriorityKey: int(kind.Priority)},
	})
}

// localOptions are those of a step as a local activity: the user's retries are made inside it.
func localOptions(ctx workflow.Context, key string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: unbounded, StartToCloseTimeout: unbounded, RetryPolicy: patientRetries(), Summary: summary(key),
	})
}

func promptOptions(ctx workflow.Context, activity string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: promptTimeout, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}, Summary: activity,
	})
}

// remoteOptions are those of the activity that another program serves. It is tried once: what its failure means is decided
// between two attempts.
func remoteOptions(ctx workflow.Context, queue, key, summary string, kind plan.Kind) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID: key, TaskQueue: wire.NamedQueue(queue, kind.Queue), Summary: summary,
		StartToCloseTimeout: cmp.Or(kind.Timeout, unbounded), HeartbeatTimeout: remoteHeartbeatTimeout,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		WaitForCancellation: true,
		Priority:            temporal.Priority{PriorityKey: int(kind.Priority)},
	})
}

// serviceOptions are those of the activities before and after a remote step, which need the location's code: they run on
// its own queue.
func serviceOptions(ctx workflow.Context, queue, id, text string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID: wire.SystemPrefix + id, TaskQueue: queue, Summary: summary(text),
		StartToCloseTimeout: unbounded, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: patientRetries(),
		WaitForCancellation: true,
	})
}

func hookOptions(ctx workflow.Context, queue, key string) workflow.Context {
	retries := patientRetries()
	retries.MaximumAttempts = maxHookAttempts
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID: wire.SystemPrefix + "hooks:" + key, TaskQueue: queue, Summary: summary(key),
		StartToCloseTimeout: hookTimeout, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: retries,
		WaitForCancellation: true,
	})
}

// cut is the beginning of a text, at most that many bytes; it ends with a whole character.
func cut(text string, most int) string {
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}
