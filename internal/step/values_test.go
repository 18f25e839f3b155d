package step

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// anOp is a bundle whose step is an op's.
func anOp(outputs ...Output) *bundle {
	b := newBundle()
	b.plan.Op = true
	b.compute = func(*Attempt) ([]Output, error) { return outputs, nil }
	return b
}

func TestOpsValueIsStoredInItsStepsSlot(t *testing.T) {
	t.Parallel()
	b := anOp(Output{Value: 1})
	b.plan.Inputs = []plan.StepInput{{Asset: "flights"}}
	b.claim.Inputs = []wire.InputVersion{{Asset: "flights", Token: 3, DataVersion: "f"}}
	b.claim.Values = []wire.StepValue{{Run: "r1", Step: "clean", DataVersion: "c"}}
	result, err := b.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, wire.StepResult{Recorded: true}, result, "it materializes nothing")
	require.Equal(t, map[string]string{"r1/route_delays//7": "published"}, b.stored)
	require.Equal(t, []wire.CommittedOutput{{
		SlotToken: 7, Location: "r1/route_delays//7", Metadata: []wire.Metadatum{},
		DataVersion: dataVersion("", b.claim.Inputs, b.claim.Values),
	}}, b.commits[0].Outputs)
}

func TestWhatAnOpReturnsIsChecked(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		outputs           []Output
		optional, noValue bool
		want              string
		notEmitted        []string
	}{
		"nothing":            {nil, false, false, `op "route_delays" returned no value`, nil},
		"nothing of a Maybe": {nil, true, false, "", []string{""}},
		"nothing of Nothing": {nil, false, true, "", nil},
		"Nothing of a Maybe": {nil, true, true, "", []string{""}},
		"two":                {[]Output{{}, {}}, false, false, `op "route_delays" returned 2 values`, nil},
		"an asset":           {[]Output{{Asset: "other"}}, false, false, `op "route_delays" returned output "other", and makes no asset`, nil},
		"an element":         {[]Output{{Key: "k"}}, false, false, `under key "k", and its output is not dynamic`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := anOp(test.outputs...)
			b.plan.Optional, b.plan.NoValue = test.optional, test.noValue
			result, err := b.run(t.Context())
			require.Empty(t, b.stored)
			if test.want != "" {
				require.ErrorContains(t, err, test.want)
				require.Len(t, b.failures, 1)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.notEmitted, result.NotEmitted)
			require.Empty(t, b.commits[0].Outputs)
		})
	}
}

func TestNothingIsStoredOfAnOpThatOnlyActs(t *testing.T) {
	t.Parallel()
	b := anOp(Output{Value: struct{}{}})
	b.plan.NoValue = true
	result, err := b.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, wire.StepResult{Recorded: true}, result)
	require.Empty(t, b.stored)
	require.Empty(t, b.commits[0].Outputs)
}

func TestElementsOfAFanAreStoredEachUnderItsKey(t *testing.T) {
	t.Parallel()
	const elements = 500
	var outputs []Output
	for i := range elements {
		outputs = append(outputs, Output{Key: fmt.Sprintf("k%d", elements-i), Value: i})
	}
	b := anOp(outputs...)
	b.plan.FanOut = true
	b.compute = func(a *Attempt) ([]Output, error) {
		a.Report(wire.Metadatum{Label: "pages", Type: wire.MetadataInt, Value: json.RawMessage("500")})
		a.Event(wire.StepEvent{Type: "CUSTOM"})
		return outputs, nil
	}
	result, err := b.run(t.Context())
	require.NoError(t, err)
	require.Len(t, result.Keys, elements)
	require.Len(t, b.stored, elements)
	require.LessOrEqual(t, b.mostAtOnce, int64(maxParallel))
	commit := b.commits[0]
	for i, output := range commit.Outputs {
		require.Equal(t, outputs[i].Key, result.Keys[i], "in the order of emission")
		require.Equal(t, outputs[i].Key, output.Key)
		require.Equal(t, "r1/route_delays/"+output.Key+"/7", output.Location)
		require.Empty(t, output.Metadata, "what was reported stands once, not with each element")
	}
	require.Equal(t, []wire.StepEvent{
		{Type: "CUSTOM"},
		{Type: "STEP_OUTPUT", Body: json.RawMessage(`{"metadata":[{"label":"pages","type":"int","value":500}]}`)},
	}, commit.Events)
}

