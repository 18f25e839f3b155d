package definitions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

// AnySource is a [Source] whose type does not matter.
type AnySource interface{ need() need }

// Remote is a compute of another program, in any language that Temporal has an SDK for: an activity whose type is the name
// of the asset or op, on the queue that the option [Queue] names, which it must have:
//
//	var Scores = definitions.Asset("scores", definitions.Remote[[]Score](Model, Flights, ScoreConfig), definitions.Queue("ml"))
//
// The activity's argument and result are JSON: see RemoteInput and RemoteResult in docs/wire.md. It is told where its inputs
// lie, and loads them itself; inputs are assets, ops' outputs, [All] of them, and one [Config]. It gives each value as
// JSON, which is stored as any other value is, or stores it where the output's IO manager finds it and gives the location.
// Its task queue is the location's with the name behind a colon: "flights:ml".
//
// Of what is partitioned, the program is called for each partition, and told which; [ByKey] and [At] give it those of an input. T
// may be [Outputs], for a [MultiAsset]. In process there is no other program: [Materialize] needs what is remote to be
// [Given].
func Remote[T any](inputs ...AnySource) Compute[T] {
	var needs []need
	var faults []fault
	for _, input := range inputs {
		if input == nil {
			faults = append(faults, fault{"inputs", "Remote is given nil", "leave it out"})
			continue
		}
		n := input.need()
		if message := notRemote(n); message != "" {
			faults = append(faults, fault{"inputs", message, "give assets, ops' outputs, All of them, and one Config"})
			continue
		}
		needs = append(needs, n)
	}
	bound := bind(false, needs...)
	bound.remote, bound.stepOnly = true, true
	bound.faults = append(bound.faults, faults...)
	return Compute[T]{bound: bound, run: func(s *scope) (value T, err error) {
		return value, fmt.Errorf("%s is remote: another program computes it, on queue %q; in process, give it with Given", s.compute.object(), s.compute.queue)
	}}
}

// notRemote says why a need cannot be handed to another program; "" when it can.
func notRemote(n need) string {
	switch n.kind {
	case needAsset, needOp, needElement, needCollect, needConfig, needInvalid:
		return ""
	case needAll:
		for _, part := range n.parts {
			if message := notRemote(part); message != "" {
				return message
			}
		}
		return ""
	default:
		return "Remote is given " + n.describe() + ", which only this program can load"
	}
}

// remotes checks what other programs compute.
func (v *validation) remotes() {
	for _, c := range v.definitions.computes {
		switch {
		case !c.remote:
		case c.queue == "":
			v.add(c.problem("queue", "it is remote, and has no queue for the program that computes it", `give it Queue("ml") or another name`))
		case c.control.executor != nil:
			v.add(c.problem("executor", "it is remote, and runs in the program that computes it", "leave ExecuteAs out"))
		case c.control.stall != nil:
			v.add(c.problem("stall_timeout", "it is remote, and another program does not report progress to this one", "use Timeout, or leave StallTimeout out"))
		case c.ranged:
			v.add(c.problem("", "it is remote, and makes many partitions in one call", "declare it with Asset: the program is called for each partition"))
		case c.node != nil && c.node.fanOut:
			v.add(c.problem("", "it is remote, and its output is dynamic", "give a list, and fan it out in an op behind it"))
		}
	}
}

// storedElsewhere stands for a value that another program has stored.
type storedElsewhere struct{ location string }

func (s storedElsewhere) Location() string              { return s.location }
func (s storedElsewhere) Publish(context.Context) error { return nil }
func (s storedElsewhere) Discard(context.Context) error { return nil }

// RemoteCode is the code of a remote compute that was computed: its function gives what the program returned, a
// RemoteResult, or failure. It is for Perdure's own packages; ok is false when this location has no such compute.
func (r *Runtime) RemoteCode(computeName string, result json.RawMessage, failure error) (code *step.Code, ok bool) {
	c, known := r.computes[computeName]
	if !known || !c.remote {
		return nil, false
	}
	remote := *r.codes[computeName]
	remote.Compute = func(a *step.Attempt) ([]step.Output, error) {
		if failure != nil {
			return nil, failure
		}
		outputs, err := c.remoteOutputs(a, result)
		if err != nil {
			return nil, err
		}
		given := slices.DeleteFunc(slices.Clone(outputs), func(o step.Output) bool {
			_, unknown := o.Value.(storedElsewhere)
			return unknown
		})
		if err := c.checkOutputs(given); err != nil {
			return nil, err
		}
		countRows(outputs, nil)
		return outputs, nil
	}
	return &remote, true
}

// remoteOutputs are what a program returned, decoded.
func (c *compute) remoteOutputs(a *step.Attempt, data json.RawMessage) ([]step.Output, error) {
	var result wire.RemoteResult
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && !bytes.Equal(trimmed, []byte("null")) {
		if problems := wire.Decode(trimmed, &result); len(problems) > 0 {
			return nil, fmt.Errorf("the result of remote %s is no RemoteResult: %w", c.object(), problems)
		}
	}
	made := c.remoteKept(a)
	var outputs []step.Output
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(made)) {
		one := made[name]
		given, named := result.Outputs[name]
		delete(result.Outputs, name)
		if !named && (one.optional || !one.nothing) {
			continue // what is missing is found with all other outputs
		}
		value, err := remoteValue(one.kept, given)
		if err != nil {
			problems = append(problems, fmt.Errorf("output %q: %w", name, err))
			continue
		}
		outputs = append(outputs, step.Output{Asset: one.asset, Value: value, Metadata: given.Metadata, DataVersion: given.DataVersion})
	}
	for _, name := range slices.Sorted(maps.Keys(result.Outputs)) {
		problems = append(problems, fmt.Errorf("it gives output %q, which was not requested (requested: %s)", name, list(slices.Sorted(maps.Keys(made)))))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("the result of remote %s: %w", c.object(), err)
	}
	return outputs, nil
}

type remoteOutput struct {
	kept
	asset    string
	optional bool
}

// remoteKept are the outputs that a step is asked for, by what a RemoteResult calls them.
func (c *compute) remoteKept(a *step.Attempt) map[string]remoteOutput {
	made := map[string]remoteOutput{}
	if c.node != nil && len(c.outs) == 0 {
		made[c.name] = remoteOutput{kept: keptOutput(c), optional: c.node.optional}
	}
	for _, out := range c.outs {
		if slices.Contains(a.Requested(), out.name) {
			made[out.name] = remoteOutput{keptAsset(out), out.name, out.optional}
		}
	}
	return made
}

// remoteValue is the value of one output.
func remoteValue(k kept, given wire.RemoteOutput) (any, error) {
	switch {
	case given.Value != nil && given.Location != "":
		return nil, errors.New(`it has both "value" and "location": give the one or the other`)
	case given.Value != nil && k.nothing:
		return nil, errors.New(`it has a "value", and its type is Nothing: leave the value out`)
	case given.Location != "":
		return storedElsewhere{given.Location}, nil
	case k.nothing:
		return Nothing{}, nil
	case given.Value == nil:
		return nil, fmt.Errorf(`it has neither a "value", the JSON of a %v, nor the "location" of one`, k.typ)
	}
	value := reflect.New(k.typ)
	decoder := json.NewDecoder(bytes.NewReader(given.Value))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value.Interface()); err != nil {
		return nil, fmt.Errorf("its value is not the JSON of a %v: %w", k.typ, err)
	}
	return value.Elem().Interface(), nil
}
