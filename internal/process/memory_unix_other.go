//go:build unix && !linux

package process

import (
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	canMeasure      = true
	measureInterval = time.Second
)

// memory is how many bytes the group's processes hold resident.
func (g *group) memory() int64 {
	output, err := exec.Command("ps", "-axo", "pid=,pgid=,rss=").Output()
	if err != nil {
		return 0
	}
	var kilobytes int64
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[1] != strconv.Itoa(g.id) || fields[0] == strconv.Itoa(g.guardID()) {
			continue
		}
		held, _ := strconv.ParseInt(fields[2], 10, 64)
		kilobytes += held
	}
	return kilobytes << 10
}
