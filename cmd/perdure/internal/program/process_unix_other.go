//go:build unix && !linux

package program

import (
	"os"
	"os/exec"
	"syscall"
)

func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func askToStop(process *os.Process) error { return process.Signal(syscall.SIGTERM) }
