package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// Detach puts the command, which is not started yet, into a process group of its own, so that a terminal's Ctrl-C
// reaches us and not it. This platform sends no signal when we die.
func Detach(cmd *exec.Cmd, _ syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.CreationFlags = syscall.CREATE_NEW_PROCESS_GROUP
}

// group is a child with what it has started, as Windows knows them: by their parents.
type group struct{ id int }

func startGroup(cmd *exec.Cmd) (*group, error) {
	Detach(cmd, 0)
	if err := Spawn(cmd); err != nil {
		return nil, err
	}
	return &group{id: cmd.Process.Pid}, nil
}

// kill has nothing to do: what an ended process has started is nobody's child any more.
func (g *group) kill() {}

// killMembers ends the process and what it has started.
func (g *group) killMembers() error {
	output, err := exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(g.id)).CombinedOutput()
	if err == nil {
		return nil
	}
	process, findErr := os.FindProcess(g.id)
	if findErr != nil {
		return nil // it has ended
	}
	if killErr := process.Kill(); killErr != nil && !errors.Is(killErr, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w; taskkill: %w: %s", g.id, killErr, err, output)
	}
	return nil
}

// terminate kills: Windows has no signal that asks.
func (g *group) terminate() error { return g.killMembers() }

// askToStop kills: Windows has no signal that asks.
func askToStop(process *os.Process) error { return process.Kill() }
