package definitions_test

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// slots is an IO manager with its values by slot.
type slots struct {
	mutex  sync.Mutex
	values map[d.Slot]any
	asked  []d.Slot
}

func (*slots) Accepts(reflect.Type) error { return nil }

func (s *slots) Stage(_ d.Context, at d.Slot, value any) (d.Staged, error) {
	s.values[at] = value
	return stored{newStore(), at.String(), value}, nil
}

func (s *slots) Load(_ d.Context, at d.Slot, into any) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.asked = append(s.asked, at)
	at.Location = ""
	value, ok := s.values[at]
	if !ok {
		return d.ErrNotStored
	}
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(value))
	return nil
}

func TestDefaultStorageKeepsTheValuesOfOps(t *testing.T) {
	t.Parallel()
	numbers := d.Op("numbers", d.Bind0(one))
	text := d.Op("text", d.Bind1(show, d.All(numbers)))
	texts := d.FanOut("texts", d.Bind1(func(d.Context, string) ([]d.Keyed[string], error) { return nil, nil }, text))
	done := d.Op("done", d.Do1(func(d.Context, []string) error { return nil }, d.Collect(texts)))
	definitions := d.New("x", d.OpJob("job", []d.AnyValue{done}))
	_, err := d.NewRuntime(definitions, d.Environment{Storage: intsOnly{}})
	var problems d.ProblemList
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems, 2, "there is nothing to store for what only acts")
	require.Equal(t, `op "text"`, problems[0].Object)
	require.Equal(t, `op "texts"`, problems[1].Object)
	require.Equal(t, "the default storage does not keep a string: only integers, not string", problems[1].Message)

	_, err = d.NewRuntime(definitions, d.Environment{})
	require.ErrorContains(t, err, `op "numbers"`)
	require.ErrorContains(t, err, "no IO manager keeps its value")
}

func TestValuesOfOpsLieWhereStoredBySays(t *testing.T) {
	t.Parallel()
	own := &slots{values: map[d.Slot]any{}}
	manager := d.Resource("own", d.Bind0(func(d.Context) (*slots, error) { return own, nil }), d.NoClose)
	pages := d.FanOut("pages", d.Bind0(func(d.Context) ([]d.Keyed[int], error) { return nil, nil }), d.StoredBy(manager))
	counts := doubled("count", pages, d.StoredBy(manager))
	sum := d.Op("sum", d.Bind1(show, d.Collect(counts)), d.StoredBy(manager))
	job := d.OpJob("job", []d.AnyValue{sum})
	runtime := runtimeOf(t, manager, job)
	for _, c := range runtime.Snapshot().Computes {
		require.Equal(t, []string{"own"}, c.Resources, c.Name)
	}

	a := attempt(t.Context(), "", nil)
	a.Plan = plan.Step{Key: "sum", Type: "sum", Op: true}
	staged, err := codeOf(t, runtime, "sum").Stage(a, step.Slot{Run: "r1", Step: "sum", Token: 7}, "text")
	require.NoError(t, err)
	require.Equal(t, "store:op sum of run r1", staged.Location())
	_, err = codeOf(t, runtime, "sum").Stage(a, step.Slot{Asset: "sum"}, "text")
	require.ErrorContains(t, err, "does not declare it")
	_, err = codeOf(t, runtime, "sum").Resume(a, step.Slot{Run: "r1", Step: "sum", Token: 7}, "")
	require.ErrorIs(t, err, step.ErrNotResumable)

	for i, key := range []string{"b", "a"} {
		own.values[d.Slot{Run: "r0", Step: "pages", Key: key, Token: 3}] = i + 1
		own.values[d.Slot{Run: "r0", Step: "count[" + key + "]", Token: 4}] = 10 * (i + 1)
	}
	value := func(step, key string, token int64) wire.StepValue {
		return wire.StepValue{Run: "r0", Step: step, Key: key, Token: token, Location: "there"}
	}

	a.Plan, a.MappingKey = plan.Step{Key: "count", Type: "count", Op: true, Over: "pages"}, "a"
	a.Values = []wire.StepValue{value("pages", "a", 3)}
	outputs, err := codeOf(t, runtime, "count").Compute(a)
	require.NoError(t, err)
	require.Equal(t, []step.Output{{Value: 4}}, outputs)
	require.Equal(t, "there", own.asked[0].Location)

	a.Plan, a.MappingKey = plan.Step{Key: "sum", Type: "sum", Op: true}, ""
	a.Values = []wire.StepValue{value("count[b]", "", 4), value("count[a]", "", 4)}
	outputs, err = codeOf(t, runtime, "sum").Compute(a)
	require.NoError(t, err)
	require.Equal(t, "[10 20]", outputs[0].Value)

	a.Values = []wire.StepValue{value("count[b]", "", 4), value("count[a]", "", 5)}
	_, err = codeOf(t, runtime, "sum").Compute(a)
	require.ErrorIs(t, err, d.ErrNotStored)
	require.ErrorContains(t, err, `load the value of op "count[a]"`)
	a.Plan = plan.Step{Key: "count", Type: "count", Op: true, Over: "pages"}
	a.Values = nil
	_, err = codeOf(t, runtime, "count").Compute(a)
	require.EqualError(t, err, `load the value of op "pages": this run has stored none`)
}

