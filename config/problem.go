package config

import (
	"fmt"
	"strings"
)

// Problem is one fault of a configuration.
type Problem struct {
	// Key is the configuration key as in the file, such as temporal.address. Empty when the file as a whole is meant.
	Key string
	// Source is where the value stands: perdure.yaml:12, PERDURE_TEMPORAL_ADDRESS or --temporal-address. Empty for a
	// value that no source has given.
	Source string
	// Message says what is wrong. It never quotes a secret.
	Message string
	// Fix says what to do.
	Fix string
}

func (p Problem) String() string {
	var text strings.Builder
	if p.Source != "" {
		text.WriteString(p.Source + ": ")
	}
	if p.Key != "" {
		text.WriteString(p.Key + " ")
	}
	text.WriteString(p.Message)
	if p.Fix != "" {
		text.WriteString("; " + p.Fix)
	}
	return text.String()
}

// Error is what Load and Validate return: every problem at once.
type Error struct {
	// Problems has at least one entry, in the order of the keys in docs/config.md.
	Problems []Problem
}

func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0].String()
	}
	var text strings.Builder
	fmt.Fprintf(&text, "configuration: %d problems", len(e.Problems))
	for _, problem := range e.Problems {
		text.WriteString("\n  " + problem.String())
	}
	return text.String()
}

// asError is nil when there are no problems: a nil *Error in an error would not be.
func asError(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &Error{Problems: problems}
}
