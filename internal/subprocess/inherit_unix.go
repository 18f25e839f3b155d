//go:build unix

package subprocess

import (
	"os"
	"syscall"
)

// inherited are the pipes that the worker gave this process. What the step starts does not get them.
func inherited() (requests, answers *os.File) {
	const first = 3
	syscall.CloseOnExec(first)
	syscall.CloseOnExec(first + 1)
	return os.NewFile(first, "requests"), os.NewFile(first+1, "answers")
}
