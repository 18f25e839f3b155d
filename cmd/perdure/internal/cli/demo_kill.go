package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// errNotKilled says that the run was over before there was a moment to kill the location.
var errNotKilled = errors.New("the run was over before the location could be killed in the middle of it: call it again")

// killInMidRun kills the location while some of the run's steps are done and one is being computed, and starts it again.
func (d *demonstration) killInMidRun(ctx context.Context, run string, f *follower) error {
	const poll = 5 * time.Millisecond
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return errNotKilled
		case <-ticker.C:
		}
		steps, err := allSteps(ctx, d.session.Store, run)
		if ctx.Err() != nil {
			return errNotKilled
		}
		if err != nil {
			return err
		}
		done, running := split(steps)
		if len(done) == 0 || len(running) == 0 {
			continue
		}
		pid := d.process.PID()
		if err := d.process.Kill(); err != nil {
			return err
		}
		f.notes <- fmt.Sprintf("killed the location (process %d) with SIGKILL in mid-run: %s done, running: %s", pid, render.Count(len(done), "step"), strings.Join(running, ", "))
		if err := d.startLocation(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		f.notes <- fmt.Sprintf("started it again (process %d): a step whose worker fell silent is tried again after 20 s\n", d.process.PID())
		return nil
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

// materializations are all of a run's.
func materializations(ctx context.Context, store *metadata.Store, run string) ([]metadata.Materialization, error) {
	var all []metadata.Materialization
	for cursor := ""; ; {
		page, err := store.Materializations(ctx, metadata.MaterializationFilter{Run: run}, cursor, stepPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Rows...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// checkOnce says, for each asset of the run's steps, what is wrong with its materializations: there must be exactly one.
func checkOnce(steps []metadata.Step, made []metadata.Materialization) []string {
	times := map[string]int{}
	for _, one := range made {
		times[one.Asset]++
	}
	var wrong []string
	for _, step := range steps {
		for _, asset := range step.Assets {
			if times[asset] != 1 {
				wrong = append(wrong, fmt.Sprintf("%s has %d materializations of this run", asset, times[asset]))
			}
		}
	}
	return wrong
}