func TestFanMayBeEmpty(t *testing.T) {
	t.Parallel()
	b := anOp()
	b.plan.FanOut = true
	result, err := b.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, wire.StepResult{Recorded: true}, result)
}

func TestKeysOfAFanFollowTheirRules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		keys []string
		want []string
	}{
		"empty":   {[]string{""}, []string{`op "route_delays"`, `key ""`, "a key is not empty"}},
		"dot":     {[]string{"foo.baz"}, []string{`key "foo.baz"`, `of letters, digits and "_"`}},
		"letters": {[]string{"münchen"}, []string{`key "münchen"`, `of letters, digits and "_"`}},
		"twice":   {[]string{"a", "b", "a"}, []string{`key "a"`, "each key is there once"}},
		"long":    {[]string{strings.Repeat("x", 101)}, []string{"at most 100 characters, and this one has 101"}},
		"all":     {[]string{"a", "?", "a"}, []string{`key "?"`, `key "a"`}},
		"many":    {manyKeys(50_001, "k"), []string{"returned 50001 elements, and a fan-out takes at most 50000"}},
		"large":   {manyKeys(20_000, strings.Repeat("k", 90)), []string{"bytes together"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var outputs []Output
			for _, key := range test.keys {
				outputs = append(outputs, Output{Key: key})
			}
			b := anOp(outputs...)
			b.plan.FanOut = true
			_, err := b.run(t.Context())
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.Empty(t, b.stored)
			require.Len(t, b.failures, 1)
		})
	}
}

func manyKeys(n int, prefix string) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return keys
}

func TestElementThatIsNotStoredTakesTheOthersBack(t *testing.T) {
	t.Parallel()
	b := anOp(Output{Key: "a"}, Output{Key: "b"}, Output{Key: "c"})
	b.plan.FanOut = true
	b.refuses = func(slot Slot) error {
		if slot.Key == "b" {
			return errors.New("disk full")
		}
		return nil
	}
	_, err := b.run(t.Context())
	require.ErrorContains(t, err, `store element "b" of op "route_delays": disk full`)
	require.Empty(t, b.stored)
}

func TestPanicOfAStoreAmongManyIsAFailure(t *testing.T) {
	t.Parallel()
	b := anOp(Output{Key: "a"}, Output{Key: "b"})
	b.plan.FanOut = true
	b.panicAtLocation = true
	_, err := b.run(t.Context())
	require.ErrorContains(t, err, "no location")
	require.NotEmpty(t, b.failures[0].Error.Stack)
}

func TestMappedStepStoresUnderItsOwnKey(t *testing.T) {
	t.Parallel()
	b := anOp()
	b.step = "route_delays[k1]"
	b.claim.MappingKey, b.claim.Job = "k1", "nightly"
	b.compute = func(a *Attempt) ([]Output, error) {
		require.Equal(t, "k1", a.MappingKey)
		require.Equal(t, "nightly", a.Job)
		require.Equal(t, "route_delays", a.Plan.Key, "the plan is the template's")
		return []Output{{Value: 1}}, nil
	}
	_, err := b.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"r1/route_delays[k1]//7": "published"}, b.stored)
}

func TestNextAttemptPublishesTheElementsThatWereStaged(t *testing.T) {
	t.Parallel()
	b := anOp()
	b.plan.FanOut, b.resumable = true, true
	b.previous = &StagedOutputs{
		Outputs: []wire.CommittedOutput{{Key: "a", SlotToken: 3, Location: "r1/route_delays/a/3"}, {Key: "b", SlotToken: 3, Location: "r1/route_delays/b/3"}},
		Result:  wire.StepResult{Recorded: true, Keys: []string{"a", "b"}},
		Events:  []wire.StepEvent{{Type: "CUSTOM"}},
	}
	result, err := b.run(t.Context())
	require.NoError(t, err)
	require.Zero(t, b.calls)
	require.Equal(t, []string{"a", "b"}, result.Keys)
	require.Equal(t, b.previous.Events, b.commits[0].Events)
	require.ElementsMatch(t, []Slot{{Run: "r1", Step: "route_delays", Key: "a", Token: 3}, {Run: "r1", Step: "route_delays", Key: "b", Token: 3}}, b.resumed)
}

