package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	temporalDeathSignal = syscall.SIGKILL
	postgresDeathSignal = syscall.SIGKILL
)

// commandLine is the image name of a running process (Windows shows no more without its management interface), or "".
func commandLine(pid int) string {
	output, err := exec.Command("tasklist", "/FI", "PID eq "+strconv.Itoa(pid), "/FO", "CSV", "/NH").Output()
	if err != nil || !strings.Contains(string(output), strconv.Itoa(pid)) {
		return ""
	}
	return string(output)
}

// askToStop ends the process: Windows has no signal that a process of another group could be asked by.
func askToStop(p *process) error { return p.cmd.Process.Kill() }

// askPostgresToStop is PostgreSQL's fast shutdown: it does not wait for clients.
func askPostgresToStop(_ *process, binaries postgresBinaries, data string) error {
	stop := exec.Command(filepath.Join(binaries.dir, "pg_ctl"), "stop", "-D", data, "-m", "fast", "-W")
	if output, err := stop.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_ctl stop: %w: %s", err, output)
	}
	return nil
}

// signalLeftover ends a process that is not a child of this one.
func signalLeftover(pid int, _ bool) error {
	found, err := os.FindProcess(pid)
	if err != nil {
		return nil
	}
	if err := found.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	return nil
}

// account is the operating-system user that PostgreSQL runs under: always our own on Windows.
type account struct{ name string }

func unprivilegedAccount() (*account, error) { return nil, nil }

func (a *account) runAs(*exec.Cmd) {}

func (a *account) own(string) error { return nil }

func (a *account) reaches(string) bool { return true }

func trusted(os.FileInfo) bool { return true }
