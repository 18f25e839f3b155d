package testlocation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/definitions"
)

// Fan is a job of ops: "list" gives Keys, "load" and then "clean" run for each of them, "total" takes all.
type Fan struct {
	// Job is its name.
	Job  string   `json:"job"`
	Keys []string `json:"keys"`
	// Dropped are those of Keys for which "load" gives nothing: their "clean" is skipped.
	Dropped []string `json:"dropped,omitempty"`
	// LocalJob is a second job of the same ops, as local activities; "" is none.
	LocalJob string `json:"local_job,omitempty"`
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
	return f.sums()["total"]
}

// sums are what the values of its steps must say, by step: only of those that give one.
func (f Fan) sums() map[string]string {
	sums := map[string]string{}
	var cleaned []string
	for _, key := range f.Keys {
		if slices.Contains(f.Dropped, key) {
			continue
		}
		load, clean := "load["+key+"]", "clean["+key+"]"
		sums[load] = sumOf(load, []string{sumOf(key, nil)})
		sums[clean] = sumOf(clean, []string{sums[load]})
		cleaned = append(cleaned, sums[clean])
	}
	sums["total"] = sumOf("total", cleaned)
	return sums
}

// inputs are the steps whose values a step loads.
func (f Fan) inputs(step string) []string {
	switch name, key, _ := strings.Cut(strings.TrimSuffix(step, "]"), "["); name {
	case "load":
		return []string{"list"}
	case "clean":
		return []string{"load[" + key + "]"}
	case "total":
		var cleaned []string
		for _, key := range f.Keys {
			if !slices.Contains(f.Dropped, key) {
				cleaned = append(cleaned, "clean["+key+"]")
			}
		}
		return cleaned
	}
	return nil
}

// jobs builds its jobs. Their values lie in the default storage.
func (f Fan) jobs(controls Controls) []definitions.Definition {
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
	loaded := definitions.Map(list, func(element *definitions.Value[Value]) *definitions.Value[Value] {
		return definitions.Maybe("load", definitions.Bind2(func(ctx definitions.Context, key string, of Value) (*Value, error) {
			value, err := call(ctx, "load["+key+"]", []Value{of})
			if err != nil || slices.Contains(f.Dropped, key) {
				return nil, err
			}
			return &value, nil
		}, definitions.MappingKey, element))
	})
	cleaned := definitions.Map(loaded, func(element *definitions.Value[Value]) *definitions.Value[Value] {
		return definitions.Op("clean", definitions.Bind2(func(ctx definitions.Context, key string, of Value) (Value, error) {
			return call(ctx, "clean["+key+"]", []Value{of})
		}, definitions.MappingKey, element))
	})
	total := definitions.Op("total", definitions.Bind1(func(ctx definitions.Context, parts []Value) (Value, error) {
		ctx.Log().Debug("not kept")
		ctx.Log().Warn("summing up", "parts", len(parts))
		if _, err := fmt.Fprintf(ctx.Stdout(), "%d parts\n", len(parts)); err != nil {
			return Value{}, err
		}
		return call(ctx, "total", parts)
	}, definitions.Collect(cleaned)))
	jobs := []definitions.Definition{definitions.OpJob(f.Job, []definitions.AnyValue{total}, f.options(controls, f.Local)...)}
	if f.LocalJob != "" {
		jobs = append(jobs, definitions.OpJob(f.LocalJob, []definitions.AnyValue{total}, f.options(controls, true)...))
	}
	return jobs
}

func (f Fan) options(controls Controls, isLocal bool) []definitions.JobOption {
	var options []definitions.JobOption
	if isLocal {
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
