package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

const (
	// visibilityLag is how far Temporal's lists may be behind what has happened.
	visibilityLag = 5 * time.Minute
	// firstLook is how far back a new daemon reads the list; what is older is found by the search.
	firstLook = 15 * time.Minute
	// beginWithin is how soon a run is expected to have begun.
	beginWithin = 20 * time.Second
	// openFor is the age of the rows that a search looks at.
	openFor = 10 * time.Minute
	// looksAtOnce is how many executions are described at a time.
	looksAtOnce = 8
)

// endClosed ends the runs whose workflow closed and left their row open, and starts again which of them are to be.
func (d *Daemon) endClosed(ctx context.Context) error {
	began := time.Now()
	since := d.lookedUntil.Add(-visibilityLag)
	if d.lookedUntil.IsZero() {
		since = began.Add(-firstLook)
	}
	err := closedRuns(ctx, d.Temporal, since, func(page []*workflow.WorkflowExecutionInfo) error {
		open, failed, err := d.unfinishedAmong(ctx, page)
		if err != nil {
			return err
		}
		return errors.Join(d.each(ctx, open, d.end), d.retry(ctx, failed))
	})
	if err == nil {
		d.lookedUntil = began
	}
	return err
}

// unfinishedAmong are those of the executions' runs whose row is open, and those that failed and may have to be started
// again still: who ended them was killed before that, or was a step that waited for them.
func (d *Daemon) unfinishedAmong(ctx context.Context, page []*workflow.WorkflowExecutionInfo) (open []string, failed []metadata.Run, err error) {
	ids := make([]string, len(page))
	for i, execution := range page {
		ids[i] = execution.GetExecution().GetWorkflowId()
	}
	recorded, err := d.Store.RunsByID(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for id, run := range recorded {
		switch {
		case !run.Status.Ended():
			open = append(open, id)
		case run.Status == wire.RunFailure && (run.WillRetry == nil || *run.WillRetry) && !d.retried[id].Equal(run.EndedAt):
			failed = append(failed, run)
		}
	}
	return open, failed, nil
}

// maxRetried bounds what is remembered of runs that were started again: to forget one costs a call that finds it so.
const maxRetried = 10_000

// retry starts failed runs again of which that is due, and remembers of which it was seen to.
func (d *Daemon) retry(ctx context.Context, failed []metadata.Run) error {
	var failures []error
	for _, run := range failed {
		if _, err := d.Starter.RetryFailedRun(ctx, run.ID); err != nil {
			failures = append(failures, err)
			continue
		}
		if d.retried == nil || len(d.retried) >= maxRetried {
			d.retried = map[string]time.Time{}
		}
		d.retried[run.ID] = run.EndedAt
	}
	return errors.Join(failures...)
}

// each looks at several runs at a time. One that fails keeps no other from being looked at.
func (d *Daemon) each(ctx context.Context, ids []string, look func(context.Context, string) error) error {
	var group errgroup.Group
	group.SetLimit(looksAtOnce)
	failures := make([]error, len(ids))
	for i, id := range ids {
		group.Go(func() error {
			failures[i] = look(ctx, id)
			return nil
		})
	}
	_ = group.Wait() // nothing in it fails
	return errors.Join(failures...)
}

// end ends a run if its workflow is closed, and starts it again if that is due.
func (d *Daemon) end(ctx context.Context, id string) error {
	result, ended, err := d.Starter.EndDeadRun(ctx, id)
	if err != nil || !ended {
		return err
	}
	d.Log.Info("ended a run whose workflow was closed", "run", id, "status", result.Status)
	if result.Status != wire.RunFailure {
		return nil
	}
	_, err = d.Starter.RetryFailedRun(ctx, id)
	return err
}

// search ends every run whose row is open and whose workflow is not, whatever Temporal's lists say.
func (d *Daemon) search(ctx context.Context) error {
	var failures []error
	for cursor := ""; ; {
		page, err := d.Store.OpenRuns(ctx, openFor, cursor, listPage)
		if err != nil {
			return errors.Join(append(failures, err)...)
		}
		ids := make([]string, len(page.Rows))
		for i, run := range page.Rows {
			ids[i] = run.ID
		}
		failures = append(failures, d.each(ctx, ids, d.end))
		if cursor = page.Next; cursor == "" {
			return errors.Join(failures...)
		}
	}
}

// noteUnbegun gives runs that were started and never began a row that says why, and ends those that were cancelled
// meanwhile, also in the run queue: nobody else hears of that.
func (d *Daemon) noteUnbegun(ctx context.Context) error {
	return openRuns(ctx, d.Temporal, time.Now().Add(-beginWithin), func(page []*workflow.WorkflowExecutionInfo) error {
		var ids []string
		executions := map[string]*workflow.WorkflowExecutionInfo{}
		for _, execution := range page {
			if ours(d.Starter.Deployment, execution.GetTaskQueue()) {
				id := execution.GetExecution().GetWorkflowId()
				ids = append(ids, id)
				executions[id] = execution
			}
		}
		recorded, err := d.Store.RunsByID(ctx, ids)
		if err != nil {
			return err
		}
		var unbegun []string
		queued := map[string][]string{} // by queue
		for _, id := range ids {
			run, known := recorded[id]
			first, queue := executions[id].GetFirstRunId(), executions[id].GetTaskQueue()
			switch {
			case !known || run.Status == wire.RunStarting, run.FirstRunID != first && run.Status.Ended():
				// A row of an earlier run under this id has ended.
				unbegun = append(unbegun, id)
			case run.Status == wire.RunQueued && (first == "" || run.FirstRunID == first): // older servers do not say it
				queued[queue] = append(queued[queue], id)
			}
		}
		failures := []error{d.each(ctx, unbegun, func(ctx context.Context, id string) error {
			return d.note(ctx, executions[id], recorded[id].Status == wire.RunStarting && recorded[id].StepsTotal > 0)
		})}
		for queue, waiting := range queued {
			reason, err := d.whyUnbegun(ctx, queue)
			if err != nil || reason == "" {
				failures = append(failures, err)
				continue
			}
			failures = append(failures, d.each(ctx, waiting, func(ctx context.Context, id string) error {
				_, cancelled, err := d.isOpen(ctx, executions[id])
				if err != nil || !cancelled {
					return err
				}
				return d.cancelUnbegun(ctx, metadata.NotedRun{ID: id, FirstRunID: recorded[id].FirstRunID, Reason: reason}, executions[id].GetExecution().GetRunId())
			}))
		}
		return errors.Join(failures...)
	})
}

// isOpen looks at an execution that a list had as open: nil is that it is closed by now. cancelled says that somebody has
// asked it to stop.
func (d *Daemon) isOpen(ctx context.Context, execution *workflow.WorkflowExecutionInfo) (open *workflow.WorkflowExecutionInfo, cancelled bool, err error) {
	id := execution.GetExecution().GetWorkflowId()
	described, err := d.Temporal.DescribeWorkflowExecution(ctx, id, execution.GetExecution().GetRunId())
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("look at run %q: %w", id, err)
	}
	if described.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, false, nil
	}
	return described.GetWorkflowExecutionInfo(), described.GetWorkflowExtendedInfo().GetCancelRequested(), nil
}

