package program

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/perdure-io/perdure/internal/devstack"
)

// Process is a running program.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // how it ended; read after ended is closed
}

// Start runs the program with the arguments, its output to the writers. It is in a process group of its own, so that a
// terminal's Ctrl-C reaches us alone and we stop it in order, and it does not outlive us where the platform can see to that.
func (p Program) Start(out, errors io.Writer, arguments ...string) (*Process, error) {
	cmd := exec.Command(p.Binary, arguments...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.Folder, p.Environ, out, errors
	// Its own children may hold its output open: do not wait for them.
	cmd.WaitDelay = time.Second
	detach(cmd)
	started := &Process{cmd: cmd, ended: make(chan struct{})}
	if err := devstack.Spawn(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Binary, err)
	}
	go func() {
		defer close(started.ended)
		started.err = cmd.Wait()
	}()
	return started, nil
}

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err waits for the end and says how it was: nil for exit code 0.
func (p *Process) Err() error {
	<-p.ended
	return p.err
}

// Kill ends the process at once, as a crash of the machine would, and returns when it is gone.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.PID(), err)
	}
	<-p.ended
	return nil
}

// Stop asks the process to end in order and returns when it is gone. When that takes longer than patience it is killed.
func (p *Process) Stop(patience time.Duration) error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	if err := askToStop(p.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(fmt.Errorf("ask process %d to stop: %w", p.PID(), err), p.Kill())
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.ended:
		return nil
	case <-timer.C:
		return p.Kill()
	}
}
