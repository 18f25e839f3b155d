package subprocess

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

// Codes are the definitions of a step's process.
type Codes interface {
	Code(computeName string) (code *step.Code, ok bool)
	// Close closes the open resources.
	Close(context.Context) error
}

// Open makes the definitions ready, with the Setup of the worker's [Executor].
type Open func(ctx context.Context, setup json.RawMessage) (Codes, error)

// ErrNotAStep says that this process was not started by an [Executor].
var ErrNotAStep = errors.New("this is what a worker runs for a step in a process of its own; it is not for people")

var (
	errStopped = errors.New("the step is told to stop")
	errUnknown = errors.New("its program has no such step: is it the worker's own?")
)

// Serve is the main of a step's process. It returns when the worker has no more requests, or is gone; when ctx ends, as
// at SIGTERM, once the function has returned.
func Serve(ctx context.Context, open Open) error {
	if os.Getenv(StepVariable) == "" {
		return ErrNotAStep
	}
	// What the step starts is no step.
	if err := os.Unsetenv(StepVariable); err != nil {
		return err
	}
	requests, answers := inherited()
	steps, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s := &server{context: steps, open: open, answers: answers, stdout: os.Stdout, stderr: os.Stderr, staged: map[int64]step.Staged{}}
	ended := make(chan error, 1)
	go func() { ended <- s.read(requests) }() //nolint:contextcheck // the calls have the context of the step
	var err error
	select {
	case err = <-ended:
		stop(errStopped)
	case <-ctx.Done():
	}
	s.calls.Wait()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	return errors.Join(err, s.close(closing))
}

// server answers the worker's requests.
type server struct {
	context context.Context
	open    Open
	calls   sync.WaitGroup
	// stdout and stderr are the process's as it was started, whatever becomes of os.Stdout.
	stdout, stderr *os.File

	writing sync.Mutex
	answers io.Writer

	mutex   sync.Mutex
	codes   Codes
	code    *step.Code
	outputs []step.Output
	staged  map[int64]step.Staged
}

func (s *server) read(requests io.Reader) error {
	decoder := json.NewDecoder(bufio.NewReader(requests))
	for {
		var r request
		switch err := decoder.Decode(&r); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the worker's requests: %w", err)
		}
		if r.Call == callOpen {
			// What follows needs it.
			s.answer(r)
			continue
		}
		s.calls.Go(func() { s.answer(r) })
	}
}

func (s *server) answer(r request) {
	got := s.guarded(r)
	got.ID = r.ID
	s.send(got)
}

func (s *server) send(got answer) {
	line, err := json.Marshal(got)
	if err != nil {
		line, _ = json.Marshal(answer{ID: got.ID, Error: step.DataOf(fmt.Errorf("tell the worker: %w", err))})
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	// A worker that does not hear is gone, and this process is about to follow it.
	_, _ = s.answers.Write(append(line, '\n'))
}

// guarded makes a panic an error with its stack.
func (s *server) guarded(r request) (got answer) {
	defer func() {
		if value := recover(); value != nil {
			got = answer{Error: step.DataOf(&step.StackError{Cause: fmt.Errorf("panic: %v", value), Stack: string(debug.Stack())})}
		}
	}()
	got, err := s.do(r)
	got.Error = step.DataOf(err)
	return got
}

func (s *server) do(r request) (answer, error) {
	switch r.Call {
	case callOpen:
		return answer{}, s.begin(r)
	case callCompute:
		return s.compute(r)
	case callStage:
		s.mutex.Lock()
		value := s.outputs[r.Output].Value
		s.mutex.Unlock()
		a := s.attemptOf(r)
		return s.keep(a)(s.code.Stage(a, *r.Slot, value))
	case callResume:
		a := s.attemptOf(r)
		return s.keep(a)(s.code.Resume(a, *r.Slot, r.Location))
	case callPublish:
		return answer{}, s.handle(r).Publish(s.context)
	case callDiscard:
		return answer{}, s.handle(r).Discard(context.WithoutCancel(s.context))
	case callSettle:
		return answer{}, s.code.Settle(s.attemptOf(r), *r.Slot)
	default:
		return answer{}, fmt.Errorf("the worker asks for %q, which its step's program does not know: is it the worker's own?", r.Call)
	}
}

func (s *server) begin(r request) (err error) {
	if s.codes, err = s.open(s.context, r.Setup); err != nil {
		return err
	}
	var ok bool
	if s.code, ok = s.codes.Code(r.Type); !ok {
		return fmt.Errorf("compute %q: %w", r.Type, errUnknown)
	}
	return nil
}

func (s *server) compute(r request) (answer, error) {
	// Also when the function panics.
	defer func() {
		for _, stream := range []*os.File{s.stdout, s.stderr} {
			_, _ = stream.Write(r.Mark) // a stream that the function has closed needs none
		}
	}()
	a := s.attemptOf(r)
	outputs, err := s.code.Compute(a)
	if err != nil {
		return answer{}, err
	}
	s.mutex.Lock()
	s.outputs = outputs
	s.mutex.Unlock()
	got := answer{Outputs: make([]output, len(outputs))}
	got.Reported, got.DataVersion = a.Reported()
	for i, one := range outputs {
		got.Outputs[i] = output{Asset: one.Asset, Partition: one.Partition, Key: one.Key, Metadata: one.Metadata, DataVersion: one.DataVersion}
	}
	return got, nil
}

// keep remembers what was staged for the attempt.
func (s *server) keep(a *step.Attempt) func(step.Staged, error) (answer, error) {
	return func(one step.Staged, err error) (answer, error) {
		if err != nil {
			return answer{}, err
		}
		s.mutex.Lock()
		defer s.mutex.Unlock()
		handle := int64(len(s.staged) + 1)
		s.staged[handle] = one
		got := answer{Handle: handle, Location: one.Location()}
		got.Reported, got.DataVersion = a.Reported()
		return got, nil
	}
}

func (s *server) handle(r request) step.Staged {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.staged[r.Handle]
}

func (s *server) attemptOf(r request) *step.Attempt {
	data := r.Attempt
	a := &step.Attempt{
		Context: s.context, Plan: data.Plan, Run: data.Run, Cause: data.Cause, Tags: data.Tags, Job: data.Job, Step: data.Step,
		MappingKey: data.MappingKey, Number: data.Number, Token: data.Token, Inputs: step.InputsByPartition(data.Inputs), Values: data.Values,
		Log: slog.New(&sender{level: data.Level, send: s.send}),
	}
	a.RelayTo(s)
	return a
}

// Event tells the worker of an event; the server is the attempts' relay.
func (s *server) Event(event wire.StepEvent) { s.send(answer{Event: &event}) }

// Progress tells the worker how far the function is.
func (s *server) Progress(done, total int) {
	s.send(answer{Progress: &step.Progress{Done: done, Total: total}})
}

func (s *server) close(ctx context.Context) error {
	if s.codes == nil {
		return nil
	}
	return s.codes.Close(ctx)
}
