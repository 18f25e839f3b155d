package definitions_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// positive is a type with all that one can have.
var positive = d.Type[int]{
	Name: "positive", Description: "above 0", Metadata: []d.Metadatum{d.Text("owner", "team:data")},
	Check: func(n int) error {
		if n <= 0 {
			return d.WithMetadata(errors.New("it is too small"), d.Int("by", 1-n))
		}
		return nil
	},
}

func TestOutputsOfATypeAreCheckedBeforeTheyAreStored(t *testing.T) {
	t.Parallel()
	var n, calls atomic.Int32
	give := func(d.Context) (int, error) { calls.Add(1); return int(n.Load()), nil }
	maybe := func(d.Context) (*int, error) { value := int(n.Load()); return &value, nil }
	a := d.Asset("a", d.Bind0(give), d.OfType(positive), d.Retries{Max: 1})
	optional := d.OptionalAsset("optional", d.Bind0(maybe), d.OfType(positive))
	out, other := d.Output[int]("out", d.OfType(positive)), d.Output[int]("other")
	multi := d.MultiAsset("multi", d.Outs{out, other}, d.Bind0(func(d.Context) (d.Outputs, error) {
		return d.Outputs{out.Of(int(n.Load())), other.Of(-1)}, nil
	}))
	graph := d.GraphAsset("graph", d.Op("result", d.Bind0(give)), d.OfType(positive))
	location := d.New("x", a, optional, multi, graph)
	run := d.Materialize(t.Context(), location)
	require.ErrorContains(t, run.Err(), `output "a" is no positive (above 0): it is too small; the value is 0`)
	require.ErrorContains(t, run.Err(), `output "optional" is no positive`)
	require.ErrorContains(t, run.Err(), `output "out" is no positive`)
	require.ErrorContains(t, run.Err(), `output "graph" is no positive`)
	require.Empty(t, run.Materialized())
	require.ElementsMatch(t, []string{"by=1", `owner="team:data"`}, texts(run.FailureMetadata(a)))
	require.Equal(t, int32(3), calls.Load(), "it is a failure of the user's, so it is retried")

	n.Store(1)
	require.NoError(t, d.Materialize(t.Context(), location).Err())
}

func TestValuesOfOpsAreChecked(t *testing.T) {
	t.Parallel()
	minus := func(d.Context) (int, error) { return -3, nil }
	op := d.Op("op", d.Bind0(minus), d.OfType(positive))
	maybe := d.Maybe("maybe", d.Bind0(func(d.Context) (*int, error) { n := -3; return &n, nil }), d.OfType(positive))
	none := d.Maybe("none", d.Bind0(nothing), d.OfType(positive))
	fan := d.FanOut("fan", d.Bind0(func(d.Context) ([]d.Keyed[int], error) {
		return []d.Keyed[int]{{Key: "good", Value: 1}, {Key: "bad", Value: -1}}, nil
	}), d.OfType(positive))
	mapped := d.Map(fanOf("numbers", "a", "b"), func(n *d.Value[int]) *d.Value[int] {
		return d.Op("minus", d.Bind1(func(_ d.Context, n int) (int, error) { return 2 - n, nil }, n), d.OfType(positive))
	})
	run := runOf(t, op, maybe, none, fan, mapped)
	require.ErrorContains(t, run.Err(), `the value of op "op" is no positive`)
	require.ErrorContains(t, run.Err(), `the value of op "maybe" is no positive`)
	require.ErrorContains(t, run.Err(), `element "bad" of op "fan" is no positive`)
	require.NotContains(t, run.Err().Error(), `element "good"`)
	require.ErrorContains(t, run.Err(), `minus[b] failed (attempt 1): the value of op "minus" is no positive`)
	require.NotContains(t, run.Err().Error(), "minus[a] failed")
	require.Equal(t, wire.StepSuccess, run.OpStatus(none), "what is not given is not checked")
}

func TestInputsAreChecked(t *testing.T) {
	t.Parallel()
	called := false
	a := d.Asset("a", d.Bind0(func(d.Context) (int, error) { return -1, nil }))
	b := d.Asset("b", d.Bind1(func(d.Context, int) (int, error) { called = true; return 0, nil }, d.Checked(a, positive)))
	run := d.Materialize(t.Context(), d.New("x", a, b))
	require.ErrorContains(t, run.Err(), `input asset "a" is no positive (above 0): it is too small; the value is -1`)
	require.False(t, called)
	require.Equal(t, wire.StepSuccess, run.Status(a))

	run = d.Materialize(t.Context(), d.New("x", a, b), d.Given(a, 0))
	require.ErrorContains(t, run.Err(), "is no positive", "also what is given")
	require.NoError(t, d.Materialize(t.Context(), d.New("x", a, b), d.Given(a, 1)).Err())

	op := d.Op("op", d.Bind0(func(d.Context) (int, error) { return -1, nil }))
	next := d.Op("next", d.Bind1(double, d.Checked(op, positive)))
	all := d.Op("all", d.Bind1(show, d.Checked(d.Collect(fanOf("fan", "a")), d.Type[[]int]{Name: "pair", Check: func(n []int) error {
		if len(n) != 2 {
			return errors.New("not two")
		}
		return nil
	}})))
	run = runOf(t, next, all)
	require.ErrorContains(t, run.Err(), `input op "op" is no positive`)
	require.ErrorContains(t, run.Err(), `input the Collect of "fan" is no pair: not two; the value is [1]`)
}

