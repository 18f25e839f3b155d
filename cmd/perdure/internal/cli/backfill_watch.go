package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// backfillInterval is how often a backfill is looked at, lineInterval how often a line says how far it is where there is no
	// terminal.
	backfillInterval = 500 * time.Millisecond
	lineInterval     = 10 * time.Second
)

func (a *app) backfillWatchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "watch BACKFILL", Short: "Watch a backfill to its end", Args: arguments(cobra.ExactArgs(1)),
		Long: "Watch a backfill until it has ended: how far it is, its pace, the time left, its first failures. The exit code is 0 only\n" +
			"when everything was made. Ctrl-C ends the watching, not the backfill.",
		Example: "  perdure backfill watch bf1",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.watchBackfill(cmd.Context(), args[0]) },
	}
}

func (a *app) watchBackfill(ctx context.Context, id string) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	f := a.newBackfillFollower(s, id)
	if _, err := s.Store.Backfill(ctx, id); errors.Is(err, metadata.ErrNotFound) {
		// It may wait for a worker yet, or have been refused.
		if _, describeErr := s.Temporal.DescribeWorkflowExecution(ctx, id, ""); describeErr != nil {
			return noBackfill(ctx, s.Store, id)
		}
	} else if err != nil {
		return err
	}
	return f.conclude(f.follow(ctx))
}

// backfillFollower shows a backfill until it has ended.
type backfillFollower struct {
	app      *app
	session  *session
	backfill string
	// unpolled is the queue, when nobody polled it as the backfill was started.
	unpolled string
	// silent shows nothing: the output is JSON.
	silent bool
	// linkless leaves the link out of the summary: the Web UI is about to stop.
	linkless bool
	// notes are lines to print between the looks.
	notes chan string

	painter *render.Painter // nil when standard output is no terminal
	style   render.Style
	row     metadata.Backfill // its ID is "" until it has a row
	told    wire.BackfillProgress
	toldAt  time.Time
}

func (a *app) newBackfillFollower(s *session, id string) *backfillFollower {
	return &backfillFollower{app: a, session: s, backfill: id, style: a.style(), silent: a.output == jsonFormat, painter: a.painter(), notes: make(chan string, maxNotes)}
}

// follow returns once the backfill has ended. The error says why its end is not known, or that its request was refused.
func (f *backfillFollower) follow(ctx context.Context) error {
	waitCtx, stop := context.WithCancel(ctx)
	defer stop()
	end := make(chan error, 1)
	go func() {
		_, err := awaiting(waitCtx, func() (wire.BackfillResult, error) { return f.session.AwaitBackfill(waitCtx, f.backfill) })
		end <- err
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return f.leave()
		case err := <-end:
			if ctx.Err() != nil {
				return f.leave()
			}
			// The last look: what ended it was recorded before.
			if lookErr := f.look(ctx); lookErr != nil || f.row.Status.Ended() {
				return lookErr
			}
			return f.ended(err)
		case line := <-f.notes:
			if err := f.app.note(f.painter, line); err != nil {
				return err
			}
		case <-timer.C:
			before := time.Now()
			if err := f.look(ctx); err != nil || f.row.Status.Ended() {
				return err
			}
			timer.Reset(max(backfillInterval, lookShare*time.Since(before)))
		}
	}
}

// ended is the error of a backfill whose workflow has ended and whose row has not: it was refused, or terminated.
func (f *backfillFollower) ended(err error) error {
	var failed *starter.BackfillError
	switch {
	case errors.As(err, &failed) && len(failed.Problems) > 0:
		return failed.Problems
	case err != nil:
		return err
	}
	return fmt.Errorf("backfill %s has ended on Temporal and not in Postgres: `%s backfill show %s` shows it once the daemon has put that right",
		f.backfill, f.app.env.Program, f.backfill)
}

// leave says that the backfill goes on although nobody watches it any more.
func (f *backfillFollower) leave() error {
	program := f.app.env.Program
	f.app.warn("no longer watching backfill %s, which goes on: `%s backfill watch %s` watches it, `%s backfill pause %s` and `%s backfill cancel %s` stop it",
		f.backfill, program, f.backfill, program, f.backfill, program, f.backfill)
	return silentError{exitInterrupted}
}

