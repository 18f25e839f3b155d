//go:build unix

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// guardScript waits for the end of its standard input, whose other end this process holds, and then kills its own group.
// It leads the group: as long as it is there, or is not waited for, no other group gets the same number. What asks a
// group to end does not end it.
const guardScript = `trap "" HUP INT QUIT TERM USR1 USR2 TSTP; while read -r line; do :; done; kill -KILL 0`

// group is the process group of a child.
type group struct {
	id int
	// guard kills the group when this process dies; nil where there is no shell.
	guard *exec.Cmd
	hold  io.Closer
}

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}

// startGroup starts cmd in a group of its own.
func startGroup(cmd *exec.Cmd) (*group, error) {
	g := newGuard()
	Detach(cmd, syscall.SIGKILL)
	attributes(cmd).Pgid = g.id
	if err := Spawn(cmd); err != nil {
		g.kill()
		return nil, err
	}
	if g.guard == nil {
		g.id = cmd.Process.Pid
	}
	return g, nil
}

// newGuard is an empty group where there is no shell, as in an image that holds nothing but one program: what the child
// itself has started may then outlive us.
func newGuard() *group {
	read, write, err := os.Pipe()
	if err != nil {
		return &group{}
	}
	defer func() { _ = read.Close() }() // the guard holds its own copy
	guard := exec.Command("/bin/sh", "-c", guardScript, "perdure-guard")
	guard.Stdin, guard.Env = read, []string{}
	attributes(guard).Setpgid = true
	if err := guard.Start(); err != nil {
		_ = write.Close()
		return &group{}
	}
	return &group{id: guard.Process.Pid, guard: guard, hold: write}
}

// kill ends every process of the group, at once.
func (g *group) kill() {
	if g.id != 0 {
		_ = syscall.Kill(-g.id, syscall.SIGKILL) // that there is none left is what is wanted
	}
	if g.guard != nil {
		_ = g.hold.Close()
		_ = g.guard.Wait() // it was killed
	}
}

// killMembers ends every process of the group and leaves it to kill to wait for the guard.
func (g *group) killMembers() error { return g.signal(syscall.SIGKILL) }

// signal sends a signal to every process of the group.
func (g *group) signal(signal syscall.Signal) error {
	if err := syscall.Kill(-g.id, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to process group %d: %w", signal, g.id, err)
	}
	return nil
}

// terminate asks every process of the group to end in order.
func (g *group) terminate() error { return g.signal(syscall.SIGTERM) }

func askToStop(process *os.Process) error { return process.Signal(syscall.SIGTERM) }

// guardID is the guard's process id; 0 when there is none.
func (g *group) guardID() int {
	if g.guard == nil {
		return 0
	}
	return g.guard.Process.Pid
}
