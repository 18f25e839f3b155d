package definitions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

// failing is an asset whose function fails with err.
func failing(key string, err error, opts ...d.AssetOption) *d.AssetOf[int] {
	return d.Asset(key, d.Bind0(func(d.Context) (int, error) { return 0, err }), opts...)
}

func TestFailureStopsWhatNeedsItAndNothingElse(t *testing.T) {
	t.Parallel()
	bad := failing("bad", errors.New("no such file"))
	good := constant("good")
	below := d.Asset("below", d.Bind2(plusTwo, bad, good))
	beside := d.Asset("beside", d.Bind1(plusOne, good))
	run := d.Materialize(t.Context(), d.New("x", bad, good, below, beside))

	require.EqualError(t, run.Err(), "bad failed (attempt 1): no such file")
	require.Equal(t, wire.StepFailed, run.Status(bad))
	require.Equal(t, wire.StepUpstreamFailed, run.Status(below))
	require.Equal(t, wire.StepSuccess, run.Status(beside))
	value, err := beside.In(run)
	require.NoError(t, err)
	require.Equal(t, 2, value)
	_, err = bad.In(run)
	require.EqualError(t, err, `asset "bad" has no value: bad failed (attempt 1): no such file`)
	_, err = below.In(run)
	require.EqualError(t, err, `asset "below" has no value: its step ended as UPSTREAM_FAILED`)
}

func TestPanicFailsItsStepWithTheStack(t *testing.T) {
	t.Parallel()
	careless := d.Asset("careless", d.Bind0(func(ctx d.Context) (int, error) {
		return []int{}[ctx.Run().Attempt], nil
	}))
	other := constant("other")
	run := d.Materialize(t.Context(), d.New("x", careless, other))
	require.ErrorContains(t, run.Err(), "careless failed (attempt 1): panic: runtime error: index out of range [1] with length 0")
	require.Equal(t, wire.StepSuccess, run.Status(other))
	require.Contains(t, run.Stack(careless), "materialize_test.go")
	require.Empty(t, run.Stack(other))
}

func TestRetriesWaitAndCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var attempts []int
		flaky := d.Asset("flaky", d.Bind0(func(ctx d.Context) (int, error) {
			attempts = append(attempts, ctx.Run().Attempt)
			if len(attempts) < 3 {
				return 0, errors.New("busy")
			}
			return 1, nil
		}), d.Retries{Max: 3, Delay: time.Minute, Backoff: d.Exponential})
		began := time.Now()
		run := d.Materialize(t.Context(), d.New("x", flaky))
		require.NoError(t, run.Err())
		require.Equal(t, []int{1, 2, 3}, attempts)
		require.Equal(t, 4*time.Minute, time.Since(began), "1 and 3 times the delay")

		never := failing("never", errors.New("busy"), d.Retries{Max: 1, Delay: time.Second})
		run = d.Materialize(t.Context(), d.New("x", never))
		require.EqualError(t, run.Err(), "never failed (attempt 2): busy")
	})
}

func TestTimeoutFailsTheAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := d.Asset("slow", d.Bind0(func(ctx d.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}), d.Timeout(time.Hour))
		run := d.Materialize(t.Context(), d.New("x", slow))
		require.ErrorContains(t, run.Err(), "slow failed (attempt 1): took longer than its timeout of 1h0m0s")
	})
}