func TestCheckedInputIsSkippedWithItsSource(t *testing.T) {
	t.Parallel()
	branch := d.Maybe("branch", d.Bind0(nothing))
	next := d.Op("next", d.Bind1(double, d.Checked(branch, positive)))
	run := runOf(t, next)
	require.NoError(t, run.Err())
	require.Equal(t, wire.StepSkipped, run.OpStatus(next))
}

func TestTypeThatPanicsFailsTheStep(t *testing.T) {
	t.Parallel()
	a := constant("a", d.OfType(d.Type[int]{Name: "odd", Check: func(int) error { panic("out of range") }}))
	require.ErrorContains(t, d.Materialize(t.Context(), d.New("x", a)).Err(), `output "a" is no odd: panic: out of range`)
}

func TestFailuresShowValuesShortened(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	shown := func(a d.Definition) string {
		t.Helper()
		message := d.Materialize(t.Context(), d.New("x", a)).Err().Error()
		_, value, found := strings.Cut(message, "the value is ")
		require.True(t, found, message)
		require.LessOrEqual(t, len(value), 320)
		return value
	}
	require.Equal(t, "[0 0 0] and 999997 more", shown(never(make([]int, 1_000_000))))
	require.Equal(t, "[7]", shown(never([]int{7})))
	require.Equal(t, "3 bytes", shown(never([]byte("abc"))))
	require.Equal(t, `"abc"`, shown(never("abc")))
	require.True(t, strings.HasPrefix(shown(never(long)), `"xxx`))
	require.True(t, strings.HasSuffix(shown(never([]string{long})), "x…"))
	require.Equal(t, "a map[int]int with 4 entries", shown(never(map[int]int{1: 1, 2: 2, 3: 3, 4: 4})))
	require.Equal(t, "{A:1 B:two}", shown(never(struct {
		A int
		B string
	}{1, "two"})))
	require.Equal(t, "nil", shown(never[any](nil)))
}

// never is an asset whose value passes no check.
func never[T any](value T) *d.AssetOf[T] {
	return d.Asset("a", d.Bind0(func(d.Context) (T, error) { return value, nil }),
		d.OfType(d.Type[T]{Name: "never", Check: func(T) error { return errors.New("no") }}))
}

func TestTypesThatDoNotFitAreProblems(t *testing.T) {
	t.Parallel()
	text := d.Type[string]{Name: "text", Check: func(string) error { return nil }}
	a := constant("a", d.OfType(text))
	b := constant("b", d.OfType(d.Type[int]{Name: "nothing"}), d.OfType(d.Type[int]{Check: positive.Check, Metadata: []d.Metadatum{{Label: "l"}}}))
	out := d.Output[int]("out", d.OfType(text))
	multi := d.MultiAsset("multi", d.Outs{out}, d.Bind0(func(d.Context) (d.Outputs, error) { return nil, nil }))
	op := d.FanOut("op", d.Bind0(func(d.Context) ([]d.Keyed[int], error) { return nil, nil }), d.OfType(text))
	c := d.Asset("c", d.Bind1(plusOne, d.Checked(a, d.Type[int]{Name: "none"})))
	problems := strings.Join(problemsOf(t, d.New("x", a, b, c, multi, d.OpJob("job", []d.AnyValue{op}))), "\n")
	for _, want := range []string{
		`asset "a" (definitions/validate_test.go:N), type: the Type "text" checks a string, and its value is a int`,
		`asset "b" (definitions/validate_test.go:N), type: the option OfType is given twice`,
		`asset "b" (definitions/validate_test.go:N), type: the Type has no name`,
		`type: the metadata of the Type "": metadata "l" has no value`,
		`asset "out" (definitions/type_test.go:N), type: the Type "text" checks a string`,
		`op "op" (definitions/type_test.go:N), type: the Type "text" checks a string, and its value is a int`,
		`asset "c" (definitions/type_test.go:N), inputs: the Type "none" checks nothing`,
	} {
		require.Contains(t, problems, want)
	}
}

func TestTheSnapshotSaysWhatIsCheckedOfValues(t *testing.T) {
	t.Parallel()
	sized := d.Type[int]{Name: "sized", Description: "at most ten", Check: func(int) error { return nil }, Metadata: []d.Metadatum{d.Text("owner", "network")}}
	op := d.FanOut("op", d.Bind0(func(d.Context) ([]d.Keyed[int], error) { return nil, nil }), d.OfType(sized))
	snapshot, err := d.New("x", constant("a", d.OfType(sized)), constant("b"), d.OpJob("job", []d.AnyValue{op})).Snapshot()
	require.NoError(t, err)
	check := &plan.TypeCheck{Name: "sized", Description: "at most ten", Metadata: []wire.Metadatum{{Label: "owner", Type: "text", Value: []byte(`"network"`)}}}
	require.Equal(t, check, snapshot.Assets[0].TypeCheck)
	require.Nil(t, snapshot.Assets[1].TypeCheck)
	require.Equal(t, check, snapshot.Computes[2].TypeCheck)
	require.Nil(t, snapshot.Computes[0].TypeCheck)
}
