package definitions

import (
	"reflect"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
)

// AssetOf is the typed handle of an asset whose value is a T: the [Source] that downstream functions bind, its
// name in selections and [After], and the way to read a result back. Declare one with [Asset],
// [OptionalAsset], [External] or [Output].
type AssetOf[T any] struct{ def *asset }

// AnyAsset is the handle of an asset whose value type does not matter: any *[AssetOf].
type AnyAsset interface {
	Orderable
	// Key is the asset's key, its parts joined by "/".
	Key() string
	base() *asset
}

// asset is an asset without its value type.
type asset struct {
	declared
	typ reflect.Type
	// maker computes it; nil for an external asset, and for an output until a multi-asset lists it.
	maker                      *compute
	external, output, optional bool

	group       string
	description string
	owners      []string
	tags        map[string]string
	kinds       []string
	codeVersion string
	metadata    []Metadatum
	store       *storage
	ofType      *checkedType
	// partitions is how it is sliced; nil is not at all. backfill is nil for the default.
	partitions *partitionSet
	backfill   *plan.BackfillPolicy
	options    optionNames
	bundles    []Options
	// inherited are the options that the multi-asset of an output gave it.
	inherited optionNames
}

// compute is what one step runs.
type compute struct {
	declared
	outs      []*asset
	multi     bool
	canSubset bool
	// defaults are what a multi-asset gives to its outputs.
	defaults *asset
	// node is set when it is an op's; family is then the graph asset that it is a part of, nil for op jobs.
	node   *node
	family *family
	// parts are the ops of a graph multi-asset, which has no step of its own.
	parts *family
	// store, description and tags are an op's; an asset has its own.
	store       *storage
	description string
	tags        map[string]string
	needs       []need
	after       []orderedAfter
	afterOps    []*node
	queue       string
	pool        string
	retries     *Retries
	timeout     *Timeout
	// remote says that an activity on the queue computes it, which another program serves.
	remote bool
	// ranged says that its function makes all partitions of a step at once.
	ranged  bool
	options optionNames
	control control
	run     func(*scope) ([]step.Output, error)
}

// Asset declares an asset that fn computes.
//
// key is the parts of its name joined by "/", each of letters, digits, "_", "." and "-": "raw/flights". It is the
// name of the asset everywhere, from Temporal's timeline to the paths of stored values, and does not begin with
// "perdure.".
func Asset[T any](key string, fn Compute[T], opts ...AssetOption) *AssetOf[T] {
	a := newComputed[T](key, fn.bound, opts)
	a.faults = append(fn.faultsOf(), a.faults...)
	a.maker.run = func(s *scope) ([]step.Output, error) {
		value, err := fn.run(s)
		if err != nil {
			return nil, err
		}
		return []step.Output{{Asset: a.name, Value: value}}, nil
	}
	return &AssetOf[T]{a}
}

// OptionalAsset declares an asset that may produce nothing: when fn returns nil, the step succeeds without a
// materialization, and what needs the asset is skipped in this run.
func OptionalAsset[T any](key string, fn Compute[*T], opts ...AssetOption) *AssetOf[T] {
	a := newComputed[T](key, fn.bound, opts)
	a.faults = append(fn.faultsOf(), a.faults...)
	a.optional = true
	a.maker.run = func(s *scope) ([]step.Output, error) {
		value, err := fn.run(s)
		if err != nil || value == nil {
			return nil, err
		}
		return []step.Output{{Asset: a.name, Value: *value}}, nil
	}
	return &AssetOf[T]{a}
}

// External declares an asset that something else makes. Runs do not compute it; its manager reads it ([LoadedBy],
// [StoredBy]), with a [Slot] whose Token is 0 as long as nothing was reported about it.
func External[T any](key string, opts ...ExternalOption) *AssetOf[T] {
	a := newAsset[T](key, place())
	a.external = true
	for _, o := range opts {
		if o == nil {
			a.nilOption()
			continue
		}
		o.applyExternal(a)
	}
	return &AssetOf[T]{a}
}

func newAsset[T any](key, at string) *asset {
	return &asset{declared: declared{what: "asset", name: key, at: at}, typ: reflect.TypeFor[T]()}
}

// newComputed is an asset with a compute of its own, which has the asset's name and place.
func newComputed[T any](key string, fn bound, opts []AssetOption) *asset {
	a := newAsset[T](key, place())
	a.maker = &compute{declared: declared{what: "asset", name: key, at: a.at}, outs: []*asset{a}, needs: fn.needs, remote: fn.remote}
	a.applyAssetOptions(opts)
	a.maker.needs = withPrevious(a.maker.needs, a)
	return a
}

func (d *declared) nilOption() {
	d.wrong("options", "an option is nil", "leave it out")
}

// Key is the asset's key, its parts joined by "/".
func (a *AssetOf[T]) Key() string {
	if def := a.base(); def != nil {
		return def.name
	}
	return ""
}

// base is nil for a handle that no constructor made.
func (a *AssetOf[T]) base() *asset {
	if a == nil {
		return nil
	}
	return a.def
}

func (a *AssetOf[T]) carries(T) {}

func (a *AssetOf[T]) need() need {
	def := a.base()
	if def == nil {
		return invalidNeed("a parameter is bound to an asset handle that was never declared",
			"declare it with Asset, OptionalAsset, External or Output")
	}
	return need{kind: needAsset, id: def, asset: def}
}

func (a *AssetOf[T]) load(s *scope) (T, error) {
	var value T
	err := s.loadAsset(a.def, &value)
	return value, err
}

func (a *AssetOf[T]) definitions() []*declaration {
	if a.base() == nil {
		return nil
	}
	return []*declaration{{asset: a.def}}
}

// isNothing says whether there is no value to store.
func (a *asset) isNothing() bool { return a.typ == reflect.TypeFor[Nothing]() }

// baseOf is an asset handle's asset; nil also when the handle itself is nil.
func baseOf(a AnyAsset) *asset {
	if a == nil {
		return nil
	}
	return a.base()
}
