package step

import "errors"

// StackError is an error of the user's side with a stack that is not this goroutine's: of a program in another language,
// or of a panic in another process.
type StackError struct {
	Cause error
	Stack string
}

func (e *StackError) Error() string { return e.Cause.Error() }
func (e *StackError) Unwrap() error { return e.Cause }

// stackOf is the stack that an error brings; "" when it brings none.
func stackOf(err error) string {
	if panicked, ok := errors.AsType[*panicError](err); ok {
		return panicked.stack
	}
	if foreign, ok := errors.AsType[*StackError](err); ok {
		return foreign.Stack
	}
	return ""
}
