package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	canMeasure      = true
	measureInterval = 100 * time.Millisecond
)

// Fields of /proc/PID/stat after the program's name, which is in parentheses and may hold anything.
const (
	statGroup = 2
	statPages = 21
)

// memory is how many bytes the group's processes hold resident; pages that they share count in each. What cannot be read
// has ended.
func (g *group) memory() int64 {
	folder, err := os.Open("/proc")
	if err != nil {
		return 0
	}
	defer func() { _ = folder.Close() }()
	names, _ := folder.Readdirnames(-1)
	var pages int64
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == g.guardID() {
			continue
		}
		content, err := os.ReadFile(filepath.Join("/proc", name, "stat"))
		if err != nil {
			continue
		}
		stat := string(content)
		fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
		if len(fields) <= statPages || fields[statGroup] != strconv.Itoa(g.id) {
			continue
		}
		held, _ := strconv.ParseInt(fields[statPages], 10, 64)
		pages += held
	}
	return pages * int64(os.Getpagesize())
}
