//go:build unix

package testlocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Worker is a worker process.
type Worker struct {
	cmd     *exec.Cmd
	log     string
	stdin   io.Closer
	ended   chan struct{}
	problem error // how it ended, once it has
}

// serveBound is how long a worker may take to serve, on a machine that does other things.
const serveBound = time.Minute

func startWorker(ctx context.Context, log string, environment, arguments []string) (*Worker, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	defer func() { _ = output.Close() }() // the process has its own copy
	// The worker is ended by its own methods.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, arguments...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = environment, filepath.Dir(log), output, output
	// A terminal's Ctrl-C is for us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	w := &Worker{cmd: cmd, log: log, stdin: stdin, ended: make(chan struct{})}
	go func() {
		w.problem = cmd.Wait()
		close(w.ended)
	}()
	return w, nil
}

// AwaitServing returns when the worker polls.
func (w *Worker) AwaitServing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serveBound)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		content, err := os.ReadFile(w.log)
		if err != nil {
			return fmt.Errorf("read a worker's log: %w", err)
		}
		if bytes.Contains(content, []byte("msg=serving")) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-w.ended:
			return fmt.Errorf("worker %d ended before it served: %w:\n%s", w.ID(), w.problem, content)
		case <-ctx.Done():
			return fmt.Errorf("worker %d does not serve: %w:\n%s", w.ID(), ctx.Err(), content)
		}
	}
}

// ID is the process id.
func (w *Worker) ID() int { return w.cmd.Process.Pid }

// Log is what the worker has written.
func (w *Worker) Log() string {
	content, err := os.ReadFile(w.log)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// Ended is closed when the process has ended.
func (w *Worker) Ended() <-chan struct{} { return w.ended }

// Problem is how the process ended, nil when well; it is known once Ended is closed.
func (w *Worker) Problem() error { return w.problem }

func (w *Worker) signal(signal syscall.Signal) error {
	if err := w.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to worker %d: %w", signal, w.ID(), err)
	}
	return nil
}

// Kill ends the process at once (SIGKILL), frozen or not, and returns when it is gone.
func (w *Worker) Kill() error {
	if err := w.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-w.ended
	_ = w.stdin.Close()
	return nil
}

// Freeze stops the process where it is (SIGSTOP); Thaw lets it go on (SIGCONT).
func (w *Worker) Freeze() error { return w.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (w *Worker) Thaw() error { return w.signal(syscall.SIGCONT) }

// Terminate asks the process to drain (SIGTERM).
func (w *Worker) Terminate() error { return w.signal(syscall.SIGTERM) }