// note says why a run does not begin, unless it is about to. planned says that it was planned, and admitted from the run queue.
func (d *Daemon) note(ctx context.Context, execution *workflow.WorkflowExecutionInfo, planned bool) error {
	id, queue := execution.GetExecution().GetWorkflowId(), execution.GetTaskQueue()
	open, cancelled, err := d.isOpen(ctx, execution)
	if err != nil || open == nil {
		return err
	}
	reason, err := d.whyUnbegun(ctx, queue)
	if err == nil && reason == "" && !planned && d.Limits.StartTimeout > 0 && time.Since(execution.GetStartTime().AsTime()) > d.Limits.StartTimeout {
		reason = fmt.Sprintf("workers poll %q, and none of them has planned it", queue)
	}
	if err != nil || reason == "" {
		return err
	}
	noted := metadata.NotedRun{
		ID: id, FirstRunID: open.GetFirstRunId(), Queue: queue, Reason: reason,
		Created: execution.GetStartTime().AsTime(), Request: d.requestOf(ctx, execution),
	}
	if noted.FirstRunID == "" {
		noted.FirstRunID = execution.GetExecution().GetRunId()
	}
	isNew, err := d.Store.NoteRun(ctx, noted)
	if err != nil {
		return err
	}
	if isNew {
		d.Log.Warn("a run does not begin", "run", id, "reason", reason)
	}
	if !cancelled {
		return nil
	}
	return d.cancelUnbegun(ctx, noted, execution.GetExecution().GetRunId())
}

// cancelUnbegun ends a run that was cancelled before it began, where no worker will hear of the cancel.
func (d *Daemon) cancelUnbegun(ctx context.Context, run metadata.NotedRun, execution string) error {
	if err := d.Temporal.TerminateWorkflow(ctx, run.ID, execution, "it was cancelled before it began"); err != nil {
		return fmt.Errorf("end run %q, which was cancelled before it began: %w", run.ID, err)
	}
	_, err := d.Store.EndRun(ctx, metadata.RunEnd{
		RunID: run.ID, FirstRunID: run.FirstRunID, Status: wire.RunCanceled, Reason: "it was cancelled before it began: " + run.Reason,
	})
	return err
}

// whyUnbegun is why nobody takes what waits in a queue; "" when somebody polls it.
func (d *Daemon) whyUnbegun(ctx context.Context, queue string) (string, error) {
	answer, err := d.Temporal.DescribeTaskQueue(ctx, queue, enums.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return "", fmt.Errorf("ask who polls queue %q: %w", queue, err)
	}
	if len(answer.GetPollers()) > 0 {
		return "", nil
	}
	locations, err := d.Store.Locations(ctx)
	if err != nil {
		return "", err
	}
	queues := make([]string, len(locations))
	for i, location := range locations {
		queues[i] = wire.Queue(d.Starter.Deployment, location.Location)
		if queues[i] == queue {
			return fmt.Sprintf("no worker of location %q polls its queue %q: start one", location.Location, queue), nil
		}
	}
	reason := fmt.Sprintf("no worker polls %q", queue)
	if nearest := wire.Nearest(queue, queues); nearest != "" {
		reason += "; nearest: " + nearest
	}
	return reason, nil
}

// requestOf is what a run was started with; nil when it cannot be read.
func (d *Daemon) requestOf(ctx context.Context, execution *workflow.WorkflowExecutionInfo) *wire.RunRequest {
	history, err := d.Temporal.WorkflowService().GetWorkflowExecutionHistory(ctx, &workflowservice.GetWorkflowExecutionHistoryRequest{
		Namespace: d.Namespace, Execution: execution.GetExecution(), MaximumPageSize: 1,
	})
	if err != nil || len(history.GetHistory().GetEvents()) == 0 {
		return nil
	}
	input := history.GetHistory().GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetInput().GetPayloads()
	var request wire.RunRequest
	if len(input) == 0 || json.Unmarshal(input[0].GetData(), &request) != nil {
		return nil
	}
	return &request
}
