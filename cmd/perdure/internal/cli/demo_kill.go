package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// errNotKilled says that everything was made before there was a moment to kill the location.
var errNotKilled = errors.New("everything was made before the location could be killed in the middle of it: call it again")

// moment says whether it is time to kill the location, and how far the work is.
type moment func(context.Context) (due bool, how string, err error)

// killWhen kills the location at each of the moments, one after the other, and starts it again.
func (d *demonstration) killWhen(ctx context.Context, notes chan<- string, moments ...moment) error {
	for _, is := range moments {
		how, err := await(ctx, is)
		if err != nil {
			return err
		}
		pid := d.process.PID()
		if err := d.process.Kill(); err != nil {
			return err
		}
		notes <- fmt.Sprintf("killed the location (process %d) with SIGKILL: %s", pid, how)
		if err := d.startLocation(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		notes <- fmt.Sprintf("started it again (process %d): a step whose worker fell silent is tried again after 20 s\n", d.process.PID())
	}
	return nil
}

// await asks until it is time.
func await(ctx context.Context, is moment) (how string, err error) {
	const poll = 5 * time.Millisecond
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", errNotKilled
		case <-ticker.C:
		}
		due, how, err := is(ctx)
		switch {
		case ctx.Err() != nil:
			return "", errNotKilled
		case err != nil || due:
			return how, err
		}
	}
}

// inMidRun is when some of a run's steps are done and one is being computed.
func (d *demonstration) inMidRun(run string) moment {
	return func(ctx context.Context) (bool, string, error) {
		steps, err := allSteps(ctx, d.session.Store, run)
		if err != nil {
			return false, "", err
		}
		done, running := split(steps)
		if len(done) == 0 || len(running) == 0 {
			return false, "", nil
		}
		return true, fmt.Sprintf("%s of the run done, running: %s", render.Count(len(done), "step"), strings.Join(running, ", ")), nil
	}
}

// inMidBackfill is when that part of a backfill is made, and some of it is being made.
func (d *demonstration) inMidBackfill(backfill string, part, of int) moment {
	return func(ctx context.Context) (bool, string, error) {
		row, err := d.session.Store.Backfill(ctx, backfill)
		if errors.Is(err, metadata.ErrNotFound) {
			return false, "", nil
		}
		if err != nil {
			return false, "", err
		}
		progress := starter.ProgressOf(row)
		sum := render.BackfillSum(progress.Assets)
		if sum.InProgress == 0 || sum.Materialized*of < sum.Targeted*part {
			return false, "", nil
		}
		return true, fmt.Sprintf("%d of %s made, %s open", sum.Materialized, render.Count(sum.Targeted, "partition"), render.Count(progress.Runs.Open, "run")), nil
	}
}

// split are the steps that are done, and those that are being computed.
func split(steps []metadata.Step) (done, running []string) {
	for _, step := range steps {
		switch {
		case step.Status == wire.StepSuccess:
			done = append(done, step.Step)
		case step.Status == wire.StepRunning && !step.ClaimedAt.IsZero() && step.Reason == "":
			running = append(running, step.Step)
		}
	}
	return done, running
}
