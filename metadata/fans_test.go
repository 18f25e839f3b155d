package metadata_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// op plans an op's step that loads these outputs of others.
func op(key string, values ...plan.ValueInput) plan.Step {
	return plan.Step{Key: key, Type: key, Shape: shape, MaxLostWorkers: 3, Op: true, Values: values}
}

func taking(take plan.Take, steps ...string) []plan.ValueInput {
	values := make([]plan.ValueInput, len(steps))
	for i, step := range steps {
		values[i] = plan.ValueInput{Step: step, Take: take}
	}
	return values
}

// fanned is a plan with a dynamic output: source, pages over it, clean and total mapped over pages, and summary, which
// collects both pages and total.
func fanned() []plan.Step {
	pages := op("pages", taking("", "source")...)
	pages.FanOut = true
	clean := op("etl.clean", taking(plan.TakeKey, "pages")...)
	total := op("total", append(taking(plan.TakeKey, "etl.clean"), taking("", "source")...)...)
	clean.Over, total.Over = "pages", "pages"
	return []plan.Step{op("source"), pages, clean, total, op("summary", taking(plan.TakeAll, "pages", "total")...)}
}

// opCommit commits one output under each key; a step without dynamic output has the key "".
func opCommit(fence wire.Fence, keys ...string) wire.Commit {
	commit := wire.Commit{Fence: fence, Result: wire.StepResult{Recorded: true}, Build: "b1", Worker: "host-1", Attempt: 1}
	for _, key := range keys {
		commit.Outputs = append(commit.Outputs, wire.CommittedOutput{
			Key: key, SlotToken: fence.Token, Location: "mem://" + fence.Step + "/" + key, DataVersion: fmt.Sprint("d", fence.Token),
		})
		if key != "" {
			commit.Result.Keys = append(commit.Result.Keys, key)
		}
	}
	return commit
}

func (b *bench) commitOp(fence wire.Fence, keys ...string) {
	b.Helper()
	committed, err := b.Commit(b.Context(), opCommit(fence, keys...))
	require.NoError(b, err)
	require.False(b, committed.Refused)
}

// claimOp claims a step whose activity type is its template's.
func (b *bench) claimOp(run, step string, scheduled int64) wire.Claim {
	b.Helper()
	asked := request(run, step, scheduled, scheduled)
	asked.Type, _, _ = plan.SplitMappedKey(step)
	claim, err := b.Claim(b.Context(), asked)
	require.NoError(b, err)
	require.Equal(b, wire.ClaimGranted, claim.Outcome, step)
	return claim
}

func (b *bench) ranOp(run, step string, scheduled int64, keys ...string) wire.Fence {
	b.Helper()
	fence := wire.Fence{Run: run, Step: step, Scheduled: scheduled, Token: b.claimOp(run, step, scheduled).Token}
	b.commitOp(fence, keys...)
	return fence
}

func valueOf(fence wire.Fence, key string) wire.StepValue {
	return wire.StepValue{
		Run: fence.Run, Step: fence.Step, Key: key, Token: fence.Token, Location: "mem://" + fence.Step + "/" + key,
		DataVersion: fmt.Sprint("d", fence.Token),
	}
}

func (b *bench) stepKeys(run string) []string {
	b.Helper()
	page, err := b.Steps(b.Context(), run, "", 1000)
	require.NoError(b, err)
	var keys []string
	for _, row := range page.Rows {
		keys = append(keys, row.Step)
	}
	return keys
}

func TestADynamicOutputBringsItsSteps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", fanned()...)
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, 3, run.StepsTotal, "templates are no steps")
	require.Equal(t, []string{"source", "pages", "summary"}, b.stepKeys("r1"))
	require.Equal(t, wire.ClaimUnknown, b.claim("r1", "etl.clean", 1, 1).Outcome, "a template does not run")

	source := b.ranOp("r1", "source", 1, "")
	claim := b.claimOp("r1", "pages", 2)
	require.Equal(t, []wire.StepValue{valueOf(source, "")}, claim.Values)
	pages := wire.Fence{Run: "r1", Step: "pages", Scheduled: 2, Token: claim.Token}
	b.commitOp(pages, "p9", "p10") // not as bytes are sorted

	run, err = b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, 7, run.StepsTotal)
	require.Equal(t, []string{
		"source", "pages", "etl.clean[p9]", "etl.clean[p10]", "total[p9]", "total[p10]", "summary",
	}, b.stepKeys("r1"))

	claim = b.claimOp("r1", "etl.clean[p9]", 3)
	require.Equal(t, "p9", claim.MappingKey)
	require.Contains(t, string(claim.Plan), `"etl.clean"`)
	require.Equal(t, []wire.StepValue{valueOf(pages, "p9")}, claim.Values)
	clean := wire.Fence{Run: "r1", Step: "etl.clean[p9]", Scheduled: 3, Token: claim.Token}
	b.commitOp(clean, "")
	claim = b.claimOp("r1", "total[p9]", 4)
	require.Equal(t, []wire.StepValue{valueOf(clean, ""), valueOf(source, "")}, claim.Values)
	total9 := wire.Fence{Run: "r1", Step: "total[p9]", Scheduled: 4, Token: claim.Token}
	b.commitOp(total9, "")
	b.ranOp("r1", "etl.clean[p10]", 3, "")
	total10 := b.ranOp("r1", "total[p10]", 4, "")
	claim = b.claimOp("r1", "summary", 5)
	require.Empty(t, claim.MappingKey)
	require.Equal(t, []wire.StepValue{
		valueOf(pages, "p9"), valueOf(pages, "p10"), valueOf(total9, ""), valueOf(total10, ""),
	}, claim.Values, "in the order of emission")
	b.commitOp(wire.Fence{Run: "r1", Step: "summary", Scheduled: 5, Token: claim.Token}, "")

	result := b.end("r1", 6, wire.RunSuccess)
	require.Equal(t, wire.StepCounts{Succeeded: 7}, result.Steps)
	require.NotContains(t, b.types("r1"), metadata.EventMaterialization)
	require.Zero(t, b.count("select count(*) from materializations"))

	// Asked again it changes nothing.
	before := b.dump()
	b.commitOp(total10, "")
	require.Equal(t, before, b.dump())
}

func TestStepsOfALargeFanArePagedInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", fanned()...)
	var keys []string
	want := []string{"source", "pages"}
	for i := range 30 {
		keys = append(keys, fmt.Sprint("k", (i*7)%30))
	}
	for _, template := range []string{"etl.clean", "total"} {
		for _, key := range keys {
			want = append(want, plan.MappedKey(template, key))
		}
	}
	b.ranOp("r1", "pages", 1, keys...)
	var got []string
	for cursor := ""; ; {
		page, err := b.Steps(t.Context(), "r1", cursor, 7)
		require.NoError(t, err)
		for _, row := range page.Rows {
			got = append(got, row.Step)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Equal(t, append(want, "summary"), got)
}

func TestAFanThatIsComputedAnewReplacesItsSteps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", fanned()...)
	b.ranOp("r1", "source", 1, "")
	b.ranOp("r1", "pages", 2, "a", "b")
	for _, key := range []string{"a", "b"} {
		b.ranOp("r1", plan.MappedKey("etl.clean", key), 3, "")
		b.ranOp("r1", plan.MappedKey("total", key), 4, "")
	}
	b.end("r1", 5, wire.RunSuccess)

	// A reset. Nothing of what the fan brought before is there once it begins.
	b.claimOp("r1", "pages", 10)
	require.Equal(t, []string{"source", "pages", "summary"}, b.stepKeys("r1"))
	pages := b.ranOp("r1", "pages", 11, "b", "c")
	require.Equal(t, []string{
		"source", "pages", "etl.clean[b]", "etl.clean[c]", "total[b]", "total[c]", "summary",
	}, b.stepKeys("r1"))
	require.Equal(t, wire.StepWaiting, b.stepRow("r1", "total[b]").Status)
	require.Equal(t, []wire.StepValue{valueOf(pages, "b"), valueOf(pages, "c")}, b.claimOp("r1", "summary", 12).Values)
	b.close("r1", "summary", 13, wire.StepCanceled)

	// Its stored values wait for their removal: two elements of the fan, and two outputs of each template.
	require.Equal(t, 6, b.count("select count(*) from superseded_values"))

	// An empty fan, and one that is skipped now, have no steps.
	b.ranOp("r1", "pages", 20)
	require.Equal(t, []string{"source", "pages", "summary"}, b.stepKeys("r1"))
	b.ranOp("r1", "pages", 21, "z")
	b.close("r1", "pages", 22, wire.StepSkipped)
	require.Equal(t, []string{"source", "pages", "summary"}, b.stepKeys("r1"))
	result := b.end("r1", 30, wire.RunCanceled)
	require.Equal(t, wire.StepCounts{Succeeded: 1, Skipped: 1, Canceled: 1}, result.Steps)
}

// A zombie of a mapped step from before a reset records nothing.
func TestAMappedStepFromBeforeAResetCommitsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", fanned()...)
	b.ranOp("r1", "pages", 1, "a")
	zombie := wire.Fence{Run: "r1", Step: "etl.clean[a]", Scheduled: 2, Token: b.claimOp("r1", "etl.clean[a]", 2).Token}
	b.ranOp("r1", "pages", 10, "a")
	committed, err := b.Commit(t.Context(), opCommit(zombie, ""))
	require.NoError(t, err)
	require.True(t, committed.Refused)
	require.Equal(t, wire.StepWaiting, b.stepRow("r1", "etl.clean[a]").Status)
}

func TestAnEventThatAStepReportsIsInTheLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"), op("b"))
	commit := commitOf(b.granted("r1", "a", 1, 1), "a")
	commit.Events = []wire.StepEvent{
		{Type: "ASSET_CHECK_EVALUATION", Asset: "a", Body: []byte(`{"passed":true}`)}, {Type: "CUSTOM_MESSAGE"},
	}
	_, err := b.Commit(t.Context(), commit)
	require.NoError(t, err)
	onlyEvents := opCommit(b.granted("r1", "b", 1, 1), "")
	onlyEvents.Events = commit.Events[1:]
	_, err = b.Commit(t.Context(), onlyEvents)
	require.NoError(t, err)
	require.Equal(t, []metadata.EventType{
		metadata.EventStepStart, metadata.EventMaterialization, "ASSET_CHECK_EVALUATION", "CUSTOM_MESSAGE", metadata.EventStepSuccess,
		metadata.EventStepStart, "CUSTOM_MESSAGE", metadata.EventStepSuccess,
	}, b.types("r1")[2:])
	events, err := b.Events(t.Context(), 0, metadata.EventFilter{Asset: "a", Types: []metadata.EventType{"ASSET_CHECK_EVALUATION"}}, 0)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.JSONEq(t, `{"passed":true}`, string(events[0].Body))
	head, err := b.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, b.count("select count(*) from event_log"), int(head), "positions have no gap")
}

func TestAGraphAssetIsToldWhatItsOpsHaveLoaded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	loaded := func(asset string, position int64) wire.InputVersion {
		return wire.InputVersion{Asset: asset, Token: position, DataVersion: fmt.Sprint(asset, position), Position: position}
	}
	run := func(run, step string, keys []string, inputs ...wire.InputVersion) {
		t.Helper()
		commit := opCommit(wire.Fence{Run: run, Step: step, Scheduled: 2, Token: b.claimOp(run, step, 2).Token}, keys...)
		commit.Loaded = inputs
		committed, err := b.Commit(t.Context(), commit)
		require.NoError(t, err)
		require.False(t, committed.Refused)
	}
	pages, clean, sum := op("pages"), op("clean", taking(plan.TakeKey, "pages")...), step("sum", "summary")
	pages.FanOut, clean.Over, sum.Op = true, "pages", true
	sum.Values, sum.MadeOf = taking(plan.TakeAll, "clean"), []string{"clean", "pages", "source"}
	steps := []plan.Step{op("source"), pages, clean, sum}

	b.begin("empty", steps...)
	run("empty", "source", []string{""})
	run("empty", "pages", nil, loaded("flights", 4))
	require.Equal(t, []wire.InputVersion{loaded("flights", 4)}, b.claimOp("empty", "sum", 3).Loaded, "also by a fan without an element")
	b.end("empty", 4, wire.RunFailure)

	b.begin("r1", steps...)
	run("r1", "source", []string{""}, loaded("airports", 7), loaded("flights", 9))
	run("r1", "pages", []string{"a", "b"}, loaded("flights", 8))
	run("r1", "clean[a]", []string{""}, loaded("weather", 12))
	run("r1", "clean[b]", []string{""}, loaded("weather", 11))
	want := []wire.InputVersion{loaded("airports", 7), loaded("flights", 8), loaded("weather", 11)}
	require.Equal(t, want, b.claimOp("r1", "sum", 3).Loaded, "of each asset the oldest")
	b.end("r1", 5, wire.RunFailure)

	b.retry("r2", "r1", "r1", map[string]string{"source": "r1"}, op("source"), sum)
	require.Equal(t, []wire.InputVersion{loaded("airports", 7), loaded("flights", 9)}, b.claimOp("r2", "sum", 3).Loaded, "also by a step that an earlier run did")
}

func TestAnEventOfAnAttemptThatFailedIsInTheLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	for attempt, final := range []bool{false, true} {
		failure := wire.Failure{
			Fence: b.granted("r1", "a", 1, int64(attempt+1)), Attempt: attempt + 1, Final: final, Error: wire.ErrorInfo{Message: "no"},
			Events: []wire.StepEvent{{Type: "ASSET_CHECK_EVALUATION", Asset: "a", Body: []byte(`{"passed":false}`)}, {Type: "CUSTOM_MESSAGE"}},
		}
		for range 2 {
			failed, err := b.Store.Fail(t.Context(), failure)
			require.NoError(t, err)
			require.False(t, failed.Refused)
		}
	}
	require.Equal(t, []metadata.EventType{
		metadata.EventStepStart, "ASSET_CHECK_EVALUATION", "CUSTOM_MESSAGE", metadata.EventStepUpForRetry,
		metadata.EventStepRestarted, "ASSET_CHECK_EVALUATION", "CUSTOM_MESSAGE", metadata.EventStepFailure,
	}, b.types("r1")[2:], "once for each attempt")
	events, err := b.Events(t.Context(), 0, metadata.EventFilter{Asset: "a", Types: []metadata.EventType{"ASSET_CHECK_EVALUATION"}}, 0)
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.Equal(t, "a", events[0].Step)
	require.JSONEq(t, `{"passed":false}`, string(events[0].Body))
}
