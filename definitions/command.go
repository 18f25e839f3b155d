package definitions

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Command is a compute that runs a program, in whatever language, in a process group of its own:
//
//	var Model = definitions.Asset("model", definitions.Command("python3",
//		definitions.Arguments{"train.py"}, definitions.Extra("flights", Flights)))
//
// The program is found as a shell finds it. What it prints is the step's output; exit code 0 is success, any other fails
// the step with the end of what it wrote to standard error. When the step is cancelled or times out, the program and what
// it has started get SIGTERM, and SIGKILL 5 seconds later; what it leaves behind when it ends is killed, too.
//
// It may speak the Dagster Pipes protocol, as scripts with the package dagster-pipes do: it then finds keys, run, attempt
// and the values of [Extra] in its context, and reports metadata, data version, check results, log lines and messages of
// its own. An exception that it closes the session with is the step's failure, with its stack.
//
// The value of such an asset or op is [Nothing]: for what a program prints, see [CommandText] and [CommandJSON]; for a
// [MultiAsset], [CommandOutputs].
func Command(program string, opts ...CommandOption) Compute[Nothing] {
	return commandOf(program, opts, func(s *scope, c *command) (Nothing, error) {
		_, err := c.run(s, nil)
		return Nothing{}, err
	})
}

// CommandText is [Command] with a value: what the program prints to standard output, without the last line's end.
func CommandText(program string, opts ...CommandOption) Compute[string] {
	return commandOf(program, opts, func(s *scope, c *command) (string, error) {
		printed := &captured{}
		_, err := c.run(s, printed)
		if err == nil {
			err = printed.err()
		}
		text := printed.text.String()
		if n := len(text); n > 0 && text[n-1] == '\n' {
			text = text[:n-1]
		}
		return text, err
	})
}

// CommandJSON is [Command] with a value: the JSON that the program prints to standard output, and nothing else there.
// Members that T does not have are left out.
func CommandJSON[T any](program string, opts ...CommandOption) Compute[T] {
	return commandOf(program, opts, func(s *scope, c *command) (value T, err error) {
		printed := &captured{}
		if _, err := c.run(s, printed); err != nil {
			return value, err
		}
		if err := printed.err(); err != nil {
			return value, err
		}
		text := bytes.TrimSpace(printed.text.Bytes())
		if len(text) == 0 {
			return value, fmt.Errorf("%s printed nothing, and its value is the JSON that it prints to standard output", c.program)
		}
		if err := json.Unmarshal(text, &value); err != nil {
			return value, fmt.Errorf("%s printed what is not the JSON of a %T: %w: %s", c.program, value, err, beginningOf(text))
		}
		return value, nil
	})
}

// CommandOutputs is [Command] for a [MultiAsset], whose outputs are then all of [Nothing]: the program stores what it
// makes. All that are required are materialized when it ends well; an [Optional] output is when it reports so.
func CommandOutputs(program string, opts ...CommandOption) Compute[Outputs] {
	compute := commandOf(program, opts, func(s *scope, c *command) (Outputs, error) {
		reported, err := c.run(s, nil)
		if err != nil {
			return nil, err
		}
		return reported.outputs(s), nil
	})
	compute.onlyNothing = true
	return compute
}

// CommandOption is an option of [Command] and its like.
type CommandOption interface{ applyCommand(*command) }

// Arguments are the program's, before those of [Argument] that follow. They may be given several times.
type Arguments []string

// Folder is where the program runs; relative, it is below the worker's own folder, which it is without.
type Folder string

// Variables are environment variables of the program, beside the worker's own.
type Variables map[string]string

// Stdin is what the program reads from standard input; without it and [Input], nothing.
type Stdin string

// Argument adds the value of a source to the program's arguments: text as it is, anything else as JSON.
func Argument[T any](source Source[T]) CommandOption {
	return commandSource[T]{source, func(c *command, load loadText) {
		c.arguments = append(c.arguments, load)
	}, asText}
}

// Variable is an environment variable with the value of a source: text as it is, a [Secret] revealed, anything else as
// JSON.
func Variable[T any](name string, source Source[T]) CommandOption {
	return commandSource[T]{source, func(c *command, load loadText) {
		c.variable(name, load)
	}, asText}
}

// Input writes the value of a source to the program's standard input, as JSON.
func Input[T any](source Source[T]) CommandOption {
	return commandSource[T]{source, func(c *command, load loadText) { c.input("Input", load) }, asJSON}
}

// Extra hands the program the value of a source as JSON, by the Pipes protocol: context.get_extra(name) in Python.
func Extra[T any](name string, source Source[T]) CommandOption {
	return commandSource[T]{source, func(c *command, load loadText) {
		if _, doubled := c.extras[name]; doubled {
			c.wrong("extra", fmt.Sprintf("the extra %q is given twice", name), "give it once")
		}
		c.extras[name] = load
	}, asJSON}
}

func (v Arguments) applyCommand(c *command) {
	for _, one := range v {
		c.arguments = append(c.arguments, constant(one))
	}
}

func (v Folder) applyCommand(c *command) {
	if c.folder != "" || v == "" {
		c.wrong("folder", "the folder is empty, or given twice", "give it once, or leave it out for the worker's own")
	}
	c.folder = string(v)
}

func (v Variables) applyCommand(c *command) {
	for name, value := range v {
		c.variable(name, constant(value))
	}
}

func (v Stdin) applyCommand(c *command) { c.input("Stdin", constant(string(v))) }

// beginningOf shows a text in a message.
func beginningOf(text []byte) string {
	const most = 200
	if len(text) > most {
		return string(bytes.ToValidUTF8(text[:most], nil)) + "…"
	}
	return string(text)
}
