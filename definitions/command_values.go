package definitions

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// command is a program and what it is given.
type command struct {
	program   string
	folder    string
	arguments []loadText
	variables map[string]loadText
	extras    map[string]loadText
	stdin     loadText
	needs     []need
	faults    []fault
}

// loadText loads what a program is given.
type loadText func(*scope) (string, error)

func constant(text string) loadText { return func(*scope) (string, error) { return text, nil } }

func commandOf[R any](program string, opts []CommandOption, run func(*scope, *command) (R, error)) Compute[R] {
	c := &command{program: program, variables: map[string]loadText{}, extras: map[string]loadText{}}
	if program == "" {
		c.wrong("program", "the program is empty", `name one, such as "python3" or "./score"`)
	}
	for _, o := range opts {
		if o == nil {
			c.wrong("options", "an option of the command is nil", "leave it out")
			continue
		}
		o.applyCommand(c)
	}
	bound := bind(false, c.needs...)
	bound.stepOnly = true
	bound.faults = append(bound.faults, c.faults...)
	return Compute[R]{bound: bound, run: func(s *scope) (R, error) { return run(s, c) }}
}

func (c *command) wrong(field, message, fix string) {
	c.faults = append(c.faults, fault{field, message, fix})
}

func (c *command) variable(name string, load loadText) {
	_, doubled := c.variables[name]
	switch {
	case name == "" || strings.ContainsAny(name, "=\x00"):
		c.wrong("variables", fmt.Sprintf("%q is no name of an environment variable", name), `use a name without "="`)
	case doubled:
		c.wrong("variables", fmt.Sprintf("the environment variable %q is given twice", name), "give it once")
	}
	c.variables[name] = load
}

func (c *command) input(option string, load loadText) {
	if c.stdin != nil {
		c.wrong("stdin", option+" is given, and standard input is given already", "give one of Stdin and Input, once")
	}
	c.stdin = load
}

// commandSource is an option that hands over the value of a source.
type commandSource[T any] struct {
	source Source[T]
	add    func(*command, loadText)
	text   func(*scope, any) (string, error)
}

func (o commandSource[T]) applyCommand(c *command) {
	c.needs = append(c.needs, needOf(o.source))
	o.add(c, func(s *scope) (string, error) {
		value, err := take(s, o.source)
		if err != nil {
			return "", err
		}
		return o.text(s, value)
	})
}

// asText is how a value stands in an argument or a variable.
func asText(s *scope, value any) (string, error) {
	switch value := value.(type) {
	case string:
		return value, nil
	case []byte:
		return string(value), nil
	case Secret:
		return value.Reveal(s.context), nil
	}
	return asJSON(s, value)
}

func asJSON(_ *scope, value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("hand a %T to the program: %w", value, err)
	}
	return string(text), nil
}

// given is what one run of the program is given.
type givenToProgram struct {
	arguments []string
	environ   []string
	stdin     string
	extras    map[string]any
}

// load takes all values that the program is given.
func (c *command) load(s *scope) (*givenToProgram, error) {
	given := &givenToProgram{extras: map[string]any{}}
	for _, load := range c.arguments {
		argument, err := load(s)
		if err != nil {
			return nil, err
		}
		given.arguments = append(given.arguments, argument)
	}
	// What Python prints is seen while it runs.
	given.environ = append(os.Environ(), "PYTHONUNBUFFERED=1")
	for _, name := range slices.Sorted(maps.Keys(c.variables)) {
		value, err := c.variables[name](s)
		if err != nil {
			return nil, err
		}
		given.environ = append(given.environ, name+"="+value)
	}
	for name, load := range c.extras {
		text, err := load(s)
		if err != nil {
			return nil, fmt.Errorf("extra %q: %w", name, err)
		}
		given.extras[name] = json.RawMessage(text)
	}
	var err error
	if c.stdin != nil {
		given.stdin, err = c.stdin(s)
	}
	return given, err
}
