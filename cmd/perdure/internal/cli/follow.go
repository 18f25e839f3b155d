package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// frameInterval is how often a run is looked at; a large run less often, so that looking never costs much.
	frameInterval = 200 * time.Millisecond
	// lookShare bounds the share of the time that is spent on looking: one part in so many.
	lookShare = 5
	// reconnectDelay is how long a Temporal that does not answer is left alone.
	reconnectDelay = time.Second
	// maxNotes is how many notes may wait to be printed.
	maxNotes = 16
)

// follower shows a run until it has ended.
type follower struct {
	app     *app
	session *session
	run     string
	// unpolled is the queue, when nobody polled it as the run was started.
	unpolled string
	// silent shows nothing: the output is JSON.
	silent bool
	// linkless leaves the link out of the summary: the Web UI is about to stop.
	linkless bool
	// notes are lines to print between the looks.
	notes chan string

	painter *render.Painter // nil when standard output is no terminal
	style   render.Style
	before  []metadata.Step
	view    render.RunView
	planned bool // the run has a row
	told    bool // that it waits for a worker
	turn    int
}

// ended is how a run ended.
type ended struct {
	result wire.RunResult
	err    error
}

func (a *app) newFollower(s *session, run string) *follower {
	return &follower{app: a, session: s, run: run, style: a.style(), painter: a.painter(), silent: a.output == jsonFormat, notes: make(chan string, maxNotes)}
}

// painter repaints standard output; nil when that is no terminal.
func (a *app) painter() *render.Painter {
	if _, _, isTerminal := a.env.Terminal(a.env.Stdout); !isTerminal {
		return nil
	}
	return &render.Painter{Out: a.env.Stdout, Size: func() (int, int) {
		width, height, _ := a.env.Terminal(a.env.Stdout)
		return width, height
	}}
}

// follow returns once the run has ended. The error says why it did not succeed, as starter.Await does.
func (f *follower) follow(ctx context.Context) (wire.RunResult, error) {
	waitCtx, stop := context.WithCancel(ctx)
	defer stop()
	end := make(chan ended, 1)
	go func() {
		result, err := awaiting(waitCtx, func() (wire.RunResult, error) { return f.session.Await(waitCtx, f.run) })
		end <- ended{result, err}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return wire.RunResult{}, f.leave()
		case how := <-end:
			if ctx.Err() != nil {
				return wire.RunResult{}, f.leave()
			}
			// The last look: what ended the run was recorded before.
			return how.result, errors.Join(how.err, f.look(ctx))
		case line := <-f.notes:
			if err := f.app.note(f.painter, line); err != nil {
				return wire.RunResult{}, err
			}
		case <-timer.C:
			before := time.Now()
			if err := f.look(ctx); err != nil {
				return wire.RunResult{}, err
			}
			timer.Reset(max(frameInterval, lookShare*time.Since(before)))
		}
	}
}

// note prints a line above the live view, if there is one.
func (a *app) note(view *render.Painter, line string) error {
	if view != nil {
		if err := view.Clear(); err != nil {
			return err
		}
	}
	return a.print(line + "\n")
}

// awaiting waits through outages of Temporal.
func awaiting[T any](ctx context.Context, await func() (T, error)) (T, error) {
	for {
		result, err := await()
		var unavailable *serviceerror.Unavailable
		var late *serviceerror.DeadlineExceeded
		if ctx.Err() != nil || (!errors.As(err, &unavailable) && !errors.As(err, &late)) {
			return result, err
		}
		timer := time.NewTimer(reconnectDelay)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// leave says that the run goes on although nobody watches it any more.
func (f *follower) leave() error {
	f.app.warn("no longer watching run %s, which goes on: `%s run watch %s` watches it, `%s run cancel %s` stops it",
		f.run, f.app.env.Program, f.run, f.app.env.Program, f.run)
	return silentError{exitInterrupted}
}

// look reads the run from Postgres and shows what is new.
func (f *follower) look(ctx context.Context) error {
	run, err := f.session.Store.Run(ctx, f.run)
	if errors.Is(err, metadata.ErrNotFound) {
		return f.showUnplanned()
	}
	var steps []metadata.Step
	if err == nil {
		steps, err = allSteps(ctx, f.session.Store, f.run)
	}
	switch {
	case err == nil:
	case passing(ctx, err):
		return nil // the run does not stop for that, nor do we
	default:
		return err
	}
	f.planned = true
	f.view = render.RunView{Run: run, Steps: steps}
	return f.show()
}

// passing says whether an error is that of a Postgres that is away for a while, or of a watching that ends.
func passing(ctx context.Context, err error) bool {
	return metadata.IsUnavailable(err) || ctx.Err() != nil
}

func (f *follower) show() error {
	clock := f.app.clock()
	defer func() { f.before, f.turn = f.view.Steps, f.turn+1 }()
	switch {
	case f.silent:
		return nil
	case f.painter != nil:
		_, height := f.painter.Size()
		return f.painter.Paint(f.style.Frame(f.view, clock, height, f.turn))
	default:
		lines := f.style.Changes(f.before, f.view.Steps, clock)
		if len(lines) == 0 {
			return nil
		}
		return f.app.print(strings.Join(lines, "\n") + "\n")
	}
}

func (f *follower) showUnplanned() error {
	line := fmt.Sprintf("%s  %s", f.style.RunStatus(wire.RunStarting), f.style.Bold(f.run))
	if f.unpolled != "" {
		line += fmt.Sprintf("  waits: no worker polls the task queue %q; start the location", f.unpolled)
	}
	switch {
	case f.silent || f.planned:
		return nil
	case f.painter != nil:
		return f.painter.Paint([]string{line})
	case f.told || f.unpolled == "":
		return nil
	default:
		f.told = true
		return f.app.print(line + "\n")
	}
}

// conclude prints the end of a run, and turns it into an exit code: 0 only for SUCCESS.
func (f *follower) conclude(result wire.RunResult, err error) error {
	var failed *starter.RunError
	if err != nil && !errors.As(err, &failed) {
		return err
	}
	if failed != nil {
		if len(failed.Problems) > 0 {
			return err
		}
		result = failed.Result
	}
	if f.silent {
		if err := f.app.printJSON(result); err != nil {
			return err
		}
	} else if err := f.app.print(f.summary(result, failed)); err != nil {
		return err
	}
	if result.Status != wire.RunSuccess {
		return silentError{exitFailure}
	}
	return nil
}

func (f *follower) summary(result wire.RunResult, failed *starter.RunError) string {
	var b strings.Builder
	b.WriteString(f.style.Failures(f.view.Steps, false, f.app.env.Program+" run show "+f.run+" --stacks"))
	fmt.Fprintf(&b, "\n%s  %s", f.style.RunStatus(result.Status), f.style.Bold(f.run))
	if f.planned {
		fmt.Fprintf(&b, "  %s in %s", render.Progress(f.view.Steps), render.RunDuration(f.view.Run, f.app.clock()))
	}
	b.WriteString("\n")
	if failed != nil && len(result.Failures) == 0 && result.Status != wire.RunCanceled {
		// Terminated or timed out: the steps do not say why.
		b.WriteString(render.Indent(failed.Cause.Error(), 2) + "\n")
	}
	if !f.linkless {
		b.WriteString(f.style.Faint(link(f.session.settings, f.run)) + "\n")
	}
	return b.String()
}
