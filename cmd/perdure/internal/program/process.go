package program

import (
	"fmt"
	"io"
	"os/exec"

	"github.com/perdure-io/perdure/internal/process"
)

// Process is a running program, with all that it has started.
type Process = process.Child

// Start runs the program with the arguments, its output to the writers. It is in a process group of its own, so that a
// terminal's Ctrl-C reaches us alone and we stop it in order, and it does not outlive us.
func (p Program) Start(out, errors io.Writer, arguments ...string) (*Process, error) {
	cmd := exec.Command(p.Binary, arguments...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.Folder, p.Environ, out, errors
	started, err := process.Start(cmd, process.Options{})
	if err != nil {
		return nil, fmt.Errorf("start the location's program: %w", err)
	}
	return started, nil
}
