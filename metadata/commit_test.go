package metadata_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func TestCommitRecordsEverythingOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("both", "a", "b"))
	fence := b.granted("r1", "both", 5, 6)
	commit := commitOf(fence, "a", "b")
	commit.Outputs[0].Inputs = []wire.InputVersion{{Asset: "x", Token: 3, Position: 9}}
	commit.Outputs[1].SlotToken = 1

	committed, err := b.Commit(t.Context(), commit)

	require.NoError(t, err)
	require.Equal(t, wire.Committed{Result: commit.Result}, committed)
	page, err := b.Materializations(t.Context(), metadata.MaterializationFilter{Run: "r1"}, "", 0)
	require.NoError(t, err)
	require.Len(t, page.Rows, 2)
	made := page.Rows[1]
	require.Equal(t, "a", made.Asset)
	require.Equal(t, fence.Token, made.Token)
	require.Equal(t, "file:///data/a", made.Location)
	require.Equal(t, commit.Outputs[0].Inputs, made.Inputs)
	require.Equal(t, "cause-of-r1", made.Cause)
	rows, ok := made.Rows()
	require.True(t, ok)
	require.Equal(t, int64(42), rows)

	current, err := b.Current(t.Context(), []string{"a", "b", "c"})
	require.NoError(t, err)
	require.Len(t, current, 2)
	require.Equal(t, made.ID, current["a"].ID)
	require.Equal(t, made.Position, current["a"].Position)
	require.Equal(t, int64(1), current["b"].SlotToken)

	events, err := b.Events(t.Context(), 0, metadata.EventFilter{Asset: "a", Types: []metadata.EventType{metadata.EventMaterialization}}, 0)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, made.Position, events[0].Position)
	require.WithinDuration(t, made.At, events[0].At, 0)
	require.Zero(t, b.count("select count(*) from writers"))

	// A commit whose answer was lost is answered as it was.
	before := b.dump()
	again, err := b.Commit(t.Context(), commit)
	require.NoError(t, err)
	require.Equal(t, committed, again)
	require.Equal(t, before, b.dump())
}

func TestCommitWithoutOutputs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	fence := b.granted("r1", "a", 1, 1)
	committed, err := b.Commit(t.Context(), wire.Commit{Fence: fence, Result: wire.StepResult{NotEmitted: []string{"a"}}})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, committed.Result.NotEmitted)
	require.Equal(t, wire.StepSuccess, b.stepRow("r1", "a").Status)
	require.Zero(t, b.count("select count(*) from materializations"))
}

func TestARefusedCommitWritesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// Once the scheduling has ended nobody can take over what its attempts staged.
	orphaned := map[string]bool{"a reset": true, "a final failure": true, "a closing": true, "the run's end": true}
	for name, spoil := range map[string]func(fence *wire.Fence){
		"another token":      func(fence *wire.Fence) { fence.Token++ },
		"another scheduling": func(fence *wire.Fence) { fence.Scheduled++ },
		"another run":        func(fence *wire.Fence) { fence.Run = "another" },
		"another step":       func(fence *wire.Fence) { fence.Step = "b" },
		"a later attempt":    func(fence *wire.Fence) { b.granted(fence.Run, "a", 5, 7) },
		"a reset":            func(fence *wire.Fence) { b.granted(fence.Run, "a", 6, 6) },
		"a final failure":    func(fence *wire.Fence) { b.fail(*fence, 1, true) },
		"a closing":          func(fence *wire.Fence) { b.close(fence.Run, "a", 9, wire.StepCanceled) },
		"the run's end":      func(fence *wire.Fence) { b.end(fence.Run, 9, wire.RunFailure) },
	} {
		// The name is the run's. Not parallel: what is in the tables is compared.
		b.begin(name, step("a", name), step("b"))
		fence := b.granted(name, "a", 5, 6)
		state, err := b.CheckToken(t.Context(), wire.TokenCheck{Fence: fence, SlotToken: fence.Token})
		require.NoError(t, err)
		require.Equal(t, wire.TokenState{Holds: true}, state)
		spoil(&fence)
		before := b.dump()

		require.Equal(t, wire.Committed{Refused: true, Orphaned: orphaned[name]}, b.commit(fence, name), name)
		require.True(t, b.fail(fence, 2, false), name)
		require.NoError(t, b.Release(t.Context(), fence, wire.FailureDraining, "draining"))
		state, err = b.CheckToken(t.Context(), wire.TokenCheck{Fence: fence, SlotToken: fence.Token})
		require.NoError(t, err)
		require.Equal(t, wire.TokenState{Orphaned: orphaned[name]}, state, name)
		require.Equal(t, before, b.dump(), name)
	}
}

