package metadata_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func line(step string, token, seq int64, level slog.Level) metadata.LogLine {
	return metadata.LogLine{
		Run: "r1", Step: step, Token: token, Seq: seq, Attempt: 1, Level: level, Message: fmt.Sprintf("%s %d.%d", step, token, seq),
		At: time.Unix(1000, 0).UTC(), Attributes: json.RawMessage(`{"rows": 3}`),
	}
}

func TestLogLinesAreKeptOnceAndListed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lines := []metadata.LogLine{
		line("a", 1, 1, slog.LevelInfo), line("a", 1, 2, slog.LevelDebug), line("b", 2, 1, slog.LevelWarn), line("a", 1, 3, slog.LevelError),
	}
	require.NoError(t, b.AppendLog(t.Context(), lines))
	require.NoError(t, b.AppendLog(t.Context(), nil))
	// A worker that died and the one after it may log under the same attempt.
	again := line("a", 3, 1, slog.LevelInfo)
	require.NoError(t, b.AppendLog(t.Context(), append(slices.Clone(lines[2:]), again)))

	for _, c := range []struct {
		filter metadata.LogFilter
		want   []metadata.LogLine
	}{
		{metadata.LogFilter{Run: "r1", Level: slog.LevelDebug}, append(slices.Clone(lines), again)},
		{metadata.LogFilter{Run: "r1"}, []metadata.LogLine{lines[0], lines[2], lines[3], again}},
		{metadata.LogFilter{Run: "r1", Step: "a", Level: slog.LevelInfo}, []metadata.LogLine{lines[0], lines[3], again}},
		{metadata.LogFilter{Run: "r1", Level: slog.LevelWarn}, []metadata.LogLine{lines[2], lines[3]}},
		{metadata.LogFilter{Run: "r1", Step: "b", Level: slog.LevelError}, []metadata.LogLine{}},
		{metadata.LogFilter{Run: "r2"}, []metadata.LogLine{}},
	} {
		cursor, got := "", []metadata.LogLine{}
		for {
			page, err := b.LogLines(t.Context(), c.filter, cursor, 2)
			require.NoError(t, err)
			got = append(got, page.Rows...)
			cursor = page.Next
			if len(page.Rows) == 0 {
				break
			}
		}
		require.Equal(t, c.want, got, "%+v", c.filter)
	}
	_, err := b.LogLines(t.Context(), metadata.LogFilter{Run: "r1"}, "nonsense", 0)
	require.ErrorIs(t, err, metadata.ErrInvalid)
}

// A reader that follows a run by cursor while many append to it misses no line and sees none twice.
func TestAFollowerOfTheLogMissesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const writers, batches, batch = 6, 15, 3
	var wait sync.WaitGroup
	for writer := range int64(writers) {
		wait.Go(func() {
			for i := range int64(batches) {
				var lines []metadata.LogLine
				for seq := range int64(batch) {
					lines = append(lines, line(fmt.Sprint("s", writer), writer, i*batch+seq, slog.LevelInfo))
				}
				if err := b.AppendLog(b.Context(), lines); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	seen, cursor := map[string]int{}, ""
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	for finished := false; ; {
		page, err := b.LogLines(t.Context(), metadata.LogFilter{Run: "r1"}, cursor, 10)
		require.NoError(t, err)
		for _, line := range page.Rows {
			seen[line.Message]++
		}
		cursor = page.Next
		if finished && len(page.Rows) == 0 {
			break
		}
		select {
		case <-done:
			finished = true
		default:
		}
	}
	require.Len(t, seen, writers*batches*batch)
	for message, times := range seen {
		require.Equal(t, 1, times, message)
	}
}

func TestHooksAreRecordedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	hook := metadata.HookRun{Run: "r1", Step: "a", Scheduled: time.Unix(0, 5), Hook: "notify", Outcome: metadata.HookErrored, Error: &wire.ErrorInfo{Message: "no route"}}
	isNew, err := b.RecordHook(t.Context(), hook)
	require.NoError(t, err)
	require.True(t, isNew)
	before := b.dump()
	hook.Outcome, hook.Error = metadata.HookCompleted, nil
	isNew, err = b.RecordHook(t.Context(), hook)
	require.NoError(t, err)
	require.False(t, isNew)
	require.Equal(t, before, b.dump())

	hook.Hook = "archive"
	_, err = b.RecordHook(t.Context(), hook)
	require.NoError(t, err)
	done, err := b.HooksDone(t.Context(), "r1", "a", time.Unix(0, 5))
	require.NoError(t, err)
	require.Equal(t, []string{"archive", "notify"}, done)

	// After a reset they run again.
	hook.Scheduled, hook.Outcome = time.Unix(0, 9), metadata.HookSkipped
	done, err = b.HooksDone(t.Context(), "r1", "a", hook.Scheduled)
	require.NoError(t, err)
	require.Empty(t, done)
	_, err = b.RecordHook(t.Context(), hook)
	require.NoError(t, err)
	require.Equal(t, []metadata.EventType{metadata.EventHookErrored, metadata.EventHookCompleted, metadata.EventHookSkipped}, b.types("r1")[2:])
	events, err := b.Events(t.Context(), 0, metadata.EventFilter{Types: []metadata.EventType{metadata.EventHookErrored}}, 0)
	require.NoError(t, err)
	require.JSONEq(t, `{"hook": "notify", "error": {"message": "no route"}}`, string(events[0].Body))
	require.Equal(t, "cause-of-r1", events[0].Cause)
	require.Equal(t, "a", events[0].Step)
}
