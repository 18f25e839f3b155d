package program

import (
	"os"
	"os/exec"
	"syscall"
)

// ExecutableSuffix ends the names of programs.
const ExecutableSuffix = ""

func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func askToStop(process *os.Process) error { return process.Signal(syscall.SIGTERM) }
