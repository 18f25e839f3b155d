package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.temporal.io/api/serviceerror"
	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// launches is how many runs of a tick are started at a time.
const launches = 16

// launch starts the runs of a tick that was decided and ends it. Called again, it starts what is missing and no run twice. A
// run that Temporal refuses to start does not fail the tick; while Temporal cannot be reached nothing ends.
func (a *Activities) launch(ctx context.Context, queue string, tick metadata.Tick) (metadata.Tick, error) {
	if tick.Status.Ended() {
		return tick, nil
	}
	var (
		mutex  sync.Mutex
		failed = map[string]string{}
	)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(launches)
	for _, run := range tick.Runs {
		if run.Known {
			continue
		}
		group.Go(func() error {
			refused, err := a.launchRun(groupCtx, queue, run)
			if refused != "" {
				mutex.Lock()
				defer mutex.Unlock()
				failed[run.RunID] = refused
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return metadata.Tick{}, planFailure(fmt.Errorf("start the runs of tick %d of %s: %w", tick.ID, tick.TriggerID, err))
	}
	ended, err := a.Store.EndTick(ctx, metadata.TickEnd{ID: tick.ID, Status: wire.TickSuccess, FailedRuns: failed})
	if err != nil {
		return metadata.Tick{}, planFailure(err)
	}
	return ended, nil
}

// launchRun starts one run. One that is started already stays so; refused is why Temporal will never start it.
func (a *Activities) launchRun(ctx context.Context, queue string, run wire.TickRun) (refused string, err error) {
	err = a.startRun(ctx, run.RunID, a.Location, queue, launchSummary(run), run.Request)
	if _, started := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); started {
		return "", nil
	}
	if invalid, ok := errors.AsType[*serviceerror.InvalidArgument](err); ok {
		return invalid.Error(), nil
	}
	if err != nil {
		return "", fmt.Errorf("start run %q: %w", run.RunID, err)
	}
	return "", nil
}

// launchSummary is what a run's line in Temporal's list says.
func launchSummary(run wire.TickRun) string {
	text := "job " + run.Job
	if run.Request.Title != "" {
		text = run.Request.Title
	}
	if run.Request.Partition != "" {
		text += " [" + run.Request.Partition + "]"
	}
	return wire.Summary(text)
}
