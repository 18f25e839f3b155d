package wire

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a request: where, what kind, what, and how to mend it.
type Problem struct {
	// Path leads to the value in the request: "config.assets.route_delays.min_flights"; "" is the request itself.
	Path string `json:"path"`
	// Code is stable and for programs: one of the Code constants.
	Code string `json:"code"`
	// Message is for people and names the value.
	Message string `json:"message"`
	// Fix says what to do; "" when the message already does.
	Fix string `json:"fix,omitempty"`
}

// The codes of problems.
const (
	CodeMissing      = "missing"       // a value that must be there is not
	CodeUnknownField = "unknown_field" // a field that does not exist
	CodeWrongType    = "wrong_type"    // a value of another JSON type
	CodeInvalid      = "invalid"       // a value of the right type that makes no sense
	CodeUnknown      = "unknown"       // a name that the definitions do not have
	CodeSyntax       = "syntax"        // text that does not parse
	CodeConflict     = "conflict"      // two values that exclude each other
	CodeExists       = "exists"        // an id that is taken
	CodeTooLarge     = "too_large"     // more than a limit allows
	CodeNotHere      = "not_here"      // what only a process of the code location can find out
	CodeNothingLeft  = "nothing_left"  // nothing is in the state that the request is narrowed to
	CodeNoRoot       = "no_root"       // partitions of what is partitioned in several ways, without one root for all
)

// String is the problem in one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	if p.Fix != "" {
		b.WriteString(" (")
		b.WriteString(p.Fix)
		b.WriteString(")")
	}
	return b.String()
}

// Problems is every problem of one request. As an error its text joins them by "; ".
type Problems []Problem

// Error lists every problem in one line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "; ")
}

// maxProblems is how many problems one answer lists: it must fit into a failure that Temporal keeps.
const maxProblems = 50

// capped is the first of the problems, and how many more there are.
func (p Problems) capped() Problems {
	if len(p) <= maxProblems {
		return p
	}
	return append(p[:maxProblems:maxProblems], Problem{Code: CodeTooLarge, Message: fmt.Sprintf("there are %d more problems", len(p)-maxProblems)})
}

// Below is the problems with path put in front of their paths, for a value that was checked on its own.
func (p Problems) Below(path string) Problems {
	moved := make(Problems, len(p))
	for i, problem := range p {
		problem.Path = below(path, problem.Path)
		moved[i] = problem
	}
	return moved
}

// Err is the problems as an error, nil when there are none. It lists the first 50 and counts the rest.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p.capped()
}

// ProblemsOf finds the problems in an error's chain; nil when it holds none.
func ProblemsOf(err error) Problems {
	if p, ok := errors.AsType[Problems](err); ok {
		return p
	}
	return nil
}

// NotHere says whether one of the problems is that this program cannot find out what it must know, and another one can.
func (p Problems) NotHere() bool {
	return slices.ContainsFunc(p, func(problem Problem) bool { return problem.Code == CodeNotHere })
}

// OnlyNotHere says whether that is all there is.
func (p Problems) OnlyNotHere() bool {
	return len(p) > 0 && !slices.ContainsFunc(p, func(problem Problem) bool { return problem.Code != CodeNotHere })
}

// Refusal is the detail of an InvalidRequest failure: {"problems":[…]}.
type Refusal struct {
	Problems Problems `json:"problems"`
}
