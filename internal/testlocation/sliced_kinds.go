package testlocation

import (
	"fmt"
	"reflect"

	"github.com/perdure-io/perdure/definitions"
)

// outputs declares a multi-asset by days.
func (a Asset) outputs(handles map[string]*definitions.AssetOf[Value], controls Controls, store *definitions.ResourceOf[*gate]) definitions.Definition {
	outs := make(definitions.Outs, len(a.Outputs))
	for i, key := range a.Outputs {
		handles[key] = definitions.Output[Value](key, definitions.StoredBy(store))
		outs[i] = handles[key]
	}
	f := &function{asset: a.Key, controls: controls}
	partitions, keys := a.slices()
	return definitions.MultiAsset(a.Key, outs, definitions.Bind2(func(ctx definitions.Context, keys []string, inputs []Value) (definitions.Outputs, error) {
		called, err := f.make(ctx, keys[0], inputs)
		if err != nil {
			return nil, err
		}
		made := make(definitions.Outputs, len(a.Outputs))
		for i, key := range a.Outputs {
			made[i] = handles[key].Of(valueOf(key, keys[0], called.Call, inputs), definitions.Text("output", key))
		}
		return made, nil
	}, keys, inputsOf(a, handles)), definitions.PartitionedBy(partitions))
}

// graph declares a graph asset by days, with a fan in each.
func (a Asset) graph(handles map[string]*definitions.AssetOf[Value], controls Controls, options []definitions.AssetOption) *definitions.AssetOf[Value] {
	partitions, keys := a.slices()
	list := definitions.FanOut("list", definitions.Bind1(func(_ definitions.Context, inputs []Value) ([]definitions.Keyed[Value], error) {
		elements := make([]definitions.Keyed[Value], len(a.Fan))
		for i, key := range a.Fan {
			elements[i] = definitions.Keyed[Value]{Key: key, Value: inputs[0]}
		}
		return elements, nil
	}, inputsOf(a, handles)))
	loaded := definitions.Map(list, func(element *definitions.Value[Value]) *definitions.Value[Value] {
		return definitions.Op("load", definitions.Bind3(func(ctx definitions.Context, key string, days []string, of Value) (Value, error) {
			// Only its note counts: who is mapped gives on what it was given.
			_, err := (&function{asset: a.Key + ".load[" + key + "]", controls: controls}).make(ctx, days[0], nil)
			return of, err
		}, definitions.MappingKey, keys, element))
	})
	f := &function{asset: a.Key, controls: controls}
	total := definitions.Op("total", definitions.Bind2(func(ctx definitions.Context, days []string, parts []Value) (Value, error) {
		if len(parts) != len(a.Fan) {
			return Value{}, fmt.Errorf("%d elements, not %d", len(parts), len(a.Fan))
		}
		return f.make(ctx, days[0], parts[:1])
	}, keys, definitions.Collect(loaded)))
	return definitions.GraphAsset(a.Key, total, append(options, definitions.PartitionedBy(partitions))...)
}

// external declares an asset that others deliver, by days.
func (a Asset) external() *definitions.AssetOf[Value] {
	partitions, _ := a.slices()
	return definitions.External[Value](a.Key, definitions.PartitionedBy(partitions), definitions.LoadedBy(deliveries))
}

var deliveries = definitions.Resource("deliveries", definitions.Bind0(func(definitions.Context) (delivery, error) { return delivery{}, nil }), definitions.NoClose[delivery])

// delivery loads what others deliver: a value of no inputs.
type delivery struct{}

// Accepts takes the one type there is.
func (delivery) Accepts(t reflect.Type) error { return (*gate)(nil).Accepts(t) }

// Load gives a partition's value.
func (delivery) Load(_ definitions.Context, at definitions.Slot, into any) error {
	value, ok := into.(*Value)
	if !ok {
		return fmt.Errorf("%T is no *Value", into)
	}
	*value = valueOf(at.Asset, at.Partition, "delivered", nil)
	return nil
}