// look reads the backfill from Postgres and shows what is new.
func (f *backfillFollower) look(ctx context.Context) error {
	row, err := f.session.Store.Backfill(ctx, f.backfill)
	switch {
	case errors.Is(err, metadata.ErrNotFound):
		return f.showUnplanned(ctx)
	case err == nil:
		f.row = row
		return f.show(starter.ProgressOf(row))
	case passing(ctx, err):
		return nil // the backfill does not stop for that, nor do we
	}
	return err
}

func (f *backfillFollower) show(progress wire.BackfillProgress) error {
	clock := f.app.clock()
	if f.silent {
		return nil
	}
	if f.painter != nil {
		_, height := f.painter.Size()
		return f.painter.Paint(f.style.BackfillFrame(progress, f.row.CreatedAt, clock, height))
	}
	var lines []string
	for _, failure := range progress.Failures[min(len(f.told.Failures), len(progress.Failures)):] {
		lines = append(lines, f.style.BackfillFailure(failure, clock))
	}
	changed := progress.Status != f.told.Status || progress.Paused != f.told.Paused || progress.Reason != f.told.Reason
	if changed || clock.Now.Sub(f.toldAt) >= lineInterval {
		lines = append(lines, f.style.BackfillLine(progress, clock))
		f.toldAt = clock.Now
		f.told = progress
	}
	f.told.Failures = progress.Failures
	if len(lines) == 0 {
		return nil
	}
	return f.app.print(strings.Join(lines, "\n") + "\n")
}

func (f *backfillFollower) showUnplanned(ctx context.Context) error {
	if f.silent {
		return nil
	}
	line := fmt.Sprintf("%s  %s", f.style.BackfillStatus(wire.BackfillRequested, false), f.style.Bold(f.backfill))
	if f.unpolled != "" {
		line += fmt.Sprintf("  waits: no worker polls the task queue %q; start the location", f.unpolled)
	}
	trouble := f.planTrouble(ctx)
	if trouble != "" {
		line += "  " + render.OneLine(trouble)
	}
	switch {
	case f.painter != nil:
		return f.painter.Paint([]string{line})
	case trouble == "" && (f.unpolled == "" || !f.toldAt.IsZero()), f.app.env.Now().Sub(f.toldAt) < lineInterval:
		return nil
	}
	f.toldAt = f.app.env.Now()
	return f.app.print(line + "\n")
}

// planTrouble is why a backfill has not been planned although it was tried; "" when nothing is known of it.
func (f *backfillFollower) planTrouble(ctx context.Context) string {
	described, err := f.session.Temporal.DescribeWorkflowExecution(ctx, f.backfill, "")
	if err != nil {
		return "" // the next look asks again
	}
	for _, pending := range described.GetPendingActivities() {
		if failure := pending.GetLastFailure(); failure != nil {
			return fmt.Sprintf("cannot be planned: %s, tried %d times; it is tried again", failure.GetMessage(), pending.GetAttempt()-1)
		}
	}
	return ""
}

// conclude prints the end of a backfill, and turns it into an exit code: 0 only when everything was made.
func (f *backfillFollower) conclude(err error) error {
	if err != nil {
		return err
	}
	if f.silent {
		err = f.app.printJSON(starter.ResultOf(f.row))
	} else {
		err = f.app.print(f.summary())
	}
	if err == nil && f.row.Status != wire.BackfillSucceeded {
		return silentError{exitFailure}
	}
	return err
}

func (f *backfillFollower) summary() string {
	progress := starter.ProgressOf(f.row)
	text := f.style.BackfillFailures(progress.Failures)
	text += fmt.Sprintf("\n%s  %s  %s in %s\n", f.style.BackfillStatus(f.row.Status, false), f.style.Bold(f.backfill),
		render.BackfillCounts(render.BackfillSum(progress.Assets)), backfillDuration(f.row, f.app.clock()))
	if f.row.Reason != "" {
		text += render.Indent(f.row.Reason, 2) + "\n"
	}
	if f.row.Status == wire.BackfillFailed || f.row.Status == wire.BackfillCanceled {
		text += fmt.Sprintf("`%s backfill retry %s` makes what is left\n", f.app.env.Program, f.backfill)
	}
	if f.linkless {
		return text
	}
	return text + f.style.Faint(link(f.session.settings, f.backfill)) + "\n"
}
