//go:build unix

package testlocation

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrUnseen says that this system does not show what other processes were started with: Linux does.
var ErrUnseen = errors.New("this system has no /proc that shows what processes were started with")

// Process is a process that a worker of the instance, or what it has started, has started, or a worker itself.
type Process struct {
	ID, Parent int
	Command    string
}

func (p Process) String() string { return fmt.Sprintf("%d (of %d): %s", p.ID, p.Parent, p.Command) }

// Processes are those of the instance that run: all that have its variables, or its folder as their working directory.
// What has ended and is only not waited for is none. The error is ErrUnseen where they cannot be told.
func (i *Instance) Processes() ([]Process, error) {
	if _, err := os.ReadFile("/proc/self/environ"); err != nil {
		return nil, ErrUnseen
	}
	folder, err := filepath.EvalSymlinks(i.folder)
	if err != nil {
		return nil, fmt.Errorf("look for processes: %w", err)
	}
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("look for processes: %w", err)
	}
	mark := []byte("\x00" + folderVariable + "=" + i.folder + "\x00")
	var found []Process
	for _, name := range names {
		// What cannot be read has ended, or is another user's.
		environment, _ := os.ReadFile(filepath.Join(name, "environ"))
		working, _ := os.Readlink(filepath.Join(name, "cwd"))
		if !bytes.Contains(append([]byte{0}, environment...), mark) && working != folder {
			continue
		}
		state, _ := os.ReadFile(filepath.Join(name, "stat"))
		command, _ := os.ReadFile(filepath.Join(name, "cmdline"))
		fields := strings.Fields(string(state[bytes.LastIndexByte(state, ')')+1:]))
		if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		var p Process
		p.ID, _ = strconv.Atoi(filepath.Base(name))
		p.Parent, _ = strconv.Atoi(fields[1])
		p.Command = strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " "))
		found = append(found, p)
	}
	return found, nil
}
