package daemon

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
	"github.com/perdure-io/perdure/workflows"
)

const (
	// systemSlots is how many activities of the system queue run at once.
	systemSlots = 4
	// stickyTimeout is how soon another daemon takes over the workflows of one that died.
	stickyTimeout = time.Second
	// shownWaiting is how many of the runs and of the steps that wait the run queue's details show.
	shownWaiting = 20
)

// serve serves the system queue until ctx ends. While Temporal does not take it, it tries again with every round.
func (d *Daemon) serve(ctx context.Context) {
	ticker := time.NewTicker(roundEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		failed := make(chan error, 1)
		served := d.systemWorker(failed)
		if err := served.Start(); err != nil {
			d.Log.Warn("the system queue is not served, the next round tries again", "error", err)
		} else {
			select {
			case <-ctx.Done():
			case err := <-failed:
				d.Log.Warn("the system queue is not served any more, the next round tries again", "error", err)
			}
			served.Stop()
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (d *Daemon) systemWorker(failed chan<- error) sdkworker.Worker {
	served := sdkworker.New(d.Temporal, wire.SystemQueue(d.Starter.Deployment), sdkworker.Options{
		MaxConcurrentActivityExecutionSize: systemSlots, StickyScheduleToStartTimeout: stickyTimeout,
		OnFatalError: func(err error) {
			select {
			case failed <- err:
			default:
			}
		},
	})
	served.RegisterWorkflowWithOptions(workflows.RunQueue, workflow.RegisterOptions{Name: wire.RunQueueWorkflow})
	served.RegisterActivityWithOptions(d.AdmitRuns, activity.RegisterOptions{Name: wire.AdmitRunsActivity})
	served.RegisterActivityWithOptions(d.Refuse, activity.RegisterOptions{Name: wire.RefuseActivity})
	return served
}

// AdmitRuns is the activity of the workflow RunQueue: it admits what has room, takes back what nobody owns any more, and has those
// woken again that were not heard of. It answers what waits then.
func (d *Daemon) AdmitRuns(ctx context.Context) (wire.AdmitRunsResult, error) {
	round, err := d.Store.AdmitRuns(ctx, metadata.AdmitOptions{})
	if err != nil {
		return wire.AdmitRunsResult{}, err
	}
	if round.ReclaimedRuns+round.ReclaimedSlots > 0 {
		d.Log.Warn("took back what nobody owns any more", "runs", round.ReclaimedRuns, "slots", round.ReclaimedSlots)
	}
	result := wire.AdmitRunsResult{Runs: round.WaitingRuns, Steps: round.WaitingSteps, Woken: len(round.Admitted)}
	if round.Waiting() == 0 {
		return result, nil
	}
	queue, err := d.Store.Queue(ctx, shownWaiting)
	if err != nil {
		return wire.AdmitRunsResult{}, err
	}
	result.First = whatWaits(queue)
	return result, nil
}

// whatWaits is the queue as the workflow shows it.
func whatWaits(queue metadata.Queue) []wire.Waiting {
	var first []wire.Waiting
	for _, run := range queue.Waiting {
		first = append(first, wire.Waiting{
			RunID: run.RunID, Priority: run.Priority, Since: run.Since.UTC().Format(time.RFC3339), Reason: run.Reason,
		})
	}
	for _, step := range queue.WaitingSteps {
		first = append(first, wire.Waiting{
			RunID: step.RunID, Step: step.Step, Pool: step.Pool, Priority: step.Priority,
			Since: step.Since.UTC().Format(time.RFC3339), Reason: step.Reason,
		})
	}
	return first
}

// Refuse is the activity that remembers a request that RunQueue refuses.
func (d *Daemon) Refuse(ctx context.Context, input wire.RefuseInput) error {
	return d.Store.Refuse(ctx, input)
}

// lookAfterQueue starts the workflow RunQueue when something waits and it is not there: somebody terminated it, or who was to
// start it was killed.
func (d *Daemon) lookAfterQueue(ctx context.Context) error {
	queue, err := d.Store.Queue(ctx, 1)
	if err != nil || queue.WaitingTotal+queue.WaitingStepsTotal == 0 {
		return err
	}
	_, err = d.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: wire.RunQueueID(d.Starter.Deployment), TaskQueue: wire.SystemQueue(d.Starter.Deployment),
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, wire.RunQueueWorkflow)
	if err != nil {
		return fmt.Errorf("start the run queue: %w", err)
	}
	return nil
}
