package process

import (
	"os/exec"
	"runtime"
	"sync"
)

// spawner starts children on one operating-system thread that lives as long as we do: Linux ties the parent-death
// signal to the thread that started the child, and Go ends threads when it likes.
var spawner = sync.OnceValue(func() chan<- func() {
	starts := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range starts {
			start()
		}
	}()
	return starts
})

// Spawn starts a child that is to end with this process: its parent-death signal, where it has one, holds for as long as
// this process lives. The error is that of cmd.Start.
func Spawn(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	spawner() <- func() { result <- cmd.Start() }
	return <-result
}
