package subprocess

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/perdure-io/perdure/internal/step"
)

const (
	// grace is how long a step that is told to stop may tear down. A step whose context has ended is left behind after 10 s.
	grace = 5 * time.Second
	// closeWithin is how long resources may take to close.
	closeWithin = 10 * time.Second
)

// Executor starts a process for each step.
type Executor struct {
	// Command is the program and its arguments that run a step, by [Serve].
	Command []string
	// Environ is the process's environment; nil is this one's.
	Environ []string
	// Setup is handed to the Open of Serve.
	Setup json.RawMessage
	Log   *slog.Logger
}

// Isolate gives code that does the same as code, for one attempt, in a process of its own, which is started when it is
// first needed. The process's memory is limited as the planned step says. end ends the process; call it once the step
// runner has returned.
func (x *Executor) Isolate(code *step.Code) (isolated *step.Code, end func()) {
	p := &isolation{executor: x, code: code}
	inChild := &step.Code{
		Type: code.Type, Shape: code.Shape, Compute: p.compute, Stage: p.stage, Resume: p.resume,
	}
	if code.Settle != nil {
		inChild.Settle = p.settle
	}
	return inChild, p.end
}

// isolation is one attempt's code in a process of its own.
type isolation struct {
	executor *Executor
	code     *step.Code

	mutex sync.Mutex
	child *child
	// unopened is why the child's definitions are not there; every call of it would fail.
	unopened error
}

// connect starts the process, once.
func (p *isolation) connect(a *step.Attempt) (*child, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.child != nil {
		return p.child, p.unopened
	}
	started, err := p.executor.start(a)
	if err != nil {
		return nil, err
	}
	p.child = started
	_, p.unopened = started.call(a, request{Call: callOpen, Setup: p.executor.Setup, Type: p.code.Type})
	return started, p.unopened
}

// value stands for a value that the child has.
type value struct{ output int }

func (p *isolation) compute(a *step.Attempt) ([]step.Output, error) {
	c, err := p.connect(a)
	if err != nil {
		return nil, err
	}
	c.listen(a)
	got, err := c.call(a, request{Call: callCompute, Attempt: dataOf(a), Mark: c.mark})
	c.awaitOutput()
	if err != nil {
		return nil, err
	}
	a.Report(got.Reported...)
	if got.DataVersion != "" {
		a.ReportDataVersion(got.DataVersion)
	}
	outputs := make([]step.Output, len(got.Outputs))
	for i, one := range got.Outputs {
		outputs[i] = step.Output{Asset: one.Asset, Partition: one.Partition, Key: one.Key, Value: value{i}, Metadata: one.Metadata, DataVersion: one.DataVersion}
	}
	return outputs, nil
}

func (p *isolation) stage(a *step.Attempt, slot step.Slot, of any) (step.Staged, error) {
	c, err := p.connect(a)
	if err != nil {
		return nil, err
	}
	kept, _ := of.(value) // compute gave it
	got, err := c.call(a, request{Call: callStage, Attempt: dataOf(a), Slot: &slot, Output: kept.output})
	if err != nil {
		return nil, err
	}
	a.Report(got.Reported...)
	if got.DataVersion != "" {
		a.ReportDataVersion(got.DataVersion)
	}
	return &staged{c, got.Handle, got.Location}, nil
}

func (p *isolation) resume(a *step.Attempt, slot step.Slot, location string) (step.Staged, error) {
	c, err := p.connect(a)
	if err != nil {
		return nil, err
	}
	got, err := c.call(a, request{Call: callResume, Attempt: dataOf(a), Slot: &slot, Location: location})
	if err != nil {
		return nil, err
	}
	return &staged{c, got.Handle, got.Location}, nil
}

func (p *isolation) settle(a *step.Attempt, slot step.Slot) error {
	c, err := p.connect(a)
	if err != nil {
		return err
	}
	_, err = c.call(a, request{Call: callSettle, Attempt: dataOf(a), Slot: &slot})
	return err
}

// end closes the process's resources, and ends it.
func (p *isolation) end() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.child == nil {
		return
	}
	p.child.close(closeWithin + grace)
}

// staged is a value that the child has staged.
type staged struct {
	child    *child
	handle   int64
	location string
}

func (s *staged) Location() string { return s.location }

func (s *staged) Publish(ctx context.Context) error {
	_, err := s.child.call(ctx, request{Call: callPublish, Handle: s.handle})
	return err
}

func (s *staged) Discard(ctx context.Context) error {
	_, err := s.child.call(ctx, request{Call: callDiscard, Handle: s.handle})
	return err
}
