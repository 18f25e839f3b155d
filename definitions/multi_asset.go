package definitions

import (
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/internal/step"
)

// Output declares an asset that a [MultiAsset] makes. One that no multi-asset lists, or two do, is a problem.
func Output[T any](key string, opts ...OutputOption) *AssetOf[T] {
	a := newAsset[T](key, place())
	a.output = true
	for _, o := range opts {
		if o == nil {
			a.nilOption()
			continue
		}
		o.applyOutput(a)
	}
	return &AssetOf[T]{a}
}

// Outs are the outputs of one [MultiAsset].
type Outs []AnyAsset

// Outputs are the values that a multi-asset's function returns. An output that is required and missing, one that
// was not requested, or one of another multi-asset fails the step.
type Outputs []Produced

// Produced is one output's value. Only [AssetOf.Of] makes one, so it always has the right type.
type Produced struct {
	of       *asset
	value    any
	metadata []Metadatum
}

// Of is this output's value, with metadata for this output alone.
func (a *AssetOf[T]) Of(value T, metadata ...Metadatum) Produced {
	return Produced{of: a.base(), value: value, metadata: metadata}
}

// MultiAssetOf is a function that makes several assets. Declare one with [MultiAsset].
type MultiAssetOf struct{ def *compute }

// MultiAsset ties outs to the one function that makes them, in one step. name follows the rules of an asset's key and
// is no asset's key. Without [CanSubset] a run always makes all of outs together. Options that describe assets, such as
// [Group], are for the outputs that have none of their own.
func MultiAsset(name string, outs Outs, fn Compute[Outputs], opts ...MultiAssetOption) *MultiAssetOf {
	c := &compute{
		declared: declared{what: "multi-asset", name: name, at: place(), faults: fn.faultsOf()},
		multi:    true, needs: fn.needs, remote: fn.remote,
	}
	c.defaults = &asset{declared: declared{what: c.what, name: c.name, at: c.at}}
	for _, o := range opts {
		if o == nil {
			c.nilOption()
			continue
		}
		o.applyMultiAsset(c)
	}
	c.list(outs)
	if fn.onlyNothing {
		c.refuseValues()
	}
	c.shareDefaults()
	c.run = func(s *scope) ([]step.Output, error) {
		produced, err := fn.run(s)
		if err != nil {
			return nil, err
		}
		return c.lower(produced)
	}
	return &MultiAssetOf{c}
}

func (c *compute) list(outs Outs) {
	if len(outs) == 0 {
		c.wrong("outs", "it lists no outputs", "declare them with Output and list them in Outs")
	}
	for _, out := range outs {
		a := baseOf(out)
		switch {
		case a == nil:
			c.wrong("outs", "it lists an asset handle that was never declared", "declare it with Output")
		case !a.output:
			c.wrong("outs", fmt.Sprintf("%s (%s) is no output", a.object(), a.at), "declare it with Output instead")
		case a.maker == c:
			c.wrong("outs", fmt.Sprintf("it lists output %q twice", a.name), "list it once")
		case a.maker != nil:
			c.wrong("outs", fmt.Sprintf("output %q is already made by %s (%s)", a.name, a.maker.object(), a.maker.at),
				"list it in one of the two")
		default:
			a.maker = c
			c.outs = append(c.outs, a)
		}
	}
}

// refuseValues finds outputs with a value, for a function that gives none.
func (c *compute) refuseValues() {
	for _, out := range c.outs {
		if !out.isNothing() {
			c.wrong("outs", fmt.Sprintf("output %q is of %v, and its program stores what it makes itself", out.name, out.typ),
				"declare it with Output[Nothing], or make it with CommandJSON in an asset of its own")
		}
	}
}

// shareDefaults gives the outputs what they were not given themselves.
func (c *compute) shareDefaults() {
	c.faults = append(c.faults, c.defaults.faults...)
	for _, out := range c.outs {
		out.inherited = out.inherit(c.defaults)
	}
}

// lower turns what the function returned into what the step runner checks and stores.
func (c *compute) lower(produced Outputs) ([]step.Output, error) {
	outputs := make([]step.Output, 0, len(produced))
	for _, p := range produced {
		if p.of == nil {
			return nil, fmt.Errorf("returned an output that no declared asset made: use the Of method of one of %s", c.outKeys())
		}
		if p.of.maker != c {
			return nil, fmt.Errorf("returned output %q, which it does not list in its Outs (%s)", p.of.name, c.outKeys())
		}
		metadata, version, err := lowerMetadata(p.metadata)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", p.of.name, err)
		}
		outputs = append(outputs, step.Output{Asset: p.of.name, Value: p.value, Metadata: metadata, DataVersion: version})
	}
	return outputs, nil
}

// outKeys are the keys of the outputs, for a message.
func (c *compute) outKeys() string {
	keys := make([]string, len(c.outs))
	for i, out := range c.outs {
		keys[i] = out.name
	}
	return list(keys)
}

func (m *MultiAssetOf) definitions() []*declaration {
	if m == nil || m.def == nil {
		return nil
	}
	return []*declaration{{compute: m.def}}
}

// Requested is the part of a [CanSubset] multi-asset that this step is asked for. Bound elsewhere it is a problem.
var Requested Source[Subset] = requested{}

type requested struct{}

func (requested) carries(Subset) {}
func (r requested) need() need   { return need{kind: needRequested, id: r} }
func (requested) load(s *scope) (Subset, error) {
	return Subset{keys: s.attempt.Requested(), given: true}, nil
}

// Subset is some of a multi-asset's outputs. The zero value has all of them.
type Subset struct {
	keys  []string
	given bool
}

// SubsetOf is the subset that has these assets, for unit tests of a function that takes one.
func SubsetOf(assets ...AnyAsset) Subset {
	s := Subset{given: true}
	for _, a := range assets {
		if base := baseOf(a); base != nil {
			s.keys = append(s.keys, base.name)
		}
	}
	return s
}

// Has says whether the output is asked for.
func (s Subset) Has(a AnyAsset) bool {
	if !s.given {
		return true
	}
	base := baseOf(a)
	return base != nil && slices.Contains(s.keys, base.name)
}
