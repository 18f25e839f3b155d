package definitions

import (
	"fmt"
	"runtime/debug"
)

// guarded turns a panic of user code into an error with its stack.
func guarded(call func() error) error {
	err := recovered(call)
	if panicked, ok := err.(*PanicError); ok { //nolint:errorlint // recovered made it just now
		return fmt.Errorf("%w\n%s", panicked, panicked.Stack)
	}
	return err
}

// recovered turns a panic of user code into a [PanicError].
func recovered(call func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{value, string(debug.Stack())}
		}
	}()
	return call()
}
