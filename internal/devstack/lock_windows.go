package devstack

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockOffset lies far behind the file's content: Windows forbids others to read a locked range, and they read the
// holder's process id.
const lockOffset = 1 << 30

// tryLock takes the file's lock, which the operating system gives back when we end, however we end.
func tryLock(file *os.File) error {
	return windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{Offset: lockOffset})
}
