package definitions_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

func total(_ d.Context, n []int) (int, error)       { return addUp(n), nil }
func nothing(d.Context) (*int, error)               { return nil, nil }
func show(_ d.Context, n []int) (string, error)     { return fmt.Sprint(n), nil }
func fail(d.Context) (int, error)                   { return 0, errors.New("no such file") }
func double(_ d.Context, n int) (int, error)        { return 2 * n, nil }
func act(d.Context, int) error                      { return nil }
func keyed(_ d.Context, key string) (string, error) { return key, nil }

func addUp(numbers []int) int {
	sum := 0
	for _, n := range numbers {
		sum += n
	}
	return sum
}

// fanOf is an op that gives 1, 2, 3 … under these keys.
func fanOf(name string, keys ...string) *d.Fan[int] {
	return d.FanOut(name, d.Bind0(func(d.Context) ([]d.Keyed[int], error) {
		elements := make([]d.Keyed[int], len(keys))
		for i, key := range keys {
			elements[i] = d.Keyed[int]{Key: key, Value: i + 1}
		}
		return elements, nil
	}))
}

// doubled maps a fan by an op.
func doubled(name string, in *d.Fan[int], opts ...d.OpOption) *d.Fan[int] {
	return d.Map(in, func(n *d.Value[int]) *d.Value[int] { return d.Op(name, d.Bind1(double, n), opts...) })
}

// runOf runs a job of these results.
func runOf(t *testing.T, results ...d.AnyValue) *d.Result {
	t.Helper()
	job := d.OpJob("job", results)
	return d.RunJob(t.Context(), d.New("x", job), job)
}

// readable is a handle of an asset, a value or a fan.
type readable[T any] interface {
	In(r *d.Result) (T, error)
}

// valueOf reads a value that is there.
func valueOf[T any](t *testing.T, r *d.Result, of readable[T]) T {
	t.Helper()
	value, err := of.In(r)
	require.NoError(t, err)
	return value
}

func TestOpsRunOnceWhatTheyNeedHasRun(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	first := d.Op("first", d.Bind0(func(d.Context) (int, error) { return int(calls.Add(1)), nil }))
	left, right := d.Op("left", d.Bind1(double, first)), d.Op("right", d.Bind1(plusOne, first))
	both := d.Op("both", d.Bind1(show, d.All(right, left)))
	run := runOf(t, both)
	require.NoError(t, run.Err())
	require.Equal(t, "[2 2]", valueOf(t, run, both))
	require.EqualValues(t, 1, calls.Load())
	require.Equal(t, 2, valueOf(t, run, left))
}

func TestNothingNotEmittedIsSkippedAndOnlyThat(t *testing.T) {
	t.Parallel()
	branch := d.Maybe("branch", d.Bind0(nothing))
	taken := d.Maybe("taken", d.Bind0(func(d.Context) (*int, error) { n := 5; return &n, nil }))
	below := d.Op("below", d.Bind1(plusOne, branch))
	further := d.Op("further", d.Bind1(plusOne, below))
	some := d.Op("some", d.Bind1(show, d.All(branch, taken)))
	none := d.Op("none", d.Bind1(show, d.All(branch, below)))
	instead := d.Op("instead", d.Bind1(plusOne, d.OrElse(branch, 40)))
	given := d.Op("given", d.Bind1(plusOne, d.OrElse(taken, 40)))
	always := d.Op("always", d.Bind1(show, d.All(branch, d.Literal(9))))
	filled := d.Op("filled", d.Bind1(show, d.All(d.OrElse(branch, 7), below)))
	after := d.Op("after", d.Bind0(one), d.After(below))
	run := runOf(t, further, some, none, instead, given, always, filled, after)
	require.NoError(t, run.Err(), "what is skipped fails nothing")
	require.Equal(t, wire.StepSuccess, run.OpStatus(branch))
	for _, skipped := range []d.AnyValue{below, further, none} {
		require.Equal(t, wire.StepSkipped, run.OpStatus(skipped), skipped.Name())
	}
	require.Equal(t, "[5]", valueOf(t, run, some), "what is missing is left out")
	require.Equal(t, 41, valueOf(t, run, instead))
	require.Equal(t, 6, valueOf(t, run, given))
	require.Equal(t, "[9]", valueOf(t, run, always))
	require.Equal(t, "[7]", valueOf(t, run, filled))
	_, err := branch.In(run)
	require.EqualError(t, err, `op "branch" has no value: it gave nothing`)
	_, err = below.In(run)
	require.EqualError(t, err, `op "below" has no value: its step ended as SKIPPED`)
}

