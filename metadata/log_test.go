package metadata_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// 32 writers commit with delays of every kind inside and between their transactions, while a reader
// follows by cursor: it must see every event exactly once, in the order of positions, without a gap.
func TestAReaderByCursorSeesEveryEventOnceInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const writers, stepsEach = 32, 12
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	// A commit takes up to some milliseconds more after it has its positions: what makes readers behind a plain
	// sequence lose events.
	_, err := b.db.ExecContext(t.Context(), `
		create function dawdle() returns trigger language plpgsql as $$
		begin if random() < 0.3 then perform pg_sleep(random() * 0.004); end if; return new; end $$;
		create trigger dawdle after insert on materializations for each row execute function dawdle()`)
	require.NoError(t, err)

	want := map[string]int{}
	for writer := range writers {
		run := newRun(fmt.Sprintf("r%d", writer))
		for i := range stepsEach {
			run.Plan.Steps = append(run.Plan.Steps, step(fmt.Sprintf("w%d_s%d", writer, i)))
		}
		_, err := b.PlanRun(t.Context(), run)
		require.NoError(t, err)
	}
	start, err := b.Head(t.Context())
	require.NoError(t, err)

	done := make(chan struct{})
	var wait sync.WaitGroup
	defer wait.Wait()
	for writer := range writers {
		random := rand.New(rand.NewPCG(seed, uint64(writer)))
		run := fmt.Sprintf("r%d", writer)
		for i := range stepsEach {
			name := fmt.Sprintf("w%d_s%d", writer, i)
			want["STEP_START "+name]++
			if i%4 == 3 {
				want["STEP_FAILURE "+name]++
			} else {
				want["STEP_SUCCESS "+name]++
				want["ASSET_MATERIALIZATION "+name]++
			}
		}
		wait.Go(func() {
			for i := range stepsEach {
				name := fmt.Sprintf("w%d_s%d", writer, i)
				<-time.After(time.Duration(random.IntN(3)) * time.Millisecond)
				claim, err := b.Claim(t.Context(), request(run, name, 1, 1))
				if err != nil || claim.Outcome != wire.ClaimGranted {
					t.Errorf("claim %s: %v %v", name, claim.Outcome, err)
					return
				}
				fence := wire.Fence{Run: run, Step: name, Scheduled: 1, Token: claim.Token}
				if i%4 == 3 {
					_, err = b.Store.Fail(t.Context(), wire.Failure{Fence: fence, Attempt: 1, Final: true})
				} else {
					_, err = b.Commit(t.Context(), commitOf(fence, name))
				}
				if err != nil {
					t.Errorf("end %s: %v", name, err)
					return
				}
			}
		})
	}
	go func() { wait.Wait(); close(done) }()

	got := map[string]int{}
	for cursor, finished := start, false; ; {
		select {
		case <-done:
			finished = true
		default:
		}
		events, err := b.Events(t.Context(), cursor, metadata.EventFilter{}, 7)
		require.NoError(t, err)
		for _, event := range events {
			require.Equal(t, cursor+1, event.Position, "a gap: an event would become visible behind the reader")
			cursor = event.Position
			got[string(event.Type)+" "+event.Step]++
		}
		if finished && len(events) == 0 {
			break
		}
	}
	require.Equal(t, want, got)
}

func TestACommitAcrossAMonthsEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2031-01-31T23:59:59.9Z")
	require.NoError(t, b.EnsureMonths(t.Context()))
	b.begin("r1", step("a"), step("b"))
	fence := b.granted("r1", "a", 1, 1)
	b.setClock("2031-02-01T00:00:00.1Z")
	committed := b.commit(fence, "a")
	require.False(t, committed.Refused)
	require.Equal(t, committed, b.commit(fence, "a"))
	require.Equal(t, wire.ClaimDone, b.claim("r1", "a", 1, 2).Outcome)

	require.Equal(t, 1, b.count("select count(*) from event_log_2031_01 where type = 'RUN_START'"))
	require.Equal(t, 1, b.count("select count(*) from event_log_2031_02 where type = 'STEP_START' and body->>'started_at' like '2031-01-31T23:59:59.9%'"))
	require.Equal(t, 1, b.count("select count(*) from event_log_2031_02 where type = 'ASSET_MATERIALIZATION'"))
	require.Equal(t, 1, b.count("select count(*) from materializations"))
	require.Zero(t, b.count("select count(*) from event_log_default"))
	requireConsecutive(t, b)
}

func TestAMonthThatNobodyMade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2031-12-31T23:00:00Z")
	b.begin("r1", step("a"), step("b"))
	b.setClock("2032-01-01T01:00:00Z")
	b.committed("r1", "a", 1, "a")
	require.Equal(t, 6, b.count("select count(*) from event_log_default"))

	// Whoever makes the months moves the rows to where they belong, those of months gone by as well.
	var wait sync.WaitGroup
	defer wait.Wait()
	for range 3 {
		wait.Go(func() {
			if err := b.EnsureMonths(t.Context()); err != nil {
				t.Errorf("make the months: %v", err)
			}
		})
	}
	b.commit(b.granted("r1", "b", 2, 2), "b")
	wait.Wait()
	require.Zero(t, b.count("select count(*) from event_log_default"))
	require.Equal(t, 3, b.count("select count(*) from event_log_2031_12"))
	require.Equal(t, 6, b.count("select count(*) from event_log_2032_01"))
	for _, month := range []string{"2032_02", "2032_03", "2032_04"} {
		require.Zero(t, b.count("select count(*) from event_log_"+month))
	}
	requireConsecutive(t, b)
}

// Whoever makes months stops the commits meanwhile, so it waits for nobody for long: neither for a long
// transaction of a writer nor for a long reader of the log.
func TestMakingMonthsGivesWay(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]string{
		"a writer": "select 1 from log_head for update", "a reader": "select 1 from event_log limit 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.setClock("2031-12-31T23:00:00Z")
			b.begin("r1", step("a"))
			tx, err := b.db.BeginTxx(t.Context(), nil)
			require.NoError(t, err)
			_, err = tx.ExecContext(t.Context(), hold)
			require.NoError(t, err)
			require.ErrorIs(t, b.EnsureMonths(t.Context()), metadata.ErrContended)
			require.NoError(t, tx.Rollback())
			b.committed("r1", "a", 1, "a")
			require.NoError(t, b.EnsureMonths(t.Context()))
			require.Zero(t, b.count("select count(*) from event_log_default"))
			requireConsecutive(t, b)
		})
	}
}

// requireConsecutive says that the log holds every position up to its head once.
func requireConsecutive(t *testing.T, b *bench) {
	t.Helper()
	head, err := b.Head(t.Context())
	require.NoError(t, err)
	events, err := b.Events(t.Context(), 0, metadata.EventFilter{}, 1000)
	require.NoError(t, err)
	require.Len(t, events, int(head))
	for i, event := range events {
		require.Equal(t, int64(i+1), event.Position)
	}
}
