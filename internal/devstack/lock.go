package devstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrRunning is what Start returns when another process (or this one) already runs a stack in the same folder.
var ErrRunning = errors.New("a local stack already runs here")

// lock keeps a second stack out of a folder. It is the operating system's lock on the file, so it cannot outlive its
// holder; the process id in the file only serves the message.
type lock struct{ file *os.File }

func takeLock(dir string) (*lock, error) {
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the local stack's lock: %w", err)
	}
	if err := tryLock(file); err != nil {
		holder, readErr := os.ReadFile(path)
		_ = file.Close()
		if readErr != nil {
			holder = []byte("unknown")
		}
		return nil, fmt.Errorf("%w: process %s holds %s; use that one, stop it, or choose another folder",
			ErrRunning, strings.TrimSpace(string(holder)), path)
	}
	err = file.Truncate(0)
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("write the local stack's lock: %w", err)
	}
	return &lock{file: file}, nil
}

func (l *lock) release() error { return l.file.Close() }

// RemoveUnused deletes the folder of a stack that does not run, as a killed test leaves one, and leaves that of a
// running one alone.
func RemoveUnused(dir string) {
	held, err := takeLock(dir)
	if err != nil {
		return
	}
	// What cannot be removed now is tried again by the next test process.
	_ = os.RemoveAll(dir)
	_ = held.release()
}