func TestSkipIsDecidedBeforeFailure(t *testing.T) {
	t.Parallel()
	branch, bad := d.Maybe("branch", d.Bind0(nothing)), d.Op("bad", d.Bind0(fail))
	skipped := d.Op("skipped", d.Bind2(plusTwo, branch, bad))
	abandoned := d.Op("abandoned", d.Bind1(show, d.All(branch, bad)))
	further := d.Op("further", d.Bind1(func(_ d.Context, text string) (string, error) { return text, nil }, abandoned))
	fallback := d.Op("fallback", d.Bind1(plusOne, d.OrElse(bad, 1)))
	run := runOf(t, skipped, further, fallback)
	require.EqualError(t, run.Err(), "bad failed (attempt 1): no such file")
	require.Equal(t, wire.StepSkipped, run.OpStatus(skipped), "one input of which nothing was emitted suffices")
	require.Equal(t, wire.StepUpstreamFailed, run.OpStatus(abandoned))
	require.Equal(t, wire.StepUpstreamFailed, run.OpStatus(further))
	require.Equal(t, wire.StepUpstreamFailed, run.OpStatus(fallback), "a fallback is for what was not emitted, not for what failed")
}

func TestOrderWithoutValues(t *testing.T) {
	t.Parallel()
	var done []string
	step := func(name string) d.Compute[d.Nothing] {
		return d.Do0(func(d.Context) error { done = append(done, name); return nil })
	}
	first := d.Op("first", step("first"))
	second := d.Op("second", step("second"), d.After(first))
	third := d.Op("third", step("third"), d.After(second))
	run := runOf(t, third)
	require.NoError(t, run.Err())
	require.Equal(t, []string{"first", "second", "third"}, done)
	require.Equal(t, d.Nothing{}, valueOf(t, run, third))
}

func TestFanIsMappedAndCollectedInTheOrderOfEmission(t *testing.T) {
	t.Parallel()
	pages := fanOf("pages", "c", "a", "b")
	counts := doubled("count", pages)
	more := doubled("more", counts)
	sums := d.Op("sums", d.Bind1(show, d.Collect(more)))
	raw := d.Op("raw", d.Bind1(show, d.Collect(pages)))
	run := runOf(t, sums, raw)
	require.NoError(t, run.Err())
	require.Equal(t, "[4 8 12]", valueOf(t, run, sums))
	require.Equal(t, "[1 2 3]", valueOf(t, run, raw))
	require.Equal(t, map[string]int{"c": 2, "a": 4, "b": 6}, valueOf(t, run, counts))
	require.Equal(t, map[string]int{"c": 1, "a": 2, "b": 3}, valueOf(t, run, pages))
	require.Equal(t, []int{4, 8, 12}, valueOf(t, run, d.Collect(more)))
	require.Equal(t, wire.StepSuccess, run.StepStatus("more[b]"))
	require.Empty(t, run.StepStatus("more[d]"))
}

func TestMappedOpsBindWhatIsTheSameForAll(t *testing.T) {
	t.Parallel()
	base := d.Op("base", d.Bind0(func(d.Context) (int, error) { return 10, nil }))
	pages := fanOf("pages", "a", "b")
	var mapped *d.Value[string]
	named := d.Map(pages, func(n *d.Value[int]) *d.Value[string] {
		cleaned := d.Op("clean", d.Bind2(plusTwo, n, base))
		mapped = d.Op("name", d.Bind4(func(_ d.Context, key string, n, whole int, all []int) (string, error) {
			return fmt.Sprintf("%s %d %d %d", key, n, whole, len(all)), nil
		}, d.MappingKey, cleaned, n, d.Collect(pages)))
		return mapped
	})
	run := runOf(t, named)
	require.NoError(t, run.Err())
	require.Equal(t, map[string]string{"a": "a 11 1 2", "b": "b 12 2 2"}, valueOf(t, run, named))
	_, err := mapped.In(run)
	require.EqualError(t, err, `op "name" runs once for each element of "pages": read the fan that Map returns`)
}

