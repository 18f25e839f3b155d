package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// drainWithin bounds the wait for output of a child that has ended, in case something that left its group holds it open.
	drainWithin = 5 * time.Second
	// stdinWithin bounds the wait for standard input that nobody reads any more.
	stdinWithin = time.Second
)

// Options say how a child lives; the zero value bounds nothing.
type Options struct {
	// MemoryLimit is how many bytes of memory the group may hold resident, all its processes together; a group over it
	// is killed. 0 is no limit. It is measured a few times a second, on Linux from /proc and on other Unixes by ps.
	MemoryLimit int64
}

// Child is a running process with all that it has started.
type Child struct {
	cmd     *exec.Cmd
	group   *group
	outputs []*output
	ended   chan struct{}
	err     error // how it ended; read after ended is closed
	excess  atomic.Int64
	limit   int64
}

// Start starts cmd in a process group of its own. cmd's Stdout and Stderr are complete when the child's end is known;
// a writer that fails does not stop the child, and its error is part of [Child.Err]. What the child has started and left
// behind in its group is killed when the child has ended.
func Start(cmd *exec.Cmd, o Options) (*Child, error) {
	if o.MemoryLimit > 0 && !canMeasure {
		return nil, errors.New("start a process with a memory limit: this platform does not tell how much memory a process uses; leave the limit out")
	}
	c := &Child{cmd: cmd, ended: make(chan struct{}), limit: o.MemoryLimit}
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = stdinWithin
	}
	if sameWriter(cmd.Stdout, cmd.Stderr) {
		both := &serial{to: cmd.Stdout}
		cmd.Stdout, cmd.Stderr = both, both
	}
	err := errors.Join(c.pipe(&cmd.Stdout), c.pipe(&cmd.Stderr))
	if err == nil {
		c.group, err = startGroup(cmd)
	}
	for _, o := range c.outputs {
		o.begin(err == nil)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	watching, stop := context.WithCancel(context.Background())
	if c.limit > 0 {
		go c.watch(watching)
	}
	go func() {
		defer close(c.ended)
		err := cmd.Wait()
		stop()
		c.group.kill()
		c.err = c.endError(err)
		var writing []error
		deadline := time.NewTimer(drainWithin)
		defer deadline.Stop()
		for _, o := range c.outputs {
			writing = append(writing, o.drain(deadline.C))
		}
		if writing := errors.Join(writing...); writing != nil {
			c.err = errors.Join(c.err, writing)
		}
	}()
	return c, nil
}

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Ended is closed when the child has ended, its group is killed and its output is written.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Err waits for the end and says how it was: nil for exit code 0, otherwise an [EndError], or that its output could not
// be written.
func (c *Child) Err() error {
	<-c.ended
	return c.err
}

// Signal sends a signal to the child alone, not to what it has started.
func (c *Child) Signal(signal os.Signal) error {
	if err := c.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to process %d: %w", signal, c.PID(), err)
	}
	return nil
}

// Kill ends the child and all that it has started at once, and returns when they are gone.
func (c *Child) Kill() error {
	if c.hasEnded() {
		return nil
	}
	if err := c.group.killMembers(); err != nil {
		return err
	}
	<-c.ended
	return nil
}

// Stop asks the child to end in order and returns when it is gone. After patience, it and all that it has started are
// killed.
func (c *Child) Stop(patience time.Duration) error {
	return c.stop(func() error { return askToStop(c.cmd.Process) }, patience)
}

// StopAll is Stop, but asks all that the child has started, too.
func (c *Child) StopAll(patience time.Duration) error { return c.stop(c.group.terminate, patience) }

func (c *Child) stop(ask func() error, patience time.Duration) error {
	if c.hasEnded() {
		return nil
	}
	if err := ask(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(fmt.Errorf("ask process %d to stop: %w", c.PID(), err), c.Kill())
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.ended:
		return nil
	case <-timer.C:
		return c.Kill()
	}
}

func (c *Child) hasEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// output copies one stream of a child to a writer.
type output struct {
	to          io.Writer
	read, write *os.File
	copied      sync.WaitGroup
	err         error
}

// pipe has the stream copied by us, which outlasts the child's end, unless it is a file or nothing.
func (c *Child) pipe(stream *io.Writer) error {
	if *stream == nil {
		return nil
	}
	if _, isFile := (*stream).(*os.File); isFile {
		return nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	c.outputs = append(c.outputs, &output{to: *stream, read: read, write: write})
	*stream = write
	return nil
}

// begin copies; started says whether there is a child that writes.
func (o *output) begin(started bool) {
	_ = o.write.Close() // the child holds its own copy
	if !started {
		_ = o.read.Close()
		return
	}
	o.copied.Go(func() {
		buffer := make([]byte, 32<<10)
		for {
			n, err := o.read.Read(buffer)
			if n > 0 && o.err == nil {
				// A child whose output nobody takes would stop: it is read on, whatever becomes of it.
				_, o.err = o.to.Write(buffer[:n])
			}
			if err != nil {
				return
			}
		}
	})
}

// drain waits for the end of the stream.
func (o *output) drain(deadline <-chan time.Time) error {
	done := make(chan struct{})
	go func() { o.copied.Wait(); close(done) }()
	select {
	case <-done:
	case <-deadline:
		_ = o.read.Close() // which ends the copying
		<-done
	}
	_ = o.read.Close()
	if o.err != nil {
		return fmt.Errorf("write the output of a process: %w", o.err)
	}
	return nil
}

// sameWriter says whether two streams go to one writer that is no file.
func sameWriter(a, b io.Writer) bool {
	if a == nil || b == nil || !reflect.TypeOf(a).Comparable() {
		return false
	}
	_, isFile := a.(*os.File)
	return a == b && !isFile
}

// serial lets two streams write to one writer.
type serial struct {
	mutex sync.Mutex
	to    io.Writer
}

func (s *serial) Write(data []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.to.Write(data)
}
