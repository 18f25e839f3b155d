package program

import (
	"os"
	"os/exec"
	"syscall"
)

// ExecutableSuffix ends the names of programs.
const ExecutableSuffix = ".exe"

func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// askToStop kills: Windows has no signal that asks. What the program was doing is taken up by the next one.
func askToStop(process *os.Process) error { return process.Kill() }