func TestEmptyFan(t *testing.T) {
	t.Parallel()
	pages := fanOf("pages")
	counts := doubled("count", pages)
	sum := d.Op("sum", d.Bind1(show, d.Collect(counts)))
	run := runOf(t, sum)
	require.NoError(t, run.Err())
	require.Equal(t, "[]", valueOf(t, run, sum))
	require.Empty(t, valueOf(t, run, counts))
}

func TestSkippedFanIsCollectedAsEmpty(t *testing.T) {
	t.Parallel()
	branch := d.Maybe("branch", d.Bind0(nothing))
	pages := d.FanOut("pages", d.Bind1(func(d.Context, int) ([]d.Keyed[int], error) { return nil, nil }, branch))
	sum := d.Op("sum", d.Bind1(show, d.Collect(doubled("count", pages))))
	run := runOf(t, sum)
	require.NoError(t, run.Err())
	require.Equal(t, wire.StepSkipped, run.OpStatus(pages))
	require.Equal(t, "[]", valueOf(t, run, sum))
}

func TestWhatIsNotEmittedInAMapIsLeftOut(t *testing.T) {
	t.Parallel()
	pages := fanOf("pages", "a", "b", "c")
	keep := func(name string, least int) *d.Fan[int] {
		return d.Map(pages, func(n *d.Value[int]) *d.Value[int] {
			return d.Maybe(name, d.Bind1(func(_ d.Context, n int) (*int, error) {
				if n < least {
					return nil, nil
				}
				return &n, nil
			}, n))
		})
	}
	some, none := keep("some", 2), keep("none", 9)
	further := doubled("further", some)
	sum := d.Op("sum", d.Bind1(show, d.Collect(some)))
	sumFurther := d.Op("sum_further", d.Bind1(show, d.Collect(further)))
	sumNone := d.Op("sum_none", d.Bind1(show, d.Collect(none)))
	instead := d.Op("instead", d.Bind1(show, d.OrElse[[]int](d.Collect(none), []int{0})))
	run := runOf(t, sum, sumFurther, sumNone, instead)
	require.NoError(t, run.Err())
	require.Equal(t, "[2 3]", valueOf(t, run, sum))
	require.Equal(t, "[4 6]", valueOf(t, run, sumFurther))
	require.Equal(t, wire.StepSkipped, run.StepStatus("further[a]"))
	require.Equal(t, wire.StepSkipped, run.OpStatus(sumNone), "there were elements, and none was emitted")
	require.Equal(t, "[0]", valueOf(t, run, instead))
	require.Equal(t, map[string]int{"b": 2, "c": 3}, valueOf(t, run, some))
}

func TestFailureInAMapStopsItsKeyAndWhatCollects(t *testing.T) {
	t.Parallel()
	pages := fanOf("pages", "a", "b")
	checked := d.Map(pages, func(n *d.Value[int]) *d.Value[int] {
		return d.Op("check", d.Bind1(func(_ d.Context, n int) (int, error) {
			if n == 2 {
				return 0, errors.New("bad page")
			}
			return n, nil
		}, n))
	})
	further := doubled("further", checked)
	sum := d.Op("sum", d.Bind1(show, d.Collect(further)))
	run := runOf(t, sum)
	require.EqualError(t, run.Err(), "check[b] failed (attempt 1): bad page")
	require.Equal(t, wire.StepSuccess, run.StepStatus("further[a]"))
	require.Equal(t, wire.StepUpstreamFailed, run.StepStatus("further[b]"))
	require.Equal(t, wire.StepUpstreamFailed, run.OpStatus(sum))
	require.Equal(t, map[string]int{"a": 1}, valueOf(t, run, checked))
}

func TestFailureOfTheFanAbandonsWhatIsBehindIt(t *testing.T) {
	t.Parallel()
	pages := d.FanOut("pages", d.Bind0(func(d.Context) ([]d.Keyed[int], error) { return nil, errors.New("no such file") }))
	sum := d.Op("sum", d.Bind1(show, d.Collect(doubled("count", pages))))
	run := runOf(t, sum)
	require.EqualError(t, run.Err(), "pages failed (attempt 1): no such file")
	require.Equal(t, wire.StepUpstreamFailed, run.OpStatus(sum))
	_, err := pages.In(run)
	require.EqualError(t, err, `op "pages" has no values: pages failed (attempt 1): no such file`)
}