func TestEndOfTheContextCancelsTheRest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	patient := d.Asset("patient", d.Bind0(func(ctx d.Context) (int, error) {
		cancel(errors.New("enough"))
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	later := d.Asset("later", d.Bind1(plusOne, patient))
	run := d.Materialize(ctx, d.New("x", patient, later))
	require.EqualError(t, run.Err(), "the materialization was cancelled: enough")
	require.Equal(t, wire.StepCanceled, run.Status(patient))
}

func TestOptionalAssetThatIsNotEmittedSkipsWhatNeedsIt(t *testing.T) {
	t.Parallel()
	maybe := func(key string, emit bool) *d.AssetOf[int] {
		return d.OptionalAsset(key, d.Bind0(func(d.Context) (*int, error) {
			if !emit {
				return nil, nil
			}
			n := 40
			return &n, nil
		}))
	}
	absent, there := maybe("absent", false), maybe("there", true)
	needs := d.Asset("needs", d.Bind1(plusOne, absent))
	further := d.Asset("further", d.Bind1(plusOne, needs))
	double := d.View(needs, func(n int) int { return 2 * n })
	both := d.Asset("both", d.Bind1(func(_ d.Context, n []int) ([]int, error) { return n, nil }, d.All(absent, d.View(there, func(n int) int { return n + 2 }), double)))
	none := d.Asset("none", d.Bind1(sum, d.All[int](absent, needs)))
	run := d.Materialize(t.Context(), d.New("x", absent, there, needs, further, both, none))
	require.NoError(t, run.Err())
	require.Equal(t, wire.StepSuccess, run.Status(absent))
	for _, skipped := range []d.AnyAsset{needs, further, none} {
		require.Equal(t, wire.StepSkipped, run.Status(skipped), skipped.Key())
	}
	got, err := both.In(run)
	require.NoError(t, err)
	require.Equal(t, []int{42}, got, "members that were not emitted are left out")
	_, err = absent.In(run)
	require.EqualError(t, err, `asset "absent" has no value: its step did not emit it`)
}

func TestMultiAsset(t *testing.T) {
	t.Parallel()
	small, large := d.Output[int]("small"), d.Output[int]("large", d.Optional{})
	other := d.Output[int]("other")
	var produce func(d.Subset) d.Outputs
	sizes := d.MultiAsset("sizes", d.Outs{small, large}, d.Bind1(func(_ d.Context, want d.Subset) (d.Outputs, error) { return produce(want), nil }, d.Requested), d.CanSubset{})
	needsLarge := d.Asset("needs_large", d.Bind1(plusOne, large))
	definitions := d.New("x", sizes, needsLarge)

	produce = func(want d.Subset) d.Outputs {
		out := d.Outputs{small.Of(1, d.Text("note", "one"), d.DataVersion("v1"))}
		if want.Has(large) {
			out = append(out, large.Of(100))
		}
		return out
	}
	run := d.Materialize(t.Context(), definitions)
	require.NoError(t, run.Err())
	require.Equal(t, []d.Metadatum{d.Text("note", "one")}, run.Metadata(small))
	require.Empty(t, run.Metadata(large))
	require.Equal(t, "v1", run.DataVersion(small))

	run = d.Materialize(t.Context(), definitions, d.Only(small))
	require.NoError(t, run.Err())
	require.Equal(t, []string{"small"}, run.Materialized())
	_, err := large.In(run)
	require.EqualError(t, err, `asset "large" has no value: it was not asked for: name it in Only`)

	for name, test := range map[string]struct {
		produce d.Outputs
		only    d.AnyAsset
		want    string
	}{
		"an optional output is left out": {d.Outputs{small.Of(1)}, needsLarge, ""},
		"a required output is missing":   {d.Outputs{large.Of(1)}, needsLarge, `did not return the required output "small"`},
		"one that was not requested":     {d.Outputs{small.Of(1), large.Of(2)}, small, `returned output "large", which was not requested (requested: small)`},
		"one is there twice":             {d.Outputs{small.Of(1), small.Of(2)}, small, `returned output "small" twice`},
		"one of another multi-asset":     {d.Outputs{other.Of(1)}, small, `returned output "other", which it does not list in its Outs ("small" or "large")`},
		"one that no asset made":         {d.Outputs{{}}, small, `returned an output that no declared asset made: use the Of method of one of "small" or "large"`},
		"invalid metadata":               {d.Outputs{small.Of(1, d.Text("", "x"))}, small, `output "small": metadata has an empty label: name what it is`},
	} {
		produce = func(d.Subset) d.Outputs { return test.produce }
		only := []d.AnyAsset{test.only}
		if test.only != small {
			only = append(only, small)
		}
		run := d.Materialize(t.Context(), definitions, d.Only(only...))
		if test.want == "" {
			require.NoError(t, run.Err(), name)
			require.Equal(t, wire.StepSkipped, run.Status(needsLarge), name)
			continue
		}
		require.ErrorContains(t, run.Err(), test.want, name)
	}
}

func TestGivenReplacesAnySource(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	type limits struct {
		Max int `config:"required"`
	}
	config := d.Config(limits{})
	deep := d.Resource("deep", d.Bind1(func(d.Context, limits) (int, error) { opened.Add(1); return 0, errors.New("unreachable") }, config), d.NoClose)
	near := d.Resource("near", d.Bind1(plusOne, deep), d.NoClose)
	unreachable := failing("unreachable", errors.New("unreachable"))
	view := d.View(unreachable, func(n int) string { return fmt.Sprint(n) })
	all := d.All(unreachable, unreachable)
	external, prior := d.External[int]("external"), failing("prior", errors.New("unreachable"))
	a := d.Asset("a", d.Bind5(func(_ d.Context, r int, v string, l []int, e int, c limits) (string, error) {
		return fmt.Sprintln(r, v, l, e, c.Max), nil
	}, near, view, all, external, config), d.After(prior))
	definitions := d.New("x", deep, near, unreachable, external, prior, a)

	run := d.Materialize(t.Context(), definitions, d.Only(a), d.Given(near, 1), d.Given(view, "two"), d.Given(all, []int{3}), d.Given(external, 4),
		d.Given(config, limits{Max: 5}), d.Given(unreachable, 6), d.Given(prior, 0))
	require.NoError(t, run.Err())
	got, err := a.In(run)
	require.NoError(t, err)
	require.Equal(t, "1 two [3] 4 5\n", got)
	six, err := unreachable.In(run)
	require.NoError(t, err)
	require.Equal(t, 6, six, "what was given is read back")
	require.Empty(t, run.Status(unreachable))
	require.Equal(t, []string{"a"}, run.Materialized())

	run = d.Materialize(t.Context(), definitions, d.Only(a), d.Given(deep, 1), d.Given(external, 4), d.Given(config, limits{}), d.Given(unreachable, 0), d.Given(prior, 0))
	require.NoError(t, run.Err(), "a resource opens with what is given for the one it needs")
	require.Zero(t, opened.Load())
}

func TestMaterializeRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	a, e := constant("a"), d.External[int]("e")
	reads := d.Asset("reads", d.Bind1(plusOne, e))
	type limits struct {
		Max int `config:"required"`
	}
	config := d.Config(limits{})
	strict := d.Asset("strict", d.Bind1(func(d.Context, limits) (int, error) { return 0, nil }, config))
	definitions := d.New("x", a, e, reads, strict)
	var undeclared *d.AssetOf[int]
	for name, test := range map[string]struct {
		options []d.MaterializeOption
		want    string
	}{
		"an external asset without a value": {[]d.MaterializeOption{d.Only(reads)}, `asset "reads" loads asset "e" (definitions/materialize_test.go:`},
		"an external asset asked for":       {[]d.MaterializeOption{d.Only(e)}, `Only names asset "e", which is external: nothing here makes it`},
		"an asset of elsewhere":             {[]d.MaterializeOption{d.Only(constant("z"))}, `which is not among the definitions: add it to New("x", …)`},
		"an undeclared asset":               {[]d.MaterializeOption{d.Only(undeclared)}, `Only names an asset handle that was never declared: declare it first`},
		"a source that nothing binds":       {[]d.MaterializeOption{d.Only(a), d.Given(number("r"), 1)}, `Given replaces resource "r", which nothing in location "x" binds`},
		"a source that was never declared":  {[]d.MaterializeOption{d.Only(a), d.Given(undeclared, 1)}, `Given is to replace a source that was never declared`},
		"a required config":                 {[]d.MaterializeOption{d.Only(strict)}, `"max" is required and has no default`},
		"config of another asset":           {[]d.MaterializeOption{d.Only(a), d.RunConfig(`{"assets":{"strict":{"max":1}}}`)}, `config is given for "strict", which is not in the selection`},
		"config that is no JSON":            {[]d.MaterializeOption{d.Only(a), d.RunConfig(`{`)}, `unexpected end of JSON input`},
		"an option that is nil":             {[]d.MaterializeOption{nil}, `Materialize is given a nil option: leave it out`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := d.Materialize(t.Context(), definitions, test.options...)
			require.ErrorContains(t, run.Err(), test.want)
			require.Empty(t, run.Materialized())
			_, err := a.In(run)
			require.ErrorContains(t, err, `asset "a" has no value`)
		})
	}
	run := d.Materialize(t.Context(), d.New("x", constant("a b")))
	var problems d.ProblemList
	require.ErrorAs(t, run.Err(), &problems)
}

