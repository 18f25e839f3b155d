package devstack

import (
	"fmt"
	"os"
	"strings"
)

// commandLine is the command line of a running process, or "" when there is none of that id.
func commandLine(pid int) string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ReplaceAll(string(content), "\x00", " "))
}