func TestKeysOfAFan(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, says string
		keys       []string
	}{
		{"empty", `an element under key ""`, []string{""}},
		{"question mark", `an element under key "?"`, []string{"?"}},
		{"dot", `an element under key "foo.baz"`, []string{"a", "foo.baz"}},
		{"twice", `an element under key "a": each key is there once`, []string{"a", "b", "a"}},
		{"long", "a key has at most 100 characters", []string{strings.Repeat("k", 101)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sum := d.Op("sum", d.Bind1(show, d.Collect(fanOf("pages", test.keys...))))
			run := runOf(t, sum)
			require.ErrorContains(t, run.Err(), `op "pages" returned `)
			require.ErrorContains(t, run.Err(), test.says)
			require.Equal(t, wire.StepUpstreamFailed, run.OpStatus(sum))
		})
	}
}

func TestFanBehindACollect(t *testing.T) {
	t.Parallel()
	first := doubled("first", fanOf("pages", "a", "b"))
	again := d.FanOut("again", d.Bind1(func(_ d.Context, numbers []int) ([]d.Keyed[int], error) {
		var out []d.Keyed[int]
		for _, n := range numbers {
			out = append(out, d.Keyed[int]{Key: fmt.Sprintf("n%d", n), Value: n})
		}
		return out, nil
	}, d.Collect(first)))
	sum := d.Op("sum", d.Bind1(show, d.Collect(doubled("second", again))))
	run := runOf(t, sum)
	require.NoError(t, run.Err())
	require.Equal(t, "[4 8]", valueOf(t, run, sum))
	require.Equal(t, wire.StepSuccess, run.StepStatus("second[n4]"))
}

func TestNestedGraphsNameTheirSteps(t *testing.T) {
	t.Parallel()
	outside := d.Op("outside", d.Bind0(one))
	result := d.Graph("outer", outside, func(in *d.Value[int]) *d.Value[[]int] {
		before := d.Op("before", d.Bind1(plusOne, in))
		return d.GraphOf("etl", func() *d.Value[[]int] {
			pages := d.FanOut("pages", d.Bind1(func(_ d.Context, n int) ([]d.Keyed[int], error) {
				return []d.Keyed[int]{{Key: "page_3", Value: n}}, nil
			}, before))
			return d.Collect(d.Map(pages, func(n *d.Value[int]) *d.Value[int] {
				return d.Graph("each", n, func(n *d.Value[int]) *d.Value[int] {
					return d.Op("clean", d.Bind2(plusTwo, n, outside))
				})
			}))
		})
	})
	last := d.Op("last", d.Bind1(show, result))
	run := runOf(t, last)
	require.NoError(t, run.Err())
	require.Equal(t, "[3]", valueOf(t, run, last))
	for _, key := range []string{"outside", "outer.before", "outer.etl.pages", "outer.etl.each.clean[page_3]", "last"} {
		require.Equal(t, wire.StepSuccess, run.StepStatus(key), key)
	}
}

func TestGraphAssetIsStoredByTheOpThatGivesIt(t *testing.T) {
	t.Parallel()
	orders := constant("orders")
	pages := d.FanOut("pages", d.Bind1(func(_ d.Context, n int) ([]d.Keyed[int], error) {
		return []d.Keyed[int]{{Key: "a", Value: n}, {Key: "b", Value: n + 1}}, nil
	}, orders))
	sum := d.Op("total", d.Bind1(total, d.Collect(doubled("count", pages))))
	told := d.Op("tell", d.Do1(act, sum))
	summary := d.GraphAsset("summary", sum, d.Group("reports"))
	below := d.Asset("below", d.Bind1(plusOne, summary))
	job := d.OpJob("audit", []d.AnyValue{told})
	location := d.New("x", orders, summary, below, job)

	run := d.Materialize(t.Context(), location, d.Only(below))
	require.NoError(t, run.Err())
	require.Equal(t, []string{"below", "orders", "summary"}, run.Materialized())
	require.Equal(t, 7, valueOf(t, run, below))
	require.Equal(t, 6, valueOf(t, run, sum), "the op's value is the asset's")
	require.Equal(t, wire.StepSuccess, run.StepStatus("summary.count[b]"))
	require.Empty(t, run.StepStatus("summary.tell"), "the asset does not hang on it")

	run = d.RunJob(t.Context(), location, job, d.Given(orders, 5))
	require.NoError(t, run.Err())
	require.Empty(t, run.Materialized(), "ops make no asset")
	require.Equal(t, 22, valueOf(t, run, sum))
	require.Equal(t, wire.StepSuccess, run.StepStatus("count[a]"))

	run = d.RunJob(t.Context(), location, job)
	require.ErrorContains(t, run.Err(), `op "pages" loads asset "orders"`)
	require.ErrorContains(t, run.Err(), `which job "audit" does not make: give it with Given`)
}