func TestAssetOfNothing(t *testing.T) {
	t.Parallel()
	var sent strings.Builder
	a := constant("a")
	mail := d.Asset("mail", d.Do1(func(_ d.Context, n int) error { fmt.Fprint(&sent, "sent ", n); return nil }, a))
	after := d.Asset("after", d.Bind1(func(_ d.Context, _ d.Nothing) (string, error) { return sent.String(), nil }, mail))
	run := d.Materialize(t.Context(), d.New("x", a, mail, after))
	require.NoError(t, run.Err())
	_, err := mail.In(run)
	require.NoError(t, err)
	got, err := after.In(run)
	require.NoError(t, err)
	require.Equal(t, "sent 1", got)
}

func TestValuesOfInterfaceTypes(t *testing.T) {
	t.Parallel()
	a := d.Asset("a", d.Bind0(func(d.Context) (error, error) { return nil, nil }))
	b := d.Asset("b", d.Bind1(func(_ d.Context, err error) (bool, error) { return err == nil, nil }, a))
	run := d.Materialize(t.Context(), d.New("x", a, b))
	require.NoError(t, run.Err())
	got, err := b.In(run)
	require.NoError(t, err)
	require.True(t, got)
}

func TestEightParameters(t *testing.T) {
	t.Parallel()
	n := func(i int) *d.AssetOf[int] {
		return d.Asset(fmt.Sprintf("n%d", i), d.Bind0(func(d.Context) (int, error) { return i, nil }))
	}
	n1, n2, n3, n4, n5, n6, n7, n8 := n(1), n(2), n(3), n(4), n(5), n(6), n(7), n(8)
	digits := d.Asset("digits", d.Bind8(func(_ d.Context, a, b, c, e, f, g, h, i int) (string, error) {
		return fmt.Sprint(a, b, c, e, f, g, h, i), nil
	}, n1, n2, n3, n4, n5, n6, n7, n8))
	run := d.Materialize(t.Context(), d.New("x", n1, n2, n3, n4, n5, n6, n7, n8, digits))
	require.NoError(t, run.Err())
	got, err := digits.In(run)
	require.NoError(t, err)
	require.Equal(t, "1 2 3 4 5 6 7 8", got)
}
