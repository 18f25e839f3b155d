package definitions_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

func one(d.Context) (int, error)              { return 1, nil }
func plusOne(_ d.Context, n int) (int, error) { return n + 1, nil }
func sum(_ d.Context, n []int) (int, error)   { return len(n), nil }

// constant is an asset without needs.
func constant(key string, opts ...d.AssetOption) *d.AssetOf[int] {
	return d.Asset(key, d.Bind0(one), opts...)
}

var lineNumber = regexp.MustCompile(`_test\.go:\d+`)

// problemsOf are a location's problems, one line each, without line numbers.
func problemsOf(t *testing.T, definitions *d.Definitions) []string {
	t.Helper()
	err := definitions.Validate()
	if err == nil {
		return nil
	}
	var problems d.ProblemList
	require.ErrorAs(t, err, &problems)
	var lines []string
	for _, p := range problems {
		require.NotEmpty(t, p.Message, "every problem says what is wrong")
		require.NotEmpty(t, p.Fix, "every problem has a fix: %s", p)
		require.Regexp(t, `^definitions/\w+_test\.go:\d+$`, p.At, "every problem has a place: %s", p)
		lines = append(lines, lineNumber.ReplaceAllString(p.String(), "_test.go:N"))
	}
	return lines
}

type intsOnly struct{}

func (intsOnly) Accepts(t reflect.Type) error {
	if t.Kind() != reflect.Int {
		return fmt.Errorf("only integers, not %v", t)
	}
	return nil
}

func (intsOnly) Stage(d.Context, d.Slot, any) (d.Staged, error) { return nil, errors.ErrUnsupported }
func (intsOnly) Load(d.Context, d.Slot, any) error              { return errors.ErrUnsupported }

type pointerManager struct{ codec map[string]bool }

func (m *pointerManager) Accepts(reflect.Type) error {
	m.codec["asked"] = true // a nil map in the zero value
	return nil
}

func (*pointerManager) Stage(d.Context, d.Slot, any) (d.Staged, error) {
	return nil, errors.ErrUnsupported
}
func (*pointerManager) Load(d.Context, d.Slot, any) error { return errors.ErrUnsupported }