func TestGraphAssetOfABranchIsOptional(t *testing.T) {
	t.Parallel()
	rare := d.GraphAsset("rare", d.Maybe("look", d.Bind0(nothing)))
	below := d.Asset("below", d.Bind1(plusOne, rare))
	run := d.Materialize(t.Context(), d.New("x", rare, below))
	require.NoError(t, run.Err())
	require.Empty(t, run.Materialized())
	require.Equal(t, wire.StepSuccess, run.Status(rare))
	require.Equal(t, wire.StepSkipped, run.Status(below))
}

func TestGraphMultiAssetMakesSeveral(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	read := d.Op("read", d.Bind0(func(d.Context) (int, error) { return int(calls.Add(1)), nil }))
	first, second, third := d.Output[int]("first"), d.Output[string]("second"), d.Output[d.Nothing]("third")
	half := d.Op("half", d.Bind1(plusOne, read))
	text := d.Op("text", d.Bind2(func(_ d.Context, a, b int) (string, error) { return fmt.Sprint(a, b), nil }, half, read))
	done := d.Op("done", d.Do1(act, half))
	parts := d.GraphMultiAsset("parts", d.GraphOuts{first.From(half), second.From(text), third.From(done)}, d.Group("g"))
	location := d.New("x", parts)
	run := d.Materialize(t.Context(), location)
	require.NoError(t, run.Err())
	require.Equal(t, []string{"first", "second", "third"}, run.Materialized())
	require.Equal(t, 2, valueOf(t, run, first))
	require.Equal(t, "2 1", valueOf(t, run, second))
	require.EqualValues(t, 1, calls.Load())

	run = d.Materialize(t.Context(), location, d.Only(first))
	require.NoError(t, run.Err())
	require.Equal(t, []string{"first"}, run.Materialized(), "only what the output hangs on runs")
}

func TestOptionsOfAGraphAssetAreForItsOps(t *testing.T) {
	t.Parallel()
	before := constant("before")
	first := d.Op("first", d.Bind0(one), d.Queue("own"), d.Description("reads"), d.Tags{"api": "slow"})
	second := d.Op("second", d.Bind1(plusOne, first))
	asset := d.GraphAsset("a", second, d.Queue("large"), d.Pool("api"), d.After(before))
	snapshot, err := d.New("x", before, asset).Snapshot()
	require.NoError(t, err)
	require.Equal(t, []string{"a.first", "a.second", "before"}, []string{snapshot.Computes[0].Name, snapshot.Computes[1].Name, snapshot.Computes[2].Name})
	one, two := snapshot.Computes[0], snapshot.Computes[1]
	require.Equal(t, "own", one.Queue)
	require.Equal(t, "large", two.Queue)
	require.Equal(t, "api", one.Pool)
	require.Equal(t, "reads", one.Description)
	require.Equal(t, map[string]string{"api": "slow"}, one.Tags)
	require.Equal(t, []string{"before"}, one.Inputs[0].Assets)
	require.Len(t, two.Inputs, 1, "what needs an op of the graph comes after it anyhow")
	require.Equal(t, []string{"a"}, two.Outputs)
	require.Empty(t, one.Outputs)
}

func TestRetriesAreEachMappedStepsOwn(t *testing.T) {
	t.Parallel()
	var attempts [2]atomic.Int64
	pages := fanOf("pages", "a", "b")
	counts := d.Map(pages, func(n *d.Value[int]) *d.Value[int] {
		return d.Op("count", d.Bind1(func(ctx d.Context, n int) (int, error) {
			attempts[n-1].Add(1)
			if n == 2 && ctx.Run().Attempt < 3 {
				return 0, errors.New("busy")
			}
			return n, nil
		}, n), d.Retries{Max: 2})
	})
	run := runOf(t, counts)
	require.NoError(t, run.Err())
	require.EqualValues(t, 1, attempts[0].Load())
	require.EqualValues(t, 3, attempts[1].Load())
}

