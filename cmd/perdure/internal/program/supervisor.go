package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Supervisor keeps a program running: built anew when its source changes, started again when it crashes.
type Supervisor struct {
	Program Program
	// Arguments are the program's; Out and Errors take its output.
	Arguments   []string
	Out, Errors io.Writer
	// Patience is how long a program that is told to stop may take before it is killed.
	Patience time.Duration
	// FirstRetry is the delay before a crashed program is started again; it doubles up to MaxRetry, and is the first
	// again once the program has run for MaxRetry.
	FirstRetry, MaxRetry time.Duration
	// Report is told what happens, one event after the other.
	Report func(Event)
}

// Event is something that a supervisor did or saw.
type Event struct {
	Kind EventKind
	// File is the one that changed, of Building.
	File string
	// Err is why, of BuildFailed and Crashed.
	Err error
	// Process is the process id, of Started and Crashed.
	Process int
	// Delay is until the next start, of Crashed.
	Delay time.Duration
}

// EventKind is the kind of an event.
type EventKind int

// The kinds of events.
const (
	Building    EventKind = iota // the source has changed
	BuildFailed                  // what ran before goes on
	Unchanged                    // the build is the same: what runs goes on
	Started
	Replacing // the new build is started while the old process drains
	Crashed
	Stopping
)

// supervision is the state of one Run. It belongs to one goroutine.
type supervision struct {
	*Supervisor
	watcher  *watcher
	current  *Process   // nil between a crash and the next start
	draining []*Process // old builds
	started  time.Time
	delay    time.Duration
	retry    *time.Timer
}

// buildResult is how a build ended.
type buildResult struct {
	changed bool
	source  source
	err     error
}

// Run starts the program, which must have been built, and keeps it running until ctx ends; then it stops it, and
// returns when nothing of it runs any more.
func (s *Supervisor) Run(ctx context.Context) error {
	watching, err := newWatcher()
	if err != nil {
		return err
	}
	defer func() { _ = watching.files.Close() }()
	now, err := s.Program.source(ctx)
	if err != nil {
		return err
	}
	if err := watching.follow(now); err != nil {
		return err
	}
	run := &supervision{Supervisor: s, watcher: watching, delay: s.FirstRetry, retry: stoppedTimer()}
	if err := run.start(); err != nil {
		return err
	}
	err = run.loop(ctx)
	return errors.Join(err, run.stop())
}

func stoppedTimer() *time.Timer {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return timer
}

func (s *supervision) loop(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed, built := stoppedTimer(), make(chan buildResult, 1)
	var file string
	building := false
	for {
		select {
		case <-ctx.Done():
			if building {
				<-built // its go command is told by ctx
			}
			return nil
		case event := <-s.watcher.files.Events:
			if s.watcher.concerns(event) {
				file = event.Name
				changed.Reset(quiet)
			}
		case err := <-s.watcher.files.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watch the source: %w", err)
			}
			changed.Reset(quiet) // events were lost: anything may have changed
		case <-changed.C:
			if building {
				changed.Reset(quiet)
				continue
			}
			building = true
			s.Report(Event{Kind: Building, File: file})
			go func() { built <- s.build(ctx) }()
		case result := <-built:
			building = false
			if ctx.Err() != nil {
				return nil // what was cut short says nothing
			}
			if err := s.take(result); err != nil {
				return err
			}
		case <-s.currentEnded():
			s.crashed()
		case <-s.retry.C:
			if err := s.start(); err != nil {
				return err
			}
		}
	}
}

func (s *supervision) build(ctx context.Context) buildResult {
	found, _, changed, err := s.Program.build(ctx)
	return buildResult{changed: changed, source: found, err: err}
}

// take goes over to a new build. What does not build changes nothing.
func (s *supervision) take(result buildResult) error {
	if len(result.source.folders) > 0 {
		// Also when it does not build: the mistake may be in a folder that is new.
		if err := s.watcher.follow(result.source); err != nil {
			return err
		}
	}
	if _, wrong := errors.AsType[*BuildError](result.err); wrong {
		s.Report(Event{Kind: BuildFailed, Err: result.err})
		return nil
	}
	if result.err != nil {
		return result.err
	}
	if !result.changed && s.current != nil {
		s.Report(Event{Kind: Unchanged})
		return nil
	}
	if s.current != nil {
		s.Report(Event{Kind: Replacing})
		s.drain(s.current)
	}
	s.delay = s.FirstRetry
	return s.start()
}

// drain lets an old build end its steps while the new one already serves, as in a rolling deploy.
func (s *supervision) drain(old *Process) {
	s.draining = append(s.draining, old)
	go func() {
		// How it ended is of no interest: what it could not end is taken up by the new build.
		_ = old.Stop(s.Patience)
	}()
}

func (s *supervision) start() error {
	s.retry.Stop()
	process, err := s.Program.Start(s.Out, s.Errors, s.Arguments...)
	if err != nil {
		return err
	}
	s.current, s.started = process, time.Now()
	s.Report(Event{Kind: Started, Process: process.PID()})
	return nil
}

// currentEnded never delivers while nothing runs.
func (s *supervision) currentEnded() <-chan struct{} {
	if s.current == nil {
		return nil
	}
	return s.current.Ended()
}

func (s *supervision) crashed() {
	err := s.current.Err()
	if err == nil {
		err = errors.New("ended without being asked to")
	}
	if time.Since(s.started) >= s.MaxRetry {
		s.delay = s.FirstRetry
	}
	s.Report(Event{Kind: Crashed, Err: err, Process: s.current.PID(), Delay: s.delay})
	s.current = nil
	s.retry.Reset(s.delay)
	s.delay = min(2*s.delay, s.MaxRetry)
}

func (s *supervision) stop() error {
	s.retry.Stop()
	if s.current != nil {
		s.Report(Event{Kind: Stopping})
		s.draining = append(s.draining, s.current)
	}
	results := make(chan error, len(s.draining))
	for _, process := range s.draining {
		go func() { results <- process.Stop(s.Patience) }()
	}
	var problems []error
	for range s.draining {
		problems = append(problems, <-results)
	}
	return errors.Join(problems...)
}
