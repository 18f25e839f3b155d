package subprocess

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/perdure-io/perdure/internal/process"
	"github.com/perdure-io/perdure/internal/step"
)

// StepVariable is set in the environment of a step's process.
const StepVariable = "PERDURE_STEP_PROCESS"

// outputWithin bounds the wait for what a function printed before it returned, should it have closed its output.
const outputWithin = 2 * time.Second

// child is a step's process, as the worker sees it.
type child struct {
	process  *process.Child
	requests *os.File
	log      *slog.Logger
	stderr   *tail
	mark     []byte
	streams  []*marked

	writing sync.Mutex
	mutex   sync.Mutex
	nextID  int64
	waiting map[int64]chan answer
	attempt *step.Attempt
	// heard is closed when nothing more comes from the process.
	heard chan struct{}
}

// start starts a process for the attempt.
func (x *Executor) start(a *step.Attempt) (*child, error) {
	requestsRead, requestsWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start a process for the step: %w", err)
	}
	answersRead, answersWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a process for the step: %w", err), requestsRead.Close(), requestsWrite.Close())
	}
	c := &child{
		requests: requestsWrite, log: x.Log.With("run", a.Run, "step", a.Step), stderr: &tail{}, mark: []byte("\x00" + rand.Text() + "\x00"),
		waiting: map[int64]chan answer{}, heard: make(chan struct{}), attempt: a,
	}
	stdout := newMarked(a.Stdout(), c.mark)
	stderr := newMarked(io.MultiWriter(c.stderr, a.Stderr()), c.mark)
	c.streams = []*marked{stdout, stderr}
	cmd := exec.Command(x.Command[0], x.Command[1:]...)
	cmd.Env = x.Environ
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(slices.Clip(cmd.Env), StepVariable+"=1")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.ExtraFiles = []*os.File{requestsRead, answersWrite}
	var options process.Options
	if executor := a.Plan.Executor; executor != nil {
		options.MemoryLimit = executor.MemoryLimit
	}
	c.process, err = process.Start(cmd, options)
	// The child has its own copies.
	_, _ = requestsRead.Close(), answersWrite.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a process for the step: %w", err), requestsWrite.Close(), answersRead.Close())
	}
	go c.hear(answersRead)
	return c, nil
}

// hear reads answers, and what is told between them, to the end.
func (c *child) hear(answers *os.File) {
	defer close(c.heard)
	defer func() { _ = answers.Close() }()
	decoder := json.NewDecoder(bufio.NewReader(answers))
	for {
		var got answer
		if err := decoder.Decode(&got); err != nil {
			if !errors.Is(err, io.EOF) {
				c.log.Error("the process of a step says what is not understood; it is ended", "error", err)
				_ = c.process.Kill()
			}
			return
		}
		c.mutex.Lock()
		to, listening := c.waiting[got.ID], c.attempt
		delete(c.waiting, got.ID)
		c.mutex.Unlock()
		switch {
		case to != nil:
			to <- got
		case got.Log != nil:
			got.Log.write(listening)
		case got.Event != nil:
			listening.Event(*got.Event)
		case got.Progress != nil:
			listening.Progress(got.Progress.Done, got.Progress.Total)
		}
	}
}

// listen has what the process tells go to the attempt.
func (c *child) listen(a *step.Attempt) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.attempt = a
}

// call asks the process for something and waits for the answer. When ctx ends first, the process is stopped.
func (c *child) call(ctx context.Context, r request) (answer, error) {
	got := make(chan answer, 1)
	c.mutex.Lock()
	c.nextID++
	r.ID = c.nextID
	c.waiting[r.ID] = got
	c.mutex.Unlock()
	if err := c.send(r); err != nil {
		return answer{}, err
	}
	select {
	case one := <-got:
		return one, one.Error.Err()
	case <-c.heard:
		select {
		case one := <-got:
			return one, one.Error.Err()
		default:
			return answer{}, c.crashed()
		}
	case <-ctx.Done():
		if err := c.process.Stop(grace); err != nil {
			c.log.Error("the process of a step was not stopped", "process", c.process.PID(), "error", err)
		}
		return answer{}, context.Cause(ctx)
	}
}

func (c *child) send(r request) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("ask the process of the step to %s: %w", r.Call, err)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, err := c.requests.Write(append(line, '\n')); err != nil {
		<-c.heard // it reads no more, because it has ended
		return c.crashed()
	}
	return nil
}

// crashed is how the process ended that was to answer. It is a failure of the user's function.
func (c *child) crashed() error {
	err := c.process.Err()
	var end *process.EndError
	switch {
	case err == nil:
		err = errors.New("the step's process ended with exit code 0 before the step did: does something call os.Exit?")
	case errors.As(err, &end) && end.Memory > 0:
		return fmt.Errorf("the step's process %w: give the executor a greater MemoryLimit, or have the step hold less at once", end)
	case errors.As(err, &end):
		err = fmt.Errorf("the step's process %w", end)
	}
	if text := c.stderr.end(); text != "" {
		return fmt.Errorf("%w; the end of its standard error:\n%s", err, text)
	}
	return fmt.Errorf("%w; it wrote nothing to standard error", err)
}

// awaitOutput waits until what the function has printed is written where it goes to.
func (c *child) awaitOutput() {
	deadline := time.NewTimer(outputWithin)
	defer deadline.Stop()
	for _, stream := range c.streams {
		select {
		case <-stream.seen:
		case <-c.process.Ended():
			stream.flush()
		case <-deadline.C:
			return
		}
	}
}

// close has the process close its resources and end, and kills it when that takes longer than patience.
func (c *child) close(patience time.Duration) {
	_ = c.requests.Close()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.process.Ended():
	case <-timer.C:
		c.log.Warn("the process of a step did not end, and is killed", "process", c.process.PID())
	}
	if err := c.process.Kill(); err != nil {
		c.log.Error("the process of a step was not killed", "process", c.process.PID(), "error", err)
	}
	<-c.heard
}
