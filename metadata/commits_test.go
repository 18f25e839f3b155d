package metadata_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// many begins a run of so many steps, each granted.
func (b *bench) many(run string, steps int) []wire.Fence {
	b.Helper()
	planned := make([]plan.Step, steps)
	for i := range planned {
		planned[i] = step(run + strconv.Itoa(i))
	}
	b.begin(run, planned...)
	fences := make([]wire.Fence, steps)
	for i := range fences {
		fences[i] = b.granted(run, planned[i].Key, 5, 5)
	}
	return fences
}

// locked is a transaction that holds rows.
func (b *bench) locked(query string, arguments ...any) *sqlx.Tx {
	b.Helper()
	holder, err := b.db.BeginTxx(context.WithoutCancel(b.Context()), nil)
	require.NoError(b, err)
	b.Cleanup(func() { _ = holder.Rollback() })
	_, err = holder.ExecContext(b.Context(), query, arguments...)
	require.NoError(b, err)
	return holder
}

// awaitLocked waits until so many calls of commits wait for a lock.
func (b *bench) awaitLocked(n int) {
	b.Helper()
	require.Eventually(b, func() bool {
		return b.count(`select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%commit_step%' and datname = current_database()`) >= n
	}, 10*time.Second, 5*time.Millisecond)
}

// underWay begins commits that wait for a lock.
func (b *bench) underWay(fences ...wire.Fence) *sync.WaitGroup {
	b.Helper()
	var group sync.WaitGroup
	for _, fence := range fences {
		group.Go(func() {
			if _, err := b.Commit(b.Context(), commitOf(fence, fence.Step)); err != nil {
				b.Errorf("commit %s: %v", fence.Step, err)
			}
		})
	}
	b.awaitLocked(len(fences))
	return &group
}

// While two commits wait for the log, forty more come: they are made in a few transactions, and each is answered as if it were alone.
func TestCommitsThatWaitAreMadeTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const first, steps = 2, 42
	fences := b.many("r", steps)
	stale := fences[steps-1]
	stale.Token++
	log := b.locked("select 1 from log_head for update")
	commits := make([]wire.Committed, steps)
	var group sync.WaitGroup
	var begun atomic.Int64
	commit := func(i int, fence wire.Fence) {
		group.Go(func() {
			begun.Add(1)
			var err error
			commits[i], err = b.Commit(b.Context(), commitOf(fence, fence.Step))
			if err != nil {
				b.Errorf("commit %s: %v", fence.Step, err)
			}
		})
	}
	for i := range first {
		commit(i, fences[i])
	}
	b.awaitLocked(first)
	for i := first; i < steps-1; i++ {
		commit(i, fences[i])
	}
	commit(steps-1, stale)
	require.Eventually(t, func() bool { return begun.Load() == steps }, 10*time.Second, time.Millisecond)
	require.NoError(t, log.Commit())
	group.Wait()

	for i, fence := range fences[:steps-1] {
		require.False(t, commits[i].Refused, i)
		require.Equal(t, []string{fence.Step}, commits[i].Result.Materialized)
		require.Equal(t, wire.StepSuccess, b.stepRow("r", fence.Step).Status)
	}
	require.Equal(t, wire.Committed{Refused: true}, commits[steps-1])
	require.Equal(t, steps-1, b.count("select count(*) from materializations"))
	require.Less(t, b.count("select count(distinct xmin::text) from event_log where type = 'STEP_SUCCESS'"), steps/4)
	require.Zero(t, b.count("select count(*) from (select position - lag(position) over (order by position) as step from event_log) e where step <> 1"))
	for _, fence := range fences[:steps-1] {
		require.Equal(t, []metadata.EventType{metadata.EventStepStart, metadata.EventMaterialization, metadata.EventStepSuccess}, b.typesOf("r", fence.Step))
	}

	// Asked again each answers as it did.
	before := b.dump()
	for i, fence := range fences[:steps-1] {
		require.Equal(t, commits[i], b.commit(fence, fence.Step))
	}
	require.Equal(t, before, b.dump())
}

