package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// The exit codes.
const (
	exitFailure     = 1   // what was asked for did not succeed
	exitUsage       = 2   // the command line makes no sense
	exitInterrupted = 130 // Ctrl-C, as shells have it
)

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, arguments ...any) error {
	return usageError{fmt.Errorf(format, arguments...)}
}

// silentError is a failure that the output has told already.
type silentError struct{ code int }

func (e silentError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// report prints an error, once and without usage text, and returns the exit code.
func (a *app) report(err error) int {
	var silent silentError
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &silent):
		return silent.code
	case errors.As(err, &usage):
		a.warn("%s", message(err))
		a.warn("`%s --help` says how to use it", a.commandPath)
		return exitUsage
	case errors.Is(err, context.Canceled):
		a.warn("interrupted")
		return exitInterrupted
	default:
		a.warn("%s", message(err))
		return exitFailure
	}
}

func (a *app) warn(format string, arguments ...any) {
	// Nowhere is left to say that standard error is gone.
	_, _ = fmt.Fprintf(a.env.Stderr, format+"\n", arguments...)
}

// message is an error for people: the problems of a refused request stand below each other.
func message(err error) string {
	var failed *starter.RunError
	if errors.As(err, &failed) && len(failed.Problems) > 0 {
		return fmt.Sprintf("Error: run %s was refused:%s", failed.Result.RunID, listed(failed.Problems))
	}
	if problems := wire.ProblemsOf(err); len(problems) > 0 {
		return "Error: the request is refused:" + listed(problems)
	}
	return "Error: " + err.Error()
}

func listed(problems wire.Problems) string {
	var b strings.Builder
	for _, problem := range problems {
		b.WriteString("\n  " + problem.String())
	}
	return b.String()
}
