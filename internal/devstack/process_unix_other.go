//go:build unix && !linux

package devstack

import (
	"os/exec"
	"strconv"
	"strings"
)

// commandLine is the command line of a running process, or "" when there is none of that id.
func commandLine(pid int) string {
	output, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(output))
}
