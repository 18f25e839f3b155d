package devstack

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// leftoverPatience is how long a server that a killed stack left may take to end before it is killed.
const leftoverPatience = 20 * time.Second

// runs says whether the process exists and is the program on the data: a process id alone may be another program's by
// now.
func runs(pid int, program, data string) bool {
	if pid <= 0 {
		return false
	}
	line := commandLine(pid)
	if runtime.GOOS == "windows" { // which shows the image's name only
		return strings.Contains(line, "temporal") || strings.Contains(line, "postgres")
	}
	return strings.Contains(line, program) && strings.Contains(line, data)
}

// endLeftover stops a server that is not our child and waits until it is gone.
func endLeftover(ctx context.Context, name string, pid int, program, data string) error {
	if err := signalLeftover(pid, false); err != nil {
		return err
	}
	deadline := time.Now().Add(leftoverPatience)
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for killed := false; runs(pid, program, data); {
		if time.Now().After(deadline) {
			if killed {
				return fmt.Errorf("%s of a stack that was killed (process %d) cannot be stopped: stop it by hand", name, pid)
			}
			if err := signalLeftover(pid, true); err != nil {
				return err
			}
			killed, deadline = true, time.Now().Add(leftoverPatience)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stop %s of a stack that was killed (process %d): %w", name, pid, context.Cause(ctx))
		case <-ticker.C:
		}
	}
	return nil
}
