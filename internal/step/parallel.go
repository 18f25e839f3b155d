package step

import (
	"runtime/debug"
	"sync"
)

// maxParallel bounds how many values of one step are written, found, published or removed at once.
const maxParallel = 16

// inParallel calls do for 0 to n-1 and waits for all that began. It begins no more after an error, and returns the one of
// the smallest number. A panic is an error.
func inParallel(n int, do func(int) error) error {
	if n == 1 {
		return do(0) // in this goroutine, so that a panic has its stack
	}
	var (
		mutex  sync.Mutex
		next   int
		failed = n
		first  error
	)
	take := func() (int, bool) {
		mutex.Lock()
		defer mutex.Unlock()
		if first != nil || next == n {
			return 0, false
		}
		next++
		return next - 1, true
	}
	end := func(i int, err error) {
		mutex.Lock()
		defer mutex.Unlock()
		if err != nil && i < failed {
			failed, first = i, err
		}
	}
	var workers sync.WaitGroup
	for range min(n, maxParallel) {
		workers.Go(func() {
			for {
				i, ok := take()
				if !ok {
					return
				}
				end(i, caught(func() error { return do(i) }))
			}
		})
	}
	workers.Wait()
	return first
}

// caught makes a panic an error with its stack.
func caught(do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: string(debug.Stack())}
		}
	}()
	return do()
}
