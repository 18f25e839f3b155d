package process

import (
	"errors"
	"fmt"
	"os/exec"
)

// EndError is how a process ended that did not end well.
type EndError struct {
	// Code is its exit code; -1 when a signal ended it.
	Code int
	// Signal names the signal that ended it, as "killed"; "" for an exit code.
	Signal string
	// Memory is how much its group held when it went over Limit and was killed, in bytes; 0 when it did not.
	Memory, Limit int64
}

func (e *EndError) Error() string {
	switch {
	case e.Memory > 0:
		return fmt.Sprintf("used %s of memory, more than its limit of %s, and was killed", bytesText(e.Memory), bytesText(e.Limit))
	case e.Signal != "":
		return "was ended by a signal: " + e.Signal
	default:
		return fmt.Sprintf("ended with exit code %d", e.Code)
	}
}

// endError is what cmd.Wait says of a child.
func (c *Child) endError(err error) error {
	if excess := c.excess.Load(); excess > 0 {
		return &EndError{Code: -1, Signal: signalOf(c.cmd.ProcessState), Memory: excess, Limit: c.limit}
	}
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.As(err, &exit):
		return &EndError{Code: exit.ExitCode(), Signal: signalOf(exit.ProcessState)}
	default:
		return fmt.Errorf("wait for process %d: %w", c.PID(), err)
	}
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