func TestValuesOfAnInput(t *testing.T) {
	t.Parallel()
	total := wire.StepValue{Run: "r1", Step: "total", Token: 1, Location: "x"}
	pages := []wire.StepValue{{Step: "pages", Key: "p2"}, {Step: "pages", Key: "p1"}}
	clean := []wire.StepValue{{Step: "clean[p2]"}, {Step: "clean[p1]"}}
	a := &Attempt{MappingKey: "p1", Values: append(append([]wire.StepValue{total}, pages...), clean...)}
	require.Equal(t, []wire.StepValue{total}, a.ValuesOf("total", ""))
	require.Empty(t, a.ValuesOf("tot", ""))
	require.Equal(t, pages[1:], a.ValuesOf("pages", plan.TakeKey))
	require.Equal(t, clean[1:], a.ValuesOf("clean", plan.TakeKey))
	require.Equal(t, pages, a.ValuesOf("pages", plan.TakeAll), "in the order of emission")
	require.Equal(t, clean, a.ValuesOf("clean", plan.TakeAll))
	require.Equal(t, Slot{Run: "r1", Step: "total", Token: 1, Location: "x"}, ValueSlot(total))
}

func TestGraphAssetsVersionCoversWhatItsOpsLoaded(t *testing.T) {
	t.Parallel()
	version := func(upstream string) string {
		b := newBundle(plan.Output{Asset: "route_delays", CodeVersion: "1"})
		b.plan.Op = true
		b.claim.Values = []wire.StepValue{{Step: "clean", DataVersion: upstream}}
		result, err := b.run(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"route_delays"}, result.Materialized)
		return b.commits[0].Outputs[0].DataVersion
	}
	first := version("a")
	require.Equal(t, first, version("a"))
	require.NotEqual(t, first, version("b"))
}

func TestInParallelReportsTheFirstErrorAndBeginsNoMore(t *testing.T) {
	t.Parallel()
	var begun atomic.Int32
	err := inParallel(1000, func(i int) error {
		begun.Add(1)
		return fmt.Errorf("number %d", i)
	})
	require.ErrorContains(t, err, "number ")
	require.LessOrEqual(t, begun.Load(), int32(maxParallel))
	require.NoError(t, inParallel(0, func(int) error { return errors.New("called") }))
}

func TestAGraphAssetsInputsAreWhatItsOpsHaveLoaded(t *testing.T) {
	t.Parallel()
	loaded := func(asset string, position int64) wire.InputVersion {
		return wire.InputVersion{Asset: asset, DataVersion: fmt.Sprint(asset, position), Position: position}
	}
	b := anOp(Output{Value: 1})
	b.plan.Inputs = []plan.StepInput{{Asset: "airports"}, {Asset: "flights"}}
	b.claim.Inputs = []wire.InputVersion{loaded("flights", 3)}
	_, err := b.run(t.Context())
	require.NoError(t, err)
	external := wire.InputVersion{Asset: "airports", DataVersion: initialVersion}
	require.Equal(t, []wire.InputVersion{external, loaded("flights", 3)}, b.commits[0].Loaded, "an op records what it has loaded")

	b = newBundle()
	b.plan.Op, b.plan.Outputs = true, []plan.Output{{Asset: "route_delays", CodeVersion: "v1"}}
	b.plan.Inputs = []plan.StepInput{{Asset: "flights"}, {Asset: "routes"}}
	b.claim.Inputs = []wire.InputVersion{loaded("flights", 5), loaded("routes", 6)}
	b.claim.Loaded = []wire.InputVersion{external, loaded("flights", 3), loaded("weather", 9)}
	_, err = b.run(t.Context())
	require.NoError(t, err)
	require.Empty(t, b.commits[0].Loaded)
	inputs := []wire.InputVersion{external, loaded("flights", 3), loaded("routes", 6), loaded("weather", 9)}
	require.Equal(t, inputs, b.commits[0].Outputs[0].Inputs, "of an asset that was loaded twice the older one")
	require.Equal(t, dataVersion("v1", inputs, nil), b.commits[0].Outputs[0].DataVersion)
}

func TestWhatAFailingAttemptReportedIsRecorded(t *testing.T) {
	t.Parallel()
	event := wire.StepEvent{Type: "CUSTOM_MESSAGE", Body: json.RawMessage(`{"payload":1}`)}
	b := newBundle()
	b.compute = func(a *Attempt) ([]Output, error) {
		a.Event(event)
		return nil, errors.New("no")
	}
	_, err := b.run(t.Context())
	require.Error(t, err)
	require.Equal(t, []wire.StepEvent{event}, b.failures[0].Events)
}
