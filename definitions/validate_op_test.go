package definitions_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

// element maps a fan by an op that this declares for each.
func element(in *d.Fan[int], body func(*d.Value[int]) *d.Value[int]) *d.Fan[int] {
	return d.Map(in, body)
}

func TestValidationOfOps(t *testing.T) {
	t.Parallel()
	job := func(results ...d.AnyValue) *d.Job { return d.OpJob("job", results) }
	for _, test := range []struct {
		name string
		of   func() *d.Definitions
		want []string
	}{
		{"nothing wrong", func() *d.Definitions {
			return d.New("x", job(d.Collect(doubled("count", fanOf("pages", "a")))))
		}, nil},
		{"names of ops and graphs", func() *d.Definitions {
			first := d.Op("a.b", d.Bind0(one))
			second := d.Op("", d.Bind1(plusOne, first))
			third := d.GraphOf("perdure", func() *d.Value[int] { return d.Op("ok", d.Bind1(plusOne, second)) })
			return d.New("x", job(d.GraphOf("a graph", func() *d.Value[int] { return d.Op("fine", d.Bind1(plusOne, third)) })))
		}, []string{
			`graph "a graph" (definitions/validate_op_test.go:N), name: "a graph" is no name of a graph; use letters, digits, "_" and "-"`,
			`graph "perdure" (definitions/validate_op_test.go:N), name: names that begin with "perdure." are Perdure's own; choose another name`,
			`op "" (definitions/validate_op_test.go:N), name: "" is no name of an op; use letters, digits, "_" and "-"`,
			`op "a.b" (definitions/validate_op_test.go:N), name: "a.b" is no name of an op; use letters, digits, "_" and "-"`,
		}},
		{"one name for two ops, for an op and an asset, for an op and a graph", func() *d.Definitions {
			again := d.Op("again", d.Bind1(plusOne, d.Op("again", d.Bind0(one))))
			key := d.Op("key", d.Bind1(plusOne, again))
			etl := d.GraphOf("etl", func() *d.Value[int] { return d.Op("a", d.Bind1(plusOne, key)) })
			return d.New("x", constant("key"), job(d.Op("etl", d.Bind1(plusOne, etl))))
		}, []string{
			`graph "etl" (definitions/validate_op_test.go:N), name: op "etl" (definitions/validate_op_test.go:N) has the same name; rename one of the two: assets, multi-assets, ops and graphs share one space of names`,
			`op "again" (definitions/validate_op_test.go:N), name: there are two of this name, declared at definitions/validate_op_test.go:N and at definitions/validate_op_test.go:N; give the two ops two names, also where they run the same function`,
			`op "key" (definitions/validate_op_test.go:N), name: asset "key" (definitions/validate_test.go:N) has the same name; rename one of the two: assets, multi-assets, ops and graphs share one space of names`,
		}},
		{"two graphs of one name", func() *d.Definitions {
			first := d.GraphOf("etl", func() *d.Value[int] { return d.Op("a", d.Bind0(one)) })
			return d.New("x", job(d.GraphOf("etl", func() *d.Value[int] { return d.Op("b", d.Bind1(plusOne, first)) })))
		}, []string{
			`graph "etl" (definitions/validate_op_test.go:N), name: it is declared twice, at definitions/validate_op_test.go:N and at definitions/validate_op_test.go:N; rename one of the two, or leave it out`,
		}},
		{"a fan-out in a map, and a map in a map", func() *d.Definitions {
			pages, others := fanOf("pages", "a"), fanOf("others", "a")
			first := element(pages, func(n *d.Value[int]) *d.Value[int] {
				inner := d.FanOut("inner", d.Bind1(func(d.Context, int) ([]d.Keyed[int], error) { return nil, nil }, n))
				return d.Op("sum", d.Bind1(total, d.Collect(inner)))
			})
			second := element(pages, func(n *d.Value[int]) *d.Value[int] {
				return d.Op("both", d.Bind2(func(d.Context, int, []int) (int, error) { return 0, nil }, n, d.Collect(doubled("double", others))))
			})
			return d.New("x", job(first, second))
		}, []string{
			`op "double" (definitions/ops_test.go:N): it is mapped over "others" in the body of the Map over "pages": fans do not nest; declare the inner Map outside the body, and bind its Collect`,
			`op "inner" (definitions/validate_op_test.go:N): it is a FanOut in the body of the Map over "pages": fans do not nest; declare it outside the body, behind a Collect, or return the whole list as one value`,
		}},
		{"maps of nothing", func() *d.Definitions {
			var undeclared *d.Fan[int]
			pages, outside := fanOf("pages", "a"), d.Op("outside", d.Bind0(one))
			return d.New("x", job(
				element(undeclared, func(n *d.Value[int]) *d.Value[int] { return n }),
				element(pages, nil),
				element(pages, func(*d.Value[int]) *d.Value[int] { return nil }),
				element(pages, func(*d.Value[int]) *d.Value[int] { return outside }),
				element(pages, func(*d.Value[int]) (last *d.Value[int]) {
					element(fanOf("others", "b"), func(n *d.Value[int]) *d.Value[int] {
						last = d.Op("last", d.Bind1(double, n))
						return last
					})
					return last
				}),
				d.Map(pages, func(*d.Value[int]) *d.Value[[]int] { return d.Collect(pages) }),
				d.Collect(undeclared),
			))
		}, []string{
			`collect "" (definitions/validate_op_test.go:N), fan: Collect is given a fan that was never declared; declare it with FanOut or Map`,
			`map "" (definitions/validate_op_test.go:N), fan: Map is given a fan that was never declared; declare it with FanOut or Map`,
			`map over "pages" (definitions/validate_op_test.go:N), body: its body is nil; give the function that declares what runs for each element`,
			`map over "pages" (definitions/validate_op_test.go:N), body: its body returns a Collect; return the value of an op that runs for each element`,
			`map over "pages" (definitions/validate_op_test.go:N), body: its body returns no declared value; return the value of an op`,
			`map over "pages" (definitions/validate_op_test.go:N), body: its body returns the value of op "last", which is mapped over "others": fans do not nest; declare the inner Map outside the body, and bind its Collect`,
			`map over "pages" (definitions/validate_op_test.go:N), body: its body returns the value of op "outside", which is declared outside; return the value of an op that the body declares`,
		}},
		{"what runs for each element, bound outside", func() *d.Definitions {
			var each, inner *d.Value[int]
			pages := fanOf("pages", "a")
			counts := element(pages, func(n *d.Value[int]) *d.Value[int] {
				each, inner = n, d.Op("count", d.Bind1(double, n))
				return inner
			})
			sums := element(pages, func(n *d.Value[int]) *d.Value[int] {
				return d.Op("sum", d.Bind2(func(d.Context, int, []int) (int, error) { return 0, nil }, n, d.Collect(counts)))
			})
			return d.New("x", job(
				d.Op("of_element", d.Bind1(plusOne, each)), d.Op("of_op", d.Bind1(plusOne, inner)),
				d.Op("of_key", d.Bind1(keyed, d.MappingKey)), sums))
		}, []string{
			`op "of_element" (definitions/validate_op_test.go:N), inputs: it binds one element of "pages" (definitions/ops_test.go:N) outside of the body of its Map; declare it in that body, or bind the Collect`,
			`op "of_key" (definitions/validate_op_test.go:N), inputs: it binds MappingKey, and is not mapped; declare it in the body of a Map, or leave MappingKey out`,
			`op "of_op" (definitions/validate_op_test.go:N), inputs: it binds op "count" (definitions/validate_op_test.go:N), which runs once for each element of "pages", outside of the body of that Map; bind the Collect of what the Map returns`,
			`op "sum" (definitions/validate_op_test.go:N), inputs: it binds the Collect of "count" (definitions/validate_op_test.go:N), and runs itself once for each element of "pages"; declare it outside of the body of the Map`,
		}},
		{"ops bound by what is no op", func() *d.Definitions {
			op := d.Op("op", d.Bind0(one))
			resource := d.Resource("resource", d.Bind2(func(_ d.Context, n int, key string) (int, error) { return n, nil }, op, d.MappingKey), d.NoClose)
			return d.New("x", resource, d.Asset("a", d.Bind1(plusOne, op)), job(op))
		}, []string{
			`asset "a" (definitions/validate_op_test.go:N), inputs: it binds the value of op "op" (definitions/validate_op_test.go:N), which belongs to a run; make an asset of the graph with GraphAsset, or declare this as an Op`,
			`resource "resource" (definitions/validate_op_test.go:N), inputs: it binds MappingKey, which only a mapped op can; bind only other resources and config`,
			`resource "resource" (definitions/validate_op_test.go:N), inputs: it is opened with the value of op "op" (definitions/validate_op_test.go:N), and a resource outlives the runs that make it; bind only other resources and config`,
		}},
		{"graphs without ops", func() *d.Definitions {
			op := d.Op("op", d.Bind0(one))
			var undeclared *d.Value[int]
			same := func(v *d.Value[int]) *d.Value[int] { return v }
			return d.New("x", job(d.Graph("same", op, same), d.Graph("input", undeclared, same),
				d.Graph[int, int]("nil", op, nil), d.GraphOf("empty", func() *d.Value[int] { return nil })))
		}, []string{
			`graph "empty" (definitions/validate_op_test.go:N), body: its body returns no declared value; return the value of an op`,
			`graph "input" (definitions/validate_op_test.go:N), input: it is given a value that was never declared; give it the value of an op, or declare it with GraphOf`,
			`graph "nil" (definitions/validate_op_test.go:N), body: its body is nil; give the function that declares its ops`,
			`graph "same" (definitions/validate_op_test.go:N), body: it has no ops: its body returns what was declared outside; declare ops in its body, or leave the graph out`,
		}},
		{"assets of what no op gives", func() *d.Definitions {
			var each *d.Value[int]
			var undeclared d.Value[int]
			pages := fanOf("pages", "a")
			counts := element(pages, func(n *d.Value[int]) *d.Value[int] {
				each = d.Op("count", d.Bind1(double, n))
				return each
			})
			return d.New("x", d.GraphAsset("all", d.Collect(counts)), d.GraphAsset("each", each), d.GraphAsset("none", &undeclared))
		}, []string{
			`asset "all" (definitions/validate_op_test.go:N), result: the value of "all" is a Collect, which no op gives; put an op behind the Collect`,
			`asset "each" (definitions/validate_op_test.go:N), result: the value of "each" is that of op "count", which runs once for each element of "pages"; collect what the Map returns, and put an op behind it`,
			`asset "none" (definitions/validate_op_test.go:N), result: the value of "none" is a handle that was never declared; give it the value of an op`,
		}},
		{"outputs of a graph", func() *d.Definitions {
			op := d.Op("op", d.Bind0(one))
			first, second, third := d.Output[int]("first"), d.Output[int]("second"), d.Output[int]("third")
			plain := constant("plain")
			return d.New("x", plain, d.GraphMultiAsset("many", d.GraphOuts{first.From(op), second.From(op), plain.From(op), {}}, nil, d.CanSubset{}, d.Queue("a b")),
				d.GraphMultiAsset("none", nil), third)
		}, []string{
			`graph multi-asset "many" (definitions/validate_op_test.go:N), options: an option is nil; leave it out`,
			`graph multi-asset "many" (definitions/validate_op_test.go:N), options: it has the option CanSubset; leave it out: a run may always be asked for some outputs of a graph`,
			`graph multi-asset "many" (definitions/validate_op_test.go:N), outs: asset "plain" (definitions/validate_test.go:N) is no output; declare it with Output instead`,
			`graph multi-asset "many" (definitions/validate_op_test.go:N), outs: it lists an asset handle that was never declared; declare it with Output`,
			`graph multi-asset "many" (definitions/validate_op_test.go:N), queue: "a b" is no name of a queue; use letters, digits, "_", "." and "-"`,
			`graph multi-asset "many" (definitions/validate_op_test.go:N), result: op "op" gives both "first" and "second"; put an op of its own behind it for one of them`,
			`graph multi-asset "none" (definitions/validate_op_test.go:N), outs: it lists no outputs; declare them with Output and list them in GraphOuts`,
			`asset "third" (definitions/validate_op_test.go:N): no multi-asset lists this output; list it in the Outs of a MultiAsset, or declare it with Asset`,
		}},
		{"what ops need and is not listed", func() *d.Definitions {
			store := d.Resource("store", d.Bind0(func(d.Context) (intsOnly, error) { return intsOnly{}, nil }), d.NoClose)
			other := d.Resource("other", d.Bind0(one), d.NoClose)
			asset := constant("asset")
			first := d.Op("first", d.Bind2(plusTwo, other, asset), d.StoredBy(store))
			text := d.Op("text", d.Bind1(show, d.All(first)), d.StoredBy(store))
			return d.New("x", d.GraphAsset("a", first, d.After(constant("before"))), d.OpJob("job", []d.AnyValue{text}))
		}, []string{
			`asset "a" (definitions/validate_op_test.go:N), after: it needs asset "before" (definitions/validate_test.go:N), which is not among the definitions; add it to New("x", …)`,
			`asset "a" (definitions/validate_op_test.go:N), resources: it needs resource "store" (definitions/validate_op_test.go:N), which is not among the definitions; add it to New("x", …)`,
			`op "first" (definitions/validate_op_test.go:N), inputs: it needs asset "asset" (definitions/validate_test.go:N), which is not among the definitions; add it to New("x", …)`,
			`op "first" (definitions/validate_op_test.go:N), resources: it needs resource "other" (definitions/validate_op_test.go:N), which is not among the definitions; add it to New("x", …)`,
			`op "first" (definitions/validate_op_test.go:N), resources: it needs resource "store" (definitions/validate_op_test.go:N), which is not among the definitions; add it to New("x", …)`,
			`op "text" (definitions/validate_op_test.go:N), resources: it needs resource "store" (definitions/validate_op_test.go:N), which is not among the definitions; add it to New("x", …)`,
			`op "text" (definitions/validate_op_test.go:N), stored_by: the IO manager "store" does not keep a string: only integers, not string; change the op's type, or store it with an IO manager that keeps it`,
		}},
		{"options of ops", func() *d.Definitions {
			op := d.Op("op", d.Bind1(plusOne, d.Op("need", d.Bind0(one))), nil, d.Queue(""), d.Pool("a b"), d.Retries{Max: -1}, d.Timeout(-1),
				d.Tags{"": "x"}, d.Description("a"), d.Description("b"), d.After(nil), d.After(constant("asset")))
			wrong := d.Asset("wrong", d.Bind0(one), d.After(op))
			bound := d.Op("bound", d.Bind1(plusOne, op), d.After(op))
			return d.New("x", wrong, job(bound))
		}, []string{
			`asset "wrong" (definitions/validate_op_test.go:N), after: it makes assets, and After names op "op" (definitions/validate_op_test.go:N); name assets`,
			`op "bound" (definitions/validate_op_test.go:N), after: op "op" is bound and named in After, too; leave it out of After: what is bound comes before anyhow`,
			`op "op" (definitions/validate_op_test.go:N), after: After names a handle that was never declared; declare what it is before this`,
			`op "op" (definitions/validate_op_test.go:N), after: it is an op, and After names asset "asset" (definitions/validate_test.go:N); name ops, or bind the asset; a GraphAsset takes After with assets`,
			`op "op" (definitions/validate_op_test.go:N), description: the option Description is given twice; give it once`,
			`op "op" (definitions/validate_op_test.go:N), options: an option is nil; leave it out`,
			`op "op" (definitions/validate_op_test.go:N), pool: "a b" is no name of a pool; use letters, digits, "_", "." and "-"`,
			`op "op" (definitions/validate_op_test.go:N), queue: the queue is empty; name a queue, or leave Queue out for the location's own`,
			`op "op" (definitions/validate_op_test.go:N), retries: Max is negative; set how often a failure is tried again, 0 for never`,
			`op "op" (definitions/validate_op_test.go:N), tags[""]: tag key "" is not allowed; use 1 to 63 letters, digits, ".", "_" or "-", after at most one prefix of the same with a "/"`,
			`op "op" (definitions/validate_op_test.go:N), timeout: the timeout is -1ns; set a positive duration, or leave Timeout out for no bound`,
		}},
		{"op jobs", func() *d.Definitions {
			var undeclared *d.Value[int]
			op := d.Op("op", d.Bind0(one))
			return d.New("x", d.OpJob("none", nil), d.OpJob("nil", []d.AnyValue{nil, undeclared, op}, nil, d.Retries{Max: -1}))
		}, []string{
			`job "nil" (definitions/validate_op_test.go:N), options: an option is nil; leave it out`,
			`job "nil" (definitions/validate_op_test.go:N), results: it lists an op's handle that was never declared; declare it with Op, Maybe, FanOut or Map`,
			`job "nil" (definitions/validate_op_test.go:N), retries: Max is negative; set how often a failure is tried again, 0 for never`,
			`job "none" (definitions/validate_op_test.go:N), results: it lists no results; list the ops that it is to run, those that they hang on are run, too`,
		}},
		{"config mappings", func() *d.Definitions {
			outer, other, inner, unused := d.Config(outerConfig{}), d.Config(outerConfig{}), d.Config(innerConfig{}), d.Config(innerConfig{})
			convert := func(o outerConfig) innerConfig { return innerConfig{o.Pages} }
			var undeclared *d.ConfigOf[innerConfig]
			return d.New("x", job(d.GraphOf("etl", func() *d.Value[int] {
				return d.Op("read", d.Bind1(readPages, inner))
			}, nil, d.MapConfig(outer, inner, convert), d.MapConfig(outer, inner, convert), d.MapConfig(outer, unused, convert), d.MapConfig(other, unused, convert),
				d.MapConfig(outer, undeclared, convert), d.MapConfig[outerConfig, innerConfig](outer, inner, nil))))
		}, []string{
			`graph "etl" (definitions/validate_op_test.go:N), config: MapConfig is given a nil function; give the function that makes the inner config`,
			`graph "etl" (definitions/validate_op_test.go:N), config: MapConfig names a config handle that was never declared; declare it with Config`,
			`graph "etl" (definitions/validate_op_test.go:N), config: it has two configs of its own, definitions_test.outerConfig (definitions/validate_op_test.go:N) and definitions_test.outerConfig (definitions/validate_op_test.go:N); put both into one struct`,
			`graph "etl" (definitions/validate_op_test.go:N), config: it maps the config definitions_test.innerConfig (definitions/validate_op_test.go:N) twice; map it once`,
			`graph "etl" (definitions/validate_op_test.go:N), config: it maps the config definitions_test.innerConfig (definitions/validate_op_test.go:N), which nothing in it takes; leave MapConfig out, or bind that config in one of its ops`,
			`graph "etl" (definitions/validate_op_test.go:N), options: an option is nil; leave it out`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			slices.Sort(test.want)
			found := problemsOf(t, test.of())
			slices.Sort(found)
			require.Equal(t, strings.Join(test.want, "\n"), strings.Join(found, "\n"))
		})
	}
}

func TestOpsInACircleThroughAnOutput(t *testing.T) {
	t.Parallel()
	out := d.Output[int]("out")
	asset := d.GraphAsset("asset", d.Op("last", d.Bind1(plusOne, d.Op("first", d.Bind1(plusOne, out)))))
	multi := d.MultiAsset("multi", d.Outs{out}, d.Bind1(func(_ d.Context, n int) (d.Outputs, error) { return d.Outputs{out.Of(n)}, nil }, asset))
	require.Equal(t, []string{
		`asset "asset" (definitions/validate_op_test.go:N), inputs: assets need each other in a circle: asset.first → asset → out → asset.first (multi-asset "multi" makes out); take one of these needs out, or split the multi-asset`,
	}, problemsOf(t, d.New("x", asset, multi)))
}

type (
	outerConfig struct{ Pages int }
	innerConfig struct{ Count int }
)

func readPages(_ d.Context, c innerConfig) (int, error) { return c.Count, nil }