// typesOf are the types of a step's events in their order.
func (b *bench) typesOf(run, step string) []metadata.EventType {
	b.Helper()
	events, err := b.Events(b.Context(), 0, metadata.EventFilter{Run: run}, 1000)
	require.NoError(b, err)
	var types []metadata.EventType
	for _, event := range events {
		if event.Step == step {
			types = append(types, event.Type)
		}
	}
	return types
}

// What cannot be made together with others is left as it was, for its own call; the others are made.
func TestCommitsThatNeedALockOrBringStepsAreMadeAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fences := b.many("r", 5)
	fan := op("pages")
	fan.FanOut = true
	b.begin("fans", fan)
	pages := wire.Fence{Run: "fans", Step: "pages", Scheduled: 5, Token: b.claimOp("fans", "pages", 5).Token}
	b.locked("select 1 from steps where run_id = 'r' and step = 'r1' for update")
	b.locked("select 1 from writers where run_id = 'r' and step = 'r2' for update")
	_, err := b.db.ExecContext(t.Context(), `insert into slots (run_id, step, pool, scheduled, priority, step_order, asked_at, granted_at)
		values ('r', 'r3', 'gpu', 5, 3, 0, now(), now())`)
	require.NoError(t, err)

	answers := b.commitTogether(commitOf(fences[0], "r0"), commitOf(fences[1], "r1"), commitOf(fences[2], "r2"), commitOf(fences[3], "r3"),
		commitOf(fences[4], "r4"), opCommit(pages, "a", "b"))
	require.NotNil(t, answers[0])
	require.NotNil(t, answers[4])
	for _, i := range []int{1, 2, 3, 5} {
		require.Nil(t, answers[i], i)
	}
	require.Equal(t, 2, b.count("select count(*) from materializations"))
	require.Equal(t, 3, b.count("select count(*) from steps where run_id = 'r' and state = 'open'"))
	require.Equal(t, wire.StepSuccess, b.stepRow("r", "r4").Status)
}

func (b *bench) commitTogether(commits ...wire.Commit) []*wire.Committed {
	b.Helper()
	answer, err := askDirectly[struct {
		Answers []*wire.Committed `json:"answers"`
	}](b, "commit_steps_v1", map[string]any{"commits": commits})
	require.NoError(b, err)
	require.Len(b, answer.Answers, len(commits))
	return answer.Answers
}

// One that Postgres cannot take spoils nobody else's.
func TestACommitThatFailsSpoilsNoOther(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fences := b.many("r", 6)
	log := b.locked("select 1 from log_head for update")
	failures := make([]error, len(fences))
	var group sync.WaitGroup
	for i, fence := range fences {
		group.Go(func() {
			commit := commitOf(fence, fence.Step)
			if i == len(fences)-1 {
				commit.Attempt = 1 << 40 // more than the log takes
			}
			_, failures[i] = b.Commit(b.Context(), commit)
		})
		if i < 2 {
			b.awaitLocked(i + 1)
		}
	}
	require.NoError(t, log.Commit())
	group.Wait()
	for i := range len(fences) - 1 {
		require.NoError(t, failures[i])
	}
	require.ErrorContains(t, failures[len(fences)-1], fmt.Sprintf("commit step %q of run %q", "r5", "r"))
	require.Equal(t, len(fences)-1, b.count("select count(*) from materializations"))
}

// Whoever gives up while he waits has not committed.
func TestACommitThatGivesUpItsTurnIsNotMade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fences := b.many("r", 3)
	log := b.locked("select 1 from log_head for update")
	underWay := b.underWay(fences[0], fences[1])
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Commit(ended, commitOf(fences[2], "r2"))
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, log.Commit())
	underWay.Wait()
	require.Equal(t, 2, b.count("select count(*) from materializations"))
	require.False(t, b.commit(fences[2], "r2").Refused)
}

// Two that wait for something hold up nobody for long.
func TestACommitDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fences := b.many("r", 3)
	rows := b.locked("select 1 from steps where run_id = 'r' and step in ('r0', 'r1') for update")
	underWay := b.underWay(fences[0], fences[1])
	require.False(t, b.commit(fences[2], "r2").Refused)
	require.Equal(t, 1, b.count("select count(*) from materializations"))
	require.NoError(t, rows.Commit())
	underWay.Wait()
}
