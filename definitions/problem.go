package definitions

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a declaration: what, where in the code, and how to mend it.
type Problem struct {
	// Object is what is wrong: asset "flights", resource "warehouse", location "flights".
	Object string `json:"object"`
	// Field is the part of it: "owners", "config.min_flights"; "" is the object itself.
	Field string `json:"field,omitempty"`
	// At is where it is declared: folder/file.go:line.
	At string `json:"at"`
	// Message says what is wrong, naming the value.
	Message string `json:"message"`
	// Fix says what to do.
	Fix string `json:"fix"`
}

// String is the problem in one line.
func (p Problem) String() string {
	field := ""
	if p.Field != "" {
		field = ", " + p.Field
	}
	return fmt.Sprintf("%s (%s)%s: %s; %s", p.Object, p.At, field, p.Message, p.Fix)
}

// ProblemList is every problem of a location's definitions, sorted by object, field and message. It is the error of
// [Definitions.Validate]; errors.As finds it.
type ProblemList []Problem

// Error lists every problem with its place and its fix, over several lines.
func (l ProblemList) Error() string {
	var text strings.Builder
	if len(l) == 1 {
		text.WriteString("the definitions have 1 problem:")
	} else {
		fmt.Fprintf(&text, "the definitions have %d problems:", len(l))
	}
	for _, p := range l {
		fmt.Fprintf(&text, "\n  %s (%s)", p.Object, p.At)
		if p.Field != "" {
			text.WriteString(", " + p.Field)
		}
		fmt.Fprintf(&text, ": %s\n      fix: %s", p.Message, p.Fix)
	}
	return text.String()
}

// err is the list as an error, sorted and each problem once; nil when it is empty.
func (l ProblemList) err() error {
	if len(l) == 0 {
		return nil
	}
	sorted := slices.Clone(l)
	slices.SortFunc(sorted, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Field, b.Field),
			cmp.Compare(a.Message, b.Message), cmp.Compare(a.At, b.At), cmp.Compare(a.Fix, b.Fix))
	})
	return slices.Compact(sorted)
}

// fault is a problem that a declaration remembers before it is known which object it belongs to.
type fault struct{ field, message, fix string }

// declared is what every declaration has: a name, a place, and what was wrong with it from the start.
type declared struct {
	what, name, at string
	faults         []fault
}

func (d *declared) object() string { return fmt.Sprintf("%s %q", d.what, d.name) }

func (d *declared) wrong(field, message, fix string) {
	d.faults = append(d.faults, fault{field, message, fix})
}

func (d *declared) problems() []Problem {
	problems := make([]Problem, len(d.faults))
	for i, f := range d.faults {
		problems[i] = d.problem(f.field, f.message, f.fix)
	}
	return problems
}

func (d *declared) problem(field, message, fix string) Problem {
	return Problem{Object: d.object(), Field: field, At: d.at, Message: message, Fix: fix}
}
