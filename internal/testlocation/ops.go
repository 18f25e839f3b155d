package testlocation

import (
	"fmt"

	"github.com/perdure-io/perdure/definitions"
)

// Fan is a job of ops: "list" gives Keys, "load" and then "clean" run for each of them, "total" takes all.
type Fan struct {
	// Job is its name.
	Job  string   `json:"job"`
	Keys []string `json:"keys"`
	// Local runs its steps as local activities.
	Local bool `json:"local,omitempty"`
	// Hooks are called for each of its steps, and noted as Hooked.
	Hooks bool `json:"hooks,omitempty"`
	// Retries are those of its steps; nil is none.
	Retries *definitions.Retries `json:"retries,omitempty"`
	// Tags are the job's.
	Tags map[string]string `json:"tags,omitempty"`
}

// Hooked is what the note of a hook says: that of the step whose end it was told.
const Hooked = "hooked"

// Steps are the keys of its steps.
func (f Fan) Steps() []string {
	steps := []string{"list"}
	for _, key := range f.Keys {
		steps = append(steps, "load["+key+"]", "clean["+key+"]")
	}
	return append(steps, "total")
}

// Sum is what the total must say when every step was right.
func (f Fan) Sum() string {
	cleaned := make([]string, len(f.Keys))
	for i, key := range f.Keys {
		cleaned[i] = sumOf("clean["+key+"]", []string{sumOf("load["+key+"]", []string{sumOf(key, nil)})})
	}
	return sumOf("total", cleaned)
}

// job builds the job. Its values lie in the default storage.
func (f Fan) job(controls Controls) *definitions.Job {
	call := func(ctx definitions.Context, step string, inputs []Value) (Value, error) {
		return (&function{asset: step, controls: controls}).call(ctx, inputs)
	}
	list := definitions.FanOut("list", definitions.Bind0(func(ctx definitions.Context) ([]definitions.Keyed[Value], error) {
		if _, err := call(ctx, "list", nil); err != nil {
			return nil, err
		}
		elements := make([]definitions.Keyed[Value], len(f.Keys))
		for i, key := range f.Keys {
			elements[i] = definitions.Keyed[Value]{Key: key, Value: Value{Asset: key, Sum: sumOf(key, nil)}}
		}
		return elements, nil
	}))
	mapped := func(name string) func(*definitions.Value[Value]) *definitions.Value[Value] {
		return func(element *definitions.Value[Value]) *definitions.Value[Value] {
			return definitions.Op(name, definitions.Bind2(func(ctx definitions.Context, key string, of Value) (Value, error) {
				return call(ctx, name+"["+key+"]", []Value{of})
			}, definitions.MappingKey, element))
		}
	}
	cleaned := definitions.Map(definitions.Map(list, mapped("load")), mapped("clean"))
	total := definitions.Op("total", definitions.Bind1(func(ctx definitions.Context, parts []Value) (Value, error) {
		ctx.Log().Debug("not kept")
		ctx.Log().Warn("summing up", "parts", len(parts))
		if _, err := fmt.Fprintf(ctx.Stdout(), "%d parts\n", len(parts)); err != nil {
			return Value{}, err
		}
		return call(ctx, "total", parts)
	}, definitions.Collect(cleaned)))
	return definitions.OpJob(f.Job, []definitions.AnyValue{total}, f.options(controls)...)
}

func (f Fan) options(controls Controls) []definitions.JobOption {
	var options []definitions.JobOption
	if f.Local {
		options = append(options, definitions.ExecuteAs(definitions.LocalActivity{}))
	}
	if f.Retries != nil {
		options = append(options, *f.Retries)
	}
	if len(f.Tags) > 0 {
		options = append(options, definitions.Tags(f.Tags))
	}
	if f.Hooks {
		note := func(end definitions.StepEnd) error {
			return controls.write(Note{What: Hooked, Asset: end.Step, Run: end.Run.ID, Attempt: end.Run.Attempt})
		}
		options = append(options,
			definitions.OnSuccess(definitions.Do1(func(_ definitions.Context, end definitions.Success) error { return note(end.StepEnd) }, definitions.TheSuccess)),
			definitions.OnFailure(definitions.Do1(func(_ definitions.Context, end definitions.Failure) error { return note(end.StepEnd) }, definitions.TheFailure)))
	}
	return options
}
