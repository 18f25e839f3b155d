package process

import (
	"os/exec"
	"syscall"
)

// Detach puts the command, which is not started yet, into a process group of its own, so that a terminal's Ctrl-C
// reaches us and not it. deathSignal is what the kernel sends it when this process dies, where the platform can.
func Detach(cmd *exec.Cmd, deathSignal syscall.Signal) {
	attributes(cmd).Setpgid = true
	attributes(cmd).Pdeathsig = deathSignal
}
