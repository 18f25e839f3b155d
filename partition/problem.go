package partition

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a definition or a mapping.
type Problem struct {
	// Field is the path of the JSON field, "time.start" or "grid[1].name"; "" for the whole.
	Field string `json:"field,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
	// Fix says what to do about it.
	Fix string `json:"fix"`
}

// String is the problem in one line.
func (p Problem) String() string {
	if p.Field == "" {
		return fmt.Sprintf("%s (%s)", p.Message, p.Fix)
	}
	return fmt.Sprintf("%s: %s (%s)", p.Field, p.Message, p.Fix)
}

// Problems is everything that is wrong with one definition or mapping. As an error its text joins
// them by "; ".
type Problems []Problem

// Error lists every problem in one line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "; ")
}

// Err is the problems as an error, nil when there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

func (p *Problems) add(field, fix, message string, arguments ...any) {
	*p = append(*p, Problem{Field: field, Message: fmt.Sprintf(message, arguments...), Fix: fix})
}
