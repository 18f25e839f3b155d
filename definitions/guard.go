package definitions

import (
	"fmt"
	"runtime/debug"
)

// guarded turns a panic of user code into an error with its stack.
func guarded(call func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}
	}()
	return call()
}
