//go:build unix

package devstack

import (
	"os"
	"syscall"
)

// tryLock takes the file's lock, which the operating system gives back when we end, however we end.
func tryLock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