func TestValidationRules(t *testing.T) {
	t.Parallel()
	const at = "(definitions/validate_test.go:N)"
	ints := d.Resource("ints", d.Bind0(func(d.Context) (intsOnly, error) { return intsOnly{}, nil }), d.NoClose)
	text := func(d.Context) (string, error) { return "", nil }
	var undeclared d.AssetOf[int]
	var nilResource *d.ResourceOf[int]
	var nilFunction func(d.Context) (int, error)
	type settings struct{ Size int }
	type limits struct{ Size int }

	for _, test := range []struct {
		name string
		of   func() *d.Definitions
		want []string
	}{
		{"a valid location", func() *d.Definitions {
			a := constant("raw/a.b-c_1", d.Owners{"ann@example.com", "team:data"}, d.Kinds{"postgres"}, d.Tags{"acme/tier": "1", "pii": ""}, d.StoredBy(ints))
			return d.New("x", ints, a, d.Asset("b", d.Bind1(plusOne, a)))
		}, nil},
		{
			"location name", func() *d.Definitions { return d.New("a b") },
			[]string{`location "a b" ` + at + `, name: "a b" is no name of a location; use letters, digits, "_", "." and "-"`},
		},
		{
			"reserved location name", func() *d.Definitions { return d.New("perdure-system") },
			[]string{`location "perdure-system" ` + at + `, name: "perdure-system" begins as the names that are Perdure's own; choose another name`},
		},
		{"nil definitions", func() *d.Definitions {
			return d.New("x", nil, &undeclared, nilResource, (*d.Job)(nil), (*d.MultiAssetOf)(nil))
		}, []string{
			`location "x" ` + at + `: New is given a handle that was never declared; declare it with Asset, MultiAsset, Resource, AssetJob, OpJob, Schedule or Sensor`,
			`location "x" ` + at + `: New is given nil; leave it out`,
		}},
		{"keys", func() *d.Definitions {
			return d.New("x", constant(""), constant("a b"), constant("a//b"), constant("/a"), constant("a/../b"), constant("perdure.run"))
		}, []string{
			`asset "" ` + at + `, key: the key is empty; use parts of letters, digits, "_", "." and "-", joined by "/"`,
			`asset "/a" ` + at + `, key: "/a" is no key; use parts of letters, digits, "_", "." and "-", joined by "/"`,
			`asset "a b" ` + at + `, key: "a b" is no key; use parts of letters, digits, "_", "." and "-", joined by "/"`,
			`asset "a/../b" ` + at + `, key: "a/../b" has the part "..", which a path takes for a folder; choose another part`,
			`asset "a//b" ` + at + `, key: "a//b" is no key; use parts of letters, digits, "_", "." and "-", joined by "/"`,
			`asset "perdure.run" ` + at + `, key: "perdure.run" begins with "perdure.", which is Perdure's own; choose another key`,
		}},
		{
			"a doubled key", func() *d.Definitions { return d.New("x", constant("a"), d.External[int]("a")) },
			[]string{`asset "a" ` + at + `, key: it is declared twice, at definitions/validate_test.go:N and at definitions/validate_test.go:N; rename one of the two, or leave it out`},
		},
		{"an asset and a multi-asset of one name", func() *d.Definitions {
			return d.New("x", constant("a"), multi("a", "b"))
		}, []string{`multi-asset "a" ` + at + `, name: asset "a" (definitions/validate_test.go:N) has the same name; rename one of the two: assets, multi-assets, ops and graphs share one space of names`}},
		{"doubled resources and jobs", func() *d.Definitions {
			a := constant("a")
			return d.New("x", a, number("r"), number("r"), d.AssetJob("j", d.Assets(a)), d.AssetJob("j", d.Assets(a)))
		}, []string{
			`job "j" ` + at + `, name: it is declared twice, at definitions/validate_test.go:N and at definitions/validate_test.go:N; rename one of the two, or leave it out`,
			`resource "r" ` + at + `, name: it is declared twice, at definitions/validate_test.go:N and at definitions/validate_test.go:N; rename one of the two, or leave it out`,
		}},
		{"group, kinds, owners, tags", func() *d.Definitions {
			return d.New("x", constant("a", d.Group("a b"), d.Kinds{"a", "b", "c", "D"}, d.Owners{"bob", "team:", "Bob <bob@example.com>"},
				d.Tags{"a/b/c": "x", "ok": "no spaces", "perdure/x": ""}))
		}, []string{
			`asset "a" ` + at + `, group: "a b" is no name of a group; use letters, digits, "_", "." and "-"`,
			`asset "a" ` + at + `, kinds: "D" is no kind; use lower-case letters, digits, "_", "." and "-", at most 63`,
			`asset "a" ` + at + `, kinds: it has 4 kinds; give at most 3`,
			`asset "a" ` + at + `, owners: "Bob <bob@example.com>" is neither an e-mail address nor a team; write "ann@example.com" or "team:data"`,
			`asset "a" ` + at + `, owners: "bob" is neither an e-mail address nor a team; write "ann@example.com" or "team:data"`,
			`asset "a" ` + at + `, owners: "team:" is neither an e-mail address nor a team; write "ann@example.com" or "team:data"`,
			`asset "a" ` + at + `, tags.a/b/c: tag key "a/b/c" is not allowed; use 1 to 63 letters, digits, ".", "_" or "-", after at most one prefix of the same with a "/"`,
			`asset "a" ` + at + `, tags.ok: tag value "no spaces" is not allowed; use at most 63 letters, digits, ".", "_" or "-"`,
			`asset "a" ` + at + `, tags.perdure/x: tag key "perdure/x" is reserved: only Perdure sets tags that begin with perdure/; choose another key`,
		}},
		{"options given twice, nil, empty", func() *d.Definitions {
			return d.New("x", constant("a", d.Group("g"), d.Group("h"), nil, d.Queue(""), d.Pool("")))
		}, []string{
			`asset "a" ` + at + `, group: the option Group is given twice; give it once`,
			`asset "a" ` + at + `, options: an option is nil; leave it out`,
			`asset "a" ` + at + `, pool: the pool is empty; name a pool, or leave Pool out`,
			`asset "a" ` + at + `, queue: the queue is empty; name a queue, or leave Queue out for the location's own`,
		}},
		{"queue, pool, timeout", func() *d.Definitions {
			return d.New("x", constant("a", d.Queue("control"), d.Pool("a:b"), d.Timeout(-time.Second)), constant("b", d.Queue("a/b")), constant("c", d.Queue("evaluate")))
		}, []string{
			`asset "a" ` + at + `, pool: "a:b" is no name of a pool; use letters, digits, "_", "." and "-"`,
			`asset "a" ` + at + `, queue: the queue "control" is Perdure's own; choose another name`,
			`asset "a" ` + at + `, timeout: the timeout is -1s; set a positive duration, or leave Timeout out for no bound`,
			`asset "b" ` + at + `, queue: "a/b" is no name of a queue; use letters, digits, "_", "." and "-"`,
			`asset "c" ` + at + `, queue: the queue "evaluate" is Perdure's own; choose another name`,
		}},
		{"retries", func() *d.Definitions {
			return d.New("x", constant("a", d.Retries{Max: -1}), constant("b", d.Retries{Delay: time.Second}), constant("c", d.Retries{Max: 1, Delay: -1}),
				constant("d", d.Retries{Max: 1, Backoff: d.Linear, Jitter: d.FullJitter}), constant("e", d.Retries{Max: 1, Delay: 1, Backoff: "x", Jitter: "y"}))
		}, []string{
			`asset "a" ` + at + `, retries: Max is negative; set how often a failure is tried again, 0 for never`,
			`asset "b" ` + at + `, retries: Max is 0, so nothing is ever tried again; set Max, or leave Retries out`,
			`asset "c" ` + at + `, retries: Delay is negative; set the time before a retry`,
			`asset "d" ` + at + `, retries: Backoff is linear without a Delay; set the Delay that grows`,
			`asset "d" ` + at + `, retries: Jitter is full without a Delay; set the Delay that is spread`,
			`asset "e" ` + at + `, retries: there is no backoff x; use Constant, Linear or Exponential`,
			`asset "e" ` + at + `, retries: there is no jitter y; use NoJitter, FullJitter or PlusMinusJitter`,
		}},
		{"metadata", func() *d.Definitions {
			return d.New("x", constant("a", d.Metadata{d.Float("f", math.NaN()), d.DataVersion("1"), d.Text("t", "a"), d.Text("t", "b"), {}}))
		}, []string{
			`asset "a" ` + at + `, metadata: a data version belongs to a materialization, not to the asset; report it in the function, or use CodeVersion`,
			`asset "a" ` + at + `, metadata: metadata "" has no value: make it with Int, Float, Text or another of the constructors; give a value that can be recorded`,
			`asset "a" ` + at + `, metadata: metadata "f": NaN is no number that can be recorded; give a value that can be recorded`,
			`asset "a" ` + at + `, metadata: the label "t" stands twice; give each label once`,
		}},
		{"functions and sources that are nil or were never declared", func() *d.Definitions {
			return d.New("x", d.Asset("a", d.Bind0(nilFunction)), d.Asset("b", d.Compute[int]{}), d.Asset("c", d.Bind1(plusOne, nil)), d.Asset("d", d.Bind1(plusOne, &undeclared)),
				d.Asset("e", d.Bind1(plusOne, nilResource)), d.Asset("f", d.Bind1(sum, d.All[int]())), d.Asset("g", d.Bind1(plusOne, d.View[int, int](constant("h"), nil))),
				constant("i", d.After(nil)))
		}, []string{
			`asset "a" ` + at + `, function: the bound function is nil; bind a function that is declared`,
			`asset "b" ` + at + `, function: it has no function; make one with Bind0 to Bind8 or Do0 to Do8`,
			`asset "c" ` + at + `, inputs: a parameter is bound to nil; bind it to an asset, a resource, config, or another source`,
			`asset "d" ` + at + `, inputs: a parameter is bound to an asset handle that was never declared; declare it with Asset, OptionalAsset, External or Output`,
			`asset "e" ` + at + `, inputs: a parameter is bound to a resource handle that was never declared; declare it with Resource`,
			`asset "f" ` + at + `, inputs: All is given no sources; name at least one source`,
			`asset "g" ` + at + `, inputs: View is given a nil function; give the function that takes the part out of the value`,
			`asset "i" ` + at + `, after: After names a handle that was never declared; declare what it is before this`,
		}},
		{"needs that are not listed", func() *d.Definitions {
			a, r := constant("a"), number("r")
			out := d.Output[int]("out")
			d.MultiAsset("m", d.Outs{out}, d.Bind0(noOutputs))
			return d.New("x", d.Asset("b", d.Bind2(plusTwo, a, r), d.After(out)), d.Asset("c", d.Bind1(plusOne, number("s"))), constant("e", d.StoredBy(ints)))
		}, []string{
			`asset "b" ` + at + `, after: it needs asset "out" (definitions/validate_test.go:N), which is not among the definitions; add multi-asset "m", which makes it, to New("x", …)`,
			`asset "b" ` + at + `, inputs: it needs asset "a" (definitions/validate_test.go:N), which is not among the definitions; add it to New("x", …)`,
			`asset "b" ` + at + `, resources: it needs resource "r" (definitions/validate_test.go:N), which is not among the definitions; add it to New("x", …)`,
			`asset "c" ` + at + `, resources: it needs resource "s" (definitions/validate_test.go:N), which is not among the definitions; add it to New("x", …)`,
			`asset "e" ` + at + `, resources: it needs resource "ints" (definitions/validate_test.go:N), which is not among the definitions; add it to New("x", …)`,
		}},
		{
			"a need of another declaration", func() *d.Definitions { return d.New("x", constant("a"), d.Asset("b", d.Bind1(plusOne, constant("a")))) },
			[]string{`asset "b" ` + at + `, inputs: it binds the declaration of asset "a" at definitions/validate_test.go:N, and the definitions have another one, at definitions/validate_test.go:N; use one handle in both places`},
		},
		{"loaded and After", func() *d.Definitions {
			a := constant("a")
			return d.New("x", a, d.Asset("b", d.Bind1(plusOne, a), d.After(a)))
		}, []string{`asset "b" ` + at + `, after: asset "a" is loaded and named in After, too; leave it out of After: what is loaded comes before anyhow`}},
		{"outputs", func() *d.Definitions {
			a, b := d.Output[int]("a"), d.Output[int]("b")
			m := d.MultiAsset("m", d.Outs{a, a, constant("c"), &undeclared, nil}, d.Bind0(noOutputs))
			n := d.MultiAsset("n", d.Outs{a}, d.Bind0(noOutputs))
			return d.New("x", m, n, b, d.MultiAsset("o", nil, d.Bind0(noOutputs)))
		}, []string{
			`asset "b" ` + at + `: no multi-asset lists this output; list it in the Outs of a MultiAsset, or declare it with Asset`,
			`multi-asset "m" ` + at + `, outs: asset "c" (definitions/validate_test.go:N) is no output; declare it with Output instead`,
			`multi-asset "m" ` + at + `, outs: it lists an asset handle that was never declared; declare it with Output`,
			`multi-asset "m" ` + at + `, outs: it lists output "a" twice; list it once`,
			`multi-asset "n" ` + at + `, outs: output "a" is already made by multi-asset "m" (definitions/validate_test.go:N); list it in one of the two`,
			`multi-asset "o" ` + at + `, outs: it lists no outputs; declare them with Output and list them in Outs`,
		}},
		{"an output listed without its multi-asset", func() *d.Definitions {
			a := d.Output[int]("a")
			d.MultiAsset("m", d.Outs{a}, d.Bind0(noOutputs))
			return d.New("x", a)
		}, []string{`asset "a" ` + at + `: it needs multi-asset "m" (definitions/validate_test.go:N), which is not among the definitions; add it to New("x", …)`}},
		{"requested", func() *d.Definitions {
			ask := func(d.Context, d.Subset) (d.Outputs, error) { return nil, nil }
			return d.New("x", d.Asset("a", d.Bind1(func(d.Context, d.Subset) (int, error) { return 0, nil }, d.Requested)),
				d.MultiAsset("m", d.Outs{d.Output[int]("b")}, d.Bind1(ask, d.Requested)),
				d.MultiAsset("n", d.Outs{d.Output[int]("c")}, d.Bind0(noOutputs), d.CanSubset{}))
		}, []string{
			`asset "a" ` + at + `, inputs: it binds Requested, which only the function of a multi-asset can; leave Requested out`,
			`multi-asset "m" ` + at + `, inputs: it binds Requested, and is always asked for everything; give it the option CanSubset, or leave Requested out`,
			`multi-asset "n" ` + at + `, inputs: it can be asked for some of its outputs, and its function does not learn which; bind Requested, or leave CanSubset out`,
		}},
		{"a circle through a multi-asset", func() *d.Definitions {
			clean, rejected := d.Output[int]("clean"), d.Output[int]("rejected")
			summary := d.Asset("summary", d.Bind1(plusOne, clean))
			report := d.Asset("report", d.Bind1(plusOne, summary))
			m := d.MultiAsset("split", d.Outs{clean, rejected}, d.Bind1(func(d.Context, int) (d.Outputs, error) { return nil, nil }, report))
			return d.New("x", report, m, summary, constant("other", d.After(rejected)))
		}, []string{`asset "report" ` + at + `, inputs: assets need each other in a circle: report → clean → summary → report (multi-asset "split" makes clean); take one of these needs out, or split the multi-asset`}},
		{"a multi-asset that needs its own output", func() *d.Definitions {
			a := d.Output[int]("a")
			return d.New("x", d.MultiAsset("m", d.Outs{a}, d.Bind0(noOutputs), d.After(a)))
		}, []string{`asset "a" ` + at + `, inputs: assets need each other in a circle: a → a (multi-asset "m" makes a); take one of these needs out, or split the multi-asset`}},
		{"resources", func() *d.Definitions {
			a := constant("a")
			return d.New("x", a, d.Resource("r r", d.Bind1(plusOne, a), nil), d.Resource("s", d.Bind1(func(d.Context, d.Subset) (int, error) { return 0, nil }, d.Requested), d.NoClose, nil),
				d.Resource("t", d.Bind0(one), d.NoClose, d.Accepts(intsOnly{}.Accepts)), d.Resource("u", d.Bind1(plusOne, number("v")), d.NoClose))
		}, []string{
			`resource "r r" ` + at + `, close: its close function is nil; give the function that closes it, or NoClose when it holds nothing`,
			`resource "r r" ` + at + `, inputs: it is opened with asset "a" (definitions/validate_test.go:N), and a resource outlives the runs that make it; bind only other resources and config`,
			`resource "r r" ` + at + `, name: "r r" is no name of a resource; use letters, digits, "_", "." and "-"`,
			`resource "s" ` + at + `, inputs: it binds Requested, which only the function of a multi-asset can; bind only other resources and config`,
			`resource "s" ` + at + `, options: an option is nil; leave it out`,
			`resource "t" ` + at + `, accepts: it has the option Accepts, and int is no IO manager; leave Accepts out`,
			`resource "u" ` + at + `, resources: it needs resource "v" (definitions/validate_test.go:N), which is not among the definitions; add it to New("x", …)`,
		}},
		{"two configs", func() *d.Definitions {
			a, b := d.Config(settings{}), d.Config(limits{})
			both := func(d.Context, settings, limits) (int, error) { return 0, nil }
			return d.New("x", d.Asset("a", d.Bind2(both, a, b)), d.Resource("r", d.Bind2(both, a, b), d.NoClose))
		}, []string{
			`asset "a" ` + at + `, config: it binds two configs, definitions_test.settings (definitions/validate_test.go:N) and definitions_test.limits (definitions/validate_test.go:N); put both into one struct`,
			`resource "r" ` + at + `, config: it binds two configs, definitions_test.settings (definitions/validate_test.go:N) and definitions_test.limits (definitions/validate_test.go:N); put both into one struct`,
		}},
		{"types that an IO manager refuses", func() *d.Definitions {
			byInterface := d.Resource("declared", d.Bind0(func(d.Context) (d.IOManager, error) { return intsOnly{}, nil }), d.NoClose, d.Accepts(intsOnly{}.Accepts))
			unknown := d.Resource("unknown", d.Bind0(func(d.Context) (d.IOManager, error) { return intsOnly{}, nil }), d.NoClose)
			broken := d.Resource("broken", d.Bind0(func(d.Context) (*pointerManager, error) { return nil, nil }), d.NoClose)
			return d.New("x", ints, byInterface, unknown, broken, d.Asset("a", d.Bind0(text), d.StoredBy(ints)), d.External[string]("b", d.StoredBy(byInterface)),
				d.Asset("c", d.Bind0(text), d.StoredBy(unknown)), constant("e", d.StoredBy(broken)), d.Asset("f", d.Do0(func(d.Context) error { return nil }), d.StoredBy(ints)),
				constant("g", d.StoredBy(d.View(d.External[int]("h"), func(int) intsOnly { return intsOnly{} }))))
		}, []string{
			`asset "a" ` + at + `, stored_by: the IO manager "ints" does not keep a string: only integers, not string; change the asset's type, or store it with an IO manager that keeps it`,
			`asset "b" ` + at + `, stored_by: the IO manager "declared" does not keep a string: only integers, not string; change the asset's type, or store it with an IO manager that keeps it`,
			`asset "e" ` + at + `, stored_by: the IO manager "broken" does not keep a int: asking whether it accepts int panicked (assignment to entry in nil map): Accepts must work on the zero value, without a connection, or the resource needs the option Accepts; change the asset's type, or store it with an IO manager that keeps it`,
			`asset "f" ` + at + `, stored_by: there is nothing to store, for its value is Nothing; leave StoredBy out`,
			`asset "g" ` + at + `, stored_by: StoredBy is given a source that is not one resource; declare the IO manager with Resource`,
		}},
		{"options that a multi-asset shares, and bundles", func() *d.Definitions {
			m := d.MultiAsset("m", d.Outs{d.Output[int]("a"), d.Output[int]("b", d.Group("b b"))}, d.Bind0(noOutputs),
				d.Group("m m"), d.Owners{"ann"}, d.Tags{"": ""}, d.Kinds{"A"}, d.Owners{"team:b"}, d.StoredBy[intsOnly](nil))
			return d.New("x", m, constant("c", d.Options{d.Group("c c"), nil}), constant("e", d.Options{d.Pool("p")}, d.Options{d.Pool("q")}))
		}, []string{
			`asset "b" ` + at + `, group: "b b" is no name of a group; use letters, digits, "_", "." and "-"`,
			`asset "c" ` + at + `, group: "c c" is no name of a group; use letters, digits, "_", "." and "-"`,
			`asset "c" ` + at + `, options: an option is nil; leave it out`,
			`asset "e" ` + at + `, pool: the option Pool is given twice; give it once`,
			`multi-asset "m" ` + at + `, group: "m m" is no name of a group; use letters, digits, "_", "." and "-"`,
			`multi-asset "m" ` + at + `, kinds: "A" is no kind; use lower-case letters, digits, "_", "." and "-", at most 63`,
			`multi-asset "m" ` + at + `, owners: the option Owners is given twice; give it once`,
			`multi-asset "m" ` + at + `, stored_by: StoredBy is given no declared resource; declare the IO manager with Resource`,
			`multi-asset "m" ` + at + `, tags[""]: tag key "" is not allowed; use 1 to 63 letters, digits, ".", "_" or "-", after at most one prefix of the same with a "/"`,
		}},
		{"what reads an external asset", func() *d.Definitions {
			shelves := d.Resource("shelves", d.Bind0(func(d.Context) (shelf, error) { return nil, nil }), d.NoClose, d.Accepts(shelf{}.Accepts))
			return d.New("x", shelves, ints, d.External[int]("a", d.LoadedBy(shelves)), d.External[string]("b", d.LoadedBy(shelves)),
				d.External[int]("c", d.LoadedBy(shelves), d.StoredBy(ints)), d.External[int]("e", d.LoadedBy(ints), d.LoadedBy(shelves)))
		}, []string{
			`asset "b" ` + at + `, loaded_by: the IO manager "shelves" does not keep a string: only integers, not string; change the asset's type, or store it with an IO manager that keeps it`,
			`asset "c" ` + at + `, stored_by: it has both LoadedBy and StoredBy; leave one of them out`,
			`asset "e" ` + at + `, loaded_by: the option LoadedBy is given twice; give it once`,
		}},
		{"jobs", func() *d.Definitions {
			a, e := constant("a"), d.External[int]("e")
			m := multi("m", "m1", "m2")
			configured := d.Config(settings{Size: 1})
			b := d.Asset("b", d.Bind2(func(d.Context, int, settings) (int, error) { return 0, nil }, a, configured))
			return d.New("x", a, b, e, m,
				d.AssetJob("fine", d.Assets(a).Downstream().Except(d.Select("b")).Or(d.Select("m1 or m2")), d.Priority(1)),
				d.AssetJob("syntax", d.Select("a and")),
				d.AssetJob("unknown", d.Select("aa or group:raw")),
				d.AssetJob("unlisted", d.Assets(constant("z"), nil)),
				d.AssetJob("nothing", d.Select("a and b")),
				d.AssetJob("external", d.Assets(e)),
				d.AssetJob("options", d.Assets(a), d.Priority(9), d.Tags{"": ""}, d.Retries{Max: -1}, nil),
				d.AssetJob("no json", d.Assets(a), d.RunConfig("{")),
				d.AssetJob("config", d.Assets(b), d.RunConfig(`{"assets":{"b":{"size":"x","sise":1},"c":{}},"op":{}}`)),
				d.AssetJob("twice", d.Assets(b), d.RunConfig(`{"assets":{"b":{}}}`), d.Configure(configured, settings{})),
				d.AssetJob("unbound", d.Assets(b), d.Configure(d.Config(limits{}), limits{})))
		}, []string{
			`job "config" ` + at + `, config.assets.b.sise: unknown field "sise"; did you mean "size"? known: size`,
			`job "config" ` + at + `, config.assets.b.size: must be a whole number, not the string "x"; correct it`,
			`job "config" ` + at + `, config.assets.c: there is no asset or multi-asset "c"; known: b`,
			`job "config" ` + at + `, config.op: unknown field "op"; did you mean "ops"? known: assets, ops, resources, execution, loggers`,
			`job "external" ` + at + `, selection: asset "e" is external: nothing in location "x" makes it; nothing here reads it either`,
			`job "no json" ` + at + `, config: is not JSON: unexpected end of JSON input, at line 1, column 1; write {"assets":{KEY:{…}},"ops":{PATH:{…}},"resources":{NAME:{…}},"execution":{…},"loggers":{NAME:{…}}}`,
			`job "no json" ` + at + `, name: "no json" is no name of a job; use letters, digits, "_", "." and "-"`,
			`job "nothing" ` + at + `, selection: a and b selects nothing; location "x" has 5 assets: * selects all that are made here`,
			`job "options" ` + at + `, options: an option is nil; leave it out`,
			`job "options" ` + at + `, priority: the priority is 9; use 1 to 5, 1 first`,
			`job "options" ` + at + `, retries: Max is negative; set how often a failure is tried again, 0 for never`,
			`job "options" ` + at + `, tags[""]: tag key "" is not allowed; use 1 to 63 letters, digits, ".", "_" or "-", after at most one prefix of the same with a "/"`,
			`job "syntax" ` + at + `, selection: selection ` + "`a and`" + `, column 6: expected an asset key, *, not, "(", sinks(…), roots(…) or a filter such as group:NAME, found the end; correct the expression`,
			`job "twice" ` + at + `, config.assets.b: "b" is configured twice; configure it once`,
			`job "unbound" ` + at + `, config: nothing here binds the config definitions_test.limits (definitions/validate_test.go:N); bind it, or leave Configure out`,
			`job "unknown" ` + at + `, selection: there is no asset "aa"; did you mean "a"?`,
			`job "unknown" ` + at + `, selection: there is no group "raw"; did you mean "default"?`,
			`job "unlisted" ` + at + `, selection: it needs asset "z" (definitions/validate_test.go:N), which is not among the definitions; add it to New("x", …)`,
			`job "unlisted" ` + at + `, selection: it selects an asset handle that was never declared; declare it with Asset, OptionalAsset, External or Output`,
		}},
		{"merging", func() *d.Definitions {
			shared := constant("shared")
			return d.Merge("x", d.New("p", shared, constant("a"), nil), nil, d.New("q", shared, d.External[int]("a")))
		}, []string{
			`asset "a" ` + at + `, key: it is declared twice, at definitions/validate_test.go:N and at definitions/validate_test.go:N; rename one of the two, or leave it out`,
			`location "x" ` + at + `: Merge is given nil; leave it out`,
			`location "x" ` + at + `: New is given nil; leave it out`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, strings.Join(test.want, "\n"), strings.Join(problemsOf(t, test.of()), "\n"))
		})
	}
}

func number(name string) *d.ResourceOf[int] { return d.Resource(name, d.Bind0(one), d.NoClose) }

func plusTwo(_ d.Context, a, b int) (int, error) { return a + b, nil }

func noOutputs(d.Context) (d.Outputs, error) { return nil, nil }

// multi is a multi-asset with outputs of these keys.
func multi(name string, keys ...string) *d.MultiAssetOf {
	var outs d.Outs
	for _, key := range keys {
		outs = append(outs, d.Output[int](key))
	}
	return d.MultiAsset(name, outs, d.Bind0(noOutputs))
}
