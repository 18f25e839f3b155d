package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// promptTimeout bounds a planning or recording local activity. It is less than the timeout of a workflow task.
const promptTimeout = 5 * time.Second

// promptly plans a run or records its end. It calls a local activity, which saves the round trips of an activity's task: a run
// of few steps takes little else. What that one could not do in a moment goes on as an activity on the control queue, which
// tries again for as long as it takes, where people see it.
func (r *run) promptly(ctx workflow.Context, id, activity string, input, result any) error {
	err := workflow.ExecuteLocalActivity(promptOptions(ctx, activity), activity, input).Get(ctx, result)
	var failed *temporal.ApplicationError
	if err == nil || errors.As(err, &failed) && failed.Type() == wire.FailureInvalidRequest {
		return err
	}
	return workflow.ExecuteActivity(controlOptions(ctx, r.queue, id), activity, input).Get(ctx, result)
}