func TestWideFansAndLongChainsInProcess(t *testing.T) {
	t.Parallel()
	wide := d.FanOut("wide", d.Bind0(func(d.Context) ([]d.Keyed[int], error) {
		elements := make([]d.Keyed[int], 1000)
		for i := range elements {
			elements[i] = d.Keyed[int]{Key: fmt.Sprintf("k%d", i), Value: i}
		}
		return elements, nil
	}))
	sum := d.Op("sum", d.Bind1(total, d.Collect(doubled("double", wide))))
	last := sum
	for i := range 300 {
		last = d.Op(fmt.Sprintf("link_%d", i), d.Bind1(plusOne, last))
	}
	run := runOf(t, last)
	require.NoError(t, run.Err())
	require.Equal(t, 999_000+300, valueOf(t, run, last))
}

func TestPanicOfALoadFailsTheStep(t *testing.T) {
	t.Parallel()
	pages := fanOf("pages", "a")
	broken := d.View(d.Collect(pages), func([]int) int { panic("no view") })
	last := d.Op("last", d.Bind1(plusOne, broken))
	run := runOf(t, last)
	require.ErrorContains(t, run.Err(), "last failed (attempt 1): panic: no view")
}

func TestAGraphAssetsVersionFollowsFromAllThatItsOpsLoad(t *testing.T) {
	t.Parallel()
	version := func(flights string) string {
		t.Helper()
		source := d.Asset("flights", d.Bind0(one), d.CodeVersion(flights))
		pages := d.FanOut("pages", d.Bind1(func(d.Context, int) ([]d.Keyed[int], error) { return nil, nil }, source))
		summary := d.GraphAsset("summary", d.Op("sum", d.Bind1(total, d.Collect(doubled("double", pages)))), d.CodeVersion("1"))
		result := d.Materialize(t.Context(), d.New("x", source, summary))
		require.NoError(t, result.Err())
		return result.DataVersion(summary)
	}
	first, again := version("1"), version("1")
	require.Equal(t, first, again)
	require.NotEqual(t, first, version("2"), "although the fan that loads it is empty")
}

func TestOrElseTakesThePlaceOfAFanInOfNothing(t *testing.T) {
	t.Parallel()
	maybe := func(name string, value *int) *d.Value[int] {
		return d.Maybe(name, d.Bind0(func(d.Context) (*int, error) { return value, nil }))
	}
	seven := 7
	none, other, some := maybe("none", nil), maybe("other", nil), maybe("some", &seven)
	fallback := []int{40, 2}
	empty := d.Op("empty", d.Bind1(total, d.OrElse(d.All(none, other), fallback)))
	partly := d.Op("partly", d.Bind1(total, d.OrElse(d.All(none, some), fallback)))
	job := d.OpJob("job", []d.AnyValue{empty, partly})
	run := d.RunJob(t.Context(), d.New("x", job), job)
	require.NoError(t, run.Err())
	sum, err := empty.In(run)
	require.NoError(t, err)
	require.Equal(t, 42, sum)
	sum, err = partly.In(run)
	require.NoError(t, err)
	require.Equal(t, 7, sum)
}
