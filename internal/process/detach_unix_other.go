//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

// Detach puts the command, which is not started yet, into a process group of its own, so that a terminal's Ctrl-C
// reaches us and not it. This platform sends no signal when we die.
func Detach(cmd *exec.Cmd, _ syscall.Signal) { attributes(cmd).Setpgid = true }
