package computelog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"gocloud.dev/gcerrors"
)

// ErrNone says that nothing is kept: the step has not printed to that stream, or it was long ago.
var ErrNone = errors.New("no output is kept")

// pollInterval is how often a reader that follows looks for more.
const pollInterval = 300 * time.Millisecond

// settleWithin is how long a reader waits for the end of the output of a step that has ended: a worker that was killed
// leaves none.
const settleWithin = 3 * time.Second

// Selection says what is read.
type Selection struct {
	Run, Step string
	// Attempt is one of the step's, counted from 1; 0 is the last one. Of an attempt that several workers took up, all that
	// they printed is read, one after the other.
	Attempt int
	Stream  Stream
}

// Copy writes what is kept so far to w. Where there is nothing the error is [ErrNone].
func (s *Store) Copy(ctx context.Context, w io.Writer, selected Selection) error {
	executions, err := s.selected(ctx, selected)
	if err != nil {
		return err
	}
	copied := int64(0)
	for _, execution := range executions {
		reading := reader{store: s, execution: execution, stream: selected.Stream}
		n, err := reading.advance(ctx, w)
		copied += n
		if err != nil {
			return err
		}
	}
	if copied == 0 {
		return fmt.Errorf("%w of %s of step %q of run %q", ErrNone, selected.Stream, selected.Step, selected.Run)
	}
	return nil
}

// Follow writes what is kept to w, and then what comes, until goesOn says that the step has ended; with Attempt 0 it goes
// over to later attempts. It is no error when nothing came.
func (s *Store) Follow(ctx context.Context, w io.Writer, selected Selection, goesOn func(context.Context) (bool, error)) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var reading *reader
	var over time.Time
	for {
		// Before the look at what there is, so that nothing is missed.
		more, err := goesOn(ctx)
		if err != nil {
			return err
		}
		if reading, err = s.followOnce(ctx, w, selected, reading); err != nil {
			return err
		}
		if !more {
			if over.IsZero() {
				over = time.Now()
			}
			ended, err := reading.hasEnded(ctx)
			if ended || err != nil || time.Since(over) > settleWithin {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("follow step %q of run %q: %w", selected.Step, selected.Run, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// followOnce writes what has come since the last look, and goes over to executions that have begun.
func (s *Store) followOnce(ctx context.Context, w io.Writer, selected Selection, reading *reader) (*reader, error) {
	if reading == nil {
		// From the beginning of the attempt.
		executions, err := s.selected(ctx, selected)
		if err != nil || len(executions) == 0 {
			return nil, err
		}
		reading = &reader{store: s, execution: executions[0], stream: selected.Stream}
	}
	executions, err := s.Executions(ctx, selected.Run, selected.Step)
	if err != nil {
		return nil, err
	}
	if _, err := reading.advance(ctx, w); err != nil {
		return nil, err
	}
	for _, execution := range executions {
		if execution.compare(reading.execution) <= 0 || selected.Attempt != 0 && execution.Attempt != selected.Attempt {
			continue
		}
		reading = &reader{store: s, execution: execution, stream: selected.Stream}
		if _, err := reading.advance(ctx, w); err != nil {
			return nil, err
		}
	}
	return reading, nil
}

// selected are the executions to read.
func (s *Store) selected(ctx context.Context, selected Selection) ([]Execution, error) {
	executions, err := s.Executions(ctx, selected.Run, selected.Step)
	if err != nil || len(executions) == 0 {
		return nil, err
	}
	attempt := selected.Attempt
	if attempt == 0 {
		attempt = executions[len(executions)-1].Attempt
	}
	return slices.DeleteFunc(executions, func(e Execution) bool { return e.Attempt != attempt }), nil
}

// reader reads one stream of one execution.
type reader struct {
	store     *Store
	execution Execution
	stream    Stream
	// next is the number of the next chunk.
	next int
}

// advance writes the chunks that have come since the last time.
func (r *reader) advance(ctx context.Context, w io.Writer) (written int64, err error) {
	for {
		name := r.execution.chunk(r.stream, r.next)
		content, err := r.store.bucket.ReadAll(ctx, name)
		if gcerrors.Code(err) == gcerrors.NotFound {
			return written, nil
		}
		if err != nil {
			return written, fmt.Errorf("read compute log %s: %w", name, err)
		}
		r.next++
		n, err := w.Write(content)
		written += int64(n)
		if err != nil {
			return written, fmt.Errorf("write what step %q printed: %w", r.execution.Step, err)
		}
	}
}

// hasEnded says whether nothing will be added to what is read. What has not begun has not ended.
func (r *reader) hasEnded(ctx context.Context) (bool, error) {
	if r == nil {
		return false, nil
	}
	ended, err := r.store.bucket.Exists(ctx, r.execution.folder()+endName)
	if err != nil {
		return false, fmt.Errorf("read compute log %s: %w", r.execution.folder()+endName, err)
	}
	return ended, nil
}
