//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/perdure-io/perdure/internal/testlocation"
)

// goneWithin is how long what a trial has started may take to end: a step that is told to stop may tear down.
const goneWithin = time.Minute

// orphans waits for the end of all that the workers have started, and returns what does not end; it is ended then.
func (s *scene) orphans(ctx context.Context) ([]testlocation.Process, error) {
	deadline := time.Now().Add(goneWithin)
	for {
		left, err := s.leftover()
		if err != nil || len(left) == 0 {
			return nil, err
		}
		if time.Now().After(deadline) {
			for _, orphan := range left {
				if err := syscall.Kill(orphan.ID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
					return left, fmt.Errorf("end the orphan %v: %w", orphan, err)
				}
			}
			return left, nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// leftover are the processes that there are beside the workers.
func (s *scene) leftover() ([]testlocation.Process, error) {
	if s.unseen {
		return nil, nil
	}
	processes, err := s.instance.Processes()
	if err != nil {
		return nil, err
	}
	// A worker that ended just now is looked at again.
	return slices.DeleteFunc(processes, func(p testlocation.Process) bool {
		return s.daemon != nil && s.daemon.isOne(p.ID) || slices.ContainsFunc(s.workers, func(w *kept) bool { return w.isOne(p.ID) })
	}), nil
}

// canSee finds out whether orphans can be told on this system, and says so when not.
func (s *scene) canSee(out io.Writer) error {
	_, err := s.instance.Processes()
	if s.unseen = errors.Is(err, testlocation.ErrUnseen); s.unseen {
		fmt.Fprintln(out, "orphans are not looked for:", err)
		return nil
	}
	return err
}