func TestSnapshotOfOpsDoesNotDependOnTheOrderOfDeclarations(t *testing.T) {
	t.Parallel()
	sum := d.Op("sum", d.Bind1(total, d.Collect(doubled("count", fanOf("pages", "a")))))
	other := d.Op("other", d.Bind1(plusOne, sum))
	asset := d.GraphAsset("asset", sum)
	one, two := d.OpJob("one", []d.AnyValue{sum, other}), d.OpJob("two", []d.AnyValue{sum})
	list := []d.Definition{asset, one, two}
	want := hashOf(t, d.New("x", list...))
	slices.Reverse(list)
	require.Equal(t, want, hashOf(t, d.New("x", list...)))
	require.Equal(t, want, hashOf(t, d.Merge("x", d.New("a", asset, one), d.New("b", two, one))))
	snapshot, err := d.New("x", list...).Snapshot()
	require.NoError(t, err)
	var names []string
	for _, c := range snapshot.Computes {
		names = append(names, c.Name)
	}
	require.Equal(t, []string{"asset.count", "asset.pages", "asset.sum", "count", "other", "pages", "sum"}, names)
	require.Equal(t, []string{"count", "other", "pages", "sum"}, snapshot.Jobs[0].Ops)
	require.Equal(t, []string{"count", "pages", "sum"}, snapshot.Jobs[1].Ops)
	require.Equal(t, "pages", snapshot.Computes[3].Over)
}

func TestMappedOpsThatOnlyActAreWaitedFor(t *testing.T) {
	t.Parallel()
	var acted atomic.Int64
	pages := fanOf("pages", "a", "b", "c")
	sent := d.Map(pages, func(n *d.Value[int]) *d.Value[d.Nothing] {
		first := d.Op("first", d.Do1(func(d.Context, int) error { acted.Add(1); return nil }, n))
		return d.Op("second", d.Do2(func(d.Context, int, d.Nothing) error { acted.Add(10); return nil }, n, first))
	})
	bound := d.Op("bound", d.Bind1(func(_ d.Context, all []d.Nothing) (int64, error) { return acted.Load() + int64(len(all)), nil }, d.Collect(sent)))
	ordered := d.Op("ordered", d.Bind0(func(d.Context) (int64, error) { return acted.Load(), nil }), d.After(sent))
	run := runOf(t, bound, ordered)
	require.NoError(t, run.Err())
	require.EqualValues(t, 33, valueOf(t, run, bound))
	require.EqualValues(t, 33, valueOf(t, run, ordered))
	require.Empty(t, valueOf(t, run, sent), "they gave nothing")
}

func TestFanInOfAMappedOp(t *testing.T) {
	t.Parallel()
	whole, pages := d.Op("whole", d.Bind0(one)), fanOf("pages", "a", "b")
	even := func(_ d.Context, n int) (*int, error) {
		if n%2 != 0 {
			return nil, nil
		}
		return &n, nil
	}
	texts := d.Map(pages, func(n *d.Value[int]) *d.Value[string] {
		kept := d.Maybe("even", d.Bind1(even, n))
		return d.Op("show", d.Bind1(show, d.All(whole, n, kept)), d.After(d.Op("before", d.Do1(act, n))))
	})
	only := d.Map(pages, func(n *d.Value[int]) *d.Value[string] {
		return d.Op("only", d.Bind1(show, d.All(d.Maybe("keep", d.Bind1(even, n)))))
	})
	run := runOf(t, texts, only)
	require.NoError(t, run.Err())
	require.Equal(t, map[string]string{"a": "[1 1]", "b": "[1 2 2]"}, valueOf(t, run, texts))
	require.Equal(t, map[string]string{"b": "[2]"}, valueOf(t, run, only))
	require.Equal(t, wire.StepSkipped, run.StepStatus("only[a]"))
	require.Equal(t, wire.StepSuccess, run.StepStatus("before[a]"))
}