func TestWhatALaterAttemptTookOverIsNotOrphaned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a", "a"), op("o"))
	var stored int64 // under which the last of them stored its value
	for _, name := range []string{"a", "o"} {
		lost := b.granted("r1", name, 1, 1)
		later := b.granted("r1", name, 1, 2)
		check := func(slotToken int64) wire.TokenState {
			state, err := b.CheckToken(t.Context(), wire.TokenCheck{Fence: lost, SlotToken: slotToken})
			require.NoError(t, err)
			return state
		}
		require.Equal(t, wire.TokenState{}, check(lost.Token), "the other may still take it over")

		commit := commitOf(later, "a")
		if name == "o" {
			commit.Outputs[0].Asset = ""
		}
		stored = lost.Token
		commit.Outputs[0].SlotToken = stored
		committed, err := b.Commit(t.Context(), commit)
		require.NoError(t, err)
		require.False(t, committed.Refused)
		require.Equal(t, wire.TokenState{}, check(lost.Token), "it is recorded")
		require.Equal(t, wire.TokenState{Orphaned: true}, check(later.Token), "nothing is recorded under this one")

		late := commitOf(lost, "a")
		committed, err = b.Commit(t.Context(), late)
		require.NoError(t, err)
		require.Equal(t, wire.Committed{Refused: true}, committed)
	}
	// What a reset replaces is noted to be removed by others.
	first := b.granted("r1", "o", 5, 5)
	commit := commitOf(first, "o")
	commit.Outputs[0].Asset = ""
	_, err := b.Commit(t.Context(), commit)
	require.NoError(t, err)
	require.Equal(t, 1, b.count("select count(*) from superseded_values"))
	state, err := b.CheckToken(t.Context(), wire.TokenCheck{Fence: wire.Fence{Run: "r1", Step: "o", Scheduled: 1}, SlotToken: stored})
	require.NoError(t, err)
	require.Equal(t, wire.TokenState{}, state)
}

func TestWhatWasGrantedEarlierNeverReplacesWhatWasGrantedLater(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.begin("r2", step("a"))
	slow := b.granted("r1", "a", 1, 1)
	// As if one_writer had been off: the other run's step writes at the same time.
	_, err := b.db.ExecContext(t.Context(), "delete from writers")
	require.NoError(t, err)
	fast := b.granted("r2", "a", 1, 1)
	require.False(t, b.commit(fast, "a").Refused)
	require.False(t, b.commit(slow, "a").Refused)

	current, err := b.Current(t.Context(), []string{"a"})
	require.NoError(t, err)
	require.Equal(t, "r2", current["a"].Run)
	require.Equal(t, 2, b.count("select count(*) from materializations"))
}

func TestAResetRecordsAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.committed("r1", "a", 1, "a")
	b.end("r1", 2, wire.RunSuccess)
	second := b.committed("r1", "a", 3, "a")
	result := b.end("r1", 4, wire.RunSuccess)
	require.Equal(t, []string{"a"}, result.Materialized)
	require.Equal(t, wire.StepCounts{Succeeded: 1}, result.Steps)
	current, err := b.Current(t.Context(), []string{"a"})
	require.NoError(t, err)
	require.Equal(t, second.Token, current["a"].Token)
	require.Equal(t, []metadata.EventType{
		metadata.EventRunStart, metadata.EventMaterializationPlanned, metadata.EventStepStart, metadata.EventMaterialization,
		metadata.EventStepSuccess, metadata.EventRunSuccess, metadata.EventRunRestarted, metadata.EventStepRestarted,
		metadata.EventMaterialization, metadata.EventStepSuccess, metadata.EventRunSuccess,
	}, b.types("r1"))
}

func TestFailureIsRecordedOnceForEachAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	fence := b.granted("r1", "a", 1, 1)
	require.False(t, b.fail(fence, 1, false))
	before := b.dump()
	require.False(t, b.fail(fence, 1, false))
	require.Equal(t, before, b.dump())

	fence = b.granted("r1", "a", 1, 2)
	require.False(t, b.fail(fence, 2, true))
	row := b.stepRow("r1", "a")
	require.Equal(t, wire.StepFailed, row.Status)
	require.Equal(t, 2, row.Attempt)
	require.Equal(t, "no such file", row.Error.Message)
	before = b.dump()
	require.False(t, b.fail(fence, 2, true))
	require.Equal(t, before, b.dump())
}

func TestReleaseTwiceAndHandBackTwiceChangeNothingMore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	first := b.handBack("r1", "a", 1)
	before := b.dump()
	second := b.handBack("r1", "a", 1)
	require.Equal(t, first, second)
	require.Equal(t, before, b.dump())

	fence := b.granted("r1", "a", 1, 1)
	require.NoError(t, b.Release(t.Context(), fence, wire.FailureDraining, "draining"))
	before = b.dump()
	require.NoError(t, b.Release(t.Context(), fence, wire.FailureDraining, "draining"))
	require.Equal(t, before, b.dump())
}
