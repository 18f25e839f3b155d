package definitions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/perdure-io/perdure/internal/pipes"
	"github.com/perdure-io/perdure/internal/process"
	"github.com/perdure-io/perdure/internal/step"
)

const (
	// commandGrace is how long a program that is told to stop may take. A step whose context has ended is left behind
	// after 10 s.
	commandGrace = 5 * time.Second
	// maxCaptured bounds a value that a program prints, in bytes.
	maxCaptured = 256 << 20
	// tailLines and tailBytes bound what an error shows of standard error.
	tailLines = 20
	tailBytes = 4 << 10
)

// run runs the program, and returns what it has reported. value takes a copy of what it prints to standard output.
func (c *command) run(s *scope, value *captured) (reported *reports, err error) {
	given, err := c.load(s)
	if err != nil {
		return nil, err
	}
	if c.folder != "" {
		// Or the program would be said not to be there.
		if _, err := os.Stat(c.folder); err != nil {
			return nil, fmt.Errorf("%s is to run in folder %q: %w", c.name(), c.folder, err)
		}
	}
	session, err := pipes.Open(pipesContext(s, given.extras))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	reported = newReports(s)
	failure := &tail{}
	cmd := exec.Command(c.program, given.arguments...) //nolint:noctx // it is ended together with what it has started, see follow
	cmd.Dir, cmd.Env = c.folder, append(given.environ, session.Environ()...)
	cmd.Stdin = strings.NewReader(given.stdin)
	cmd.Stdout, cmd.Stderr = s.attempt.Stdout(), io.MultiWriter(s.attempt.Stderr(), failure)
	if value != nil {
		cmd.Stdout = io.MultiWriter(value, cmd.Stdout)
	}
	child, err := process.Start(cmd, process.Options{})
	if err != nil {
		return nil, fmt.Errorf("%w: is the program there, and executable, on the machines that compute this step?", err)
	}
	problem := c.follow(s, child, session, reported)
	<-child.Ended()
	switch {
	case s.context.Err() != nil:
		return nil, fmt.Errorf("%s was stopped: %w", c.name(), context.Cause(s.context))
	case problem != nil:
		return nil, fmt.Errorf("%s: %w", c.name(), problem)
	case reported.exception != nil:
		return nil, &step.StackError{
			Cause: fmt.Errorf("%s: %s", c.name(), strings.TrimSpace(reported.exception.Message)), Stack: reported.exception.Traceback(),
		}
	}
	if err := child.Err(); err != nil {
		return nil, c.failed(err, failure)
	}
	reported.handOver()
	return reported, nil
}

// follow reads the program's messages until it has ended. It is stopped when the step's context ends, and when a message
// is wrong, which is the error.
func (c *command) follow(s *scope, child *process.Child, session *pipes.Session, reported *reports) error {
	stopping := make(chan struct{})
	var stopped sync.WaitGroup
	defer stopped.Wait()
	stopped.Go(func() {
		select {
		case <-s.context.Done():
		case <-stopping:
		case <-child.Ended():
			return
		}
		if err := child.StopAll(commandGrace); err != nil {
			s.context.Log().Error("a program was not stopped", "program", c.name(), "process", child.PID(), "error", err)
		}
	})
	err := session.Follow(context.WithoutCancel(s.context), child.Ended(), reported.take)
	if err != nil {
		close(stopping)
	}
	return err
}

// failed is a failure of the program, with the end of what it wrote to standard error.
func (c *command) failed(err error, written *tail) error {
	text := written.String()
	if text == "" {
		return fmt.Errorf("%s %w; it wrote nothing to standard error", c.name(), err)
	}
	return fmt.Errorf("%s %w; the end of its standard error:\n%s", c.name(), err, text)
}

// name is what messages call the program.
func (c *command) name() string { return filepath.Base(c.program) }

// captured keeps what a program prints as the step's value.
type captured struct {
	text bytes.Buffer
	over bool
}

func (c *captured) Write(data []byte) (int, error) {
	if c.text.Len()+len(data) > maxCaptured {
		c.over = true
		return len(data), nil
	}
	return c.text.Write(data)
}

func (c *captured) err() error {
	if c.over {
		return fmt.Errorf("it printed more than %d MiB to standard output, which is no value any more: have it write a file, and give the file's path", maxCaptured>>20)
	}
	return nil
}

// tail keeps the end of a text.
type tail struct{ kept []byte }

func (t *tail) Write(data []byte) (int, error) {
	t.kept = append(t.kept, data...)
	if len(t.kept) > 4*tailBytes {
		t.kept = bytes.Clone(t.kept[len(t.kept)-tailBytes:])
	}
	return len(data), nil
}

func (t *tail) String() string {
	text := bytes.TrimSpace(t.kept)
	if len(text) > tailBytes {
		text = text[len(text)-tailBytes:]
	}
	lines := strings.Split(strings.ToValidUTF8(string(text), "\uFFFD"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
