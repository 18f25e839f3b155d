package metadata_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// wakeups brings wakes to who waits for them, as Temporal's signals do.
type wakeups struct {
	mu   sync.Mutex
	runs map[string]chan struct{}
}

func (w *wakeups) of(run string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs[run] == nil {
		w.runs[run] = make(chan struct{}, 1)
	}
	return w.runs[run]
}

// send wakes runs; some wakes are lost, as when a process dies before it signals.
func (w *wakeups) send(random *rand.Rand, admitted []wire.AdmittedRun) {
	for _, run := range admitted {
		if random != nil && random.IntN(5) == 0 {
			continue
		}
		select {
		case w.of(run.RunID) <- struct{}{}:
		default:
		}
	}
}

// queueRace is many runs at once, on one deployment.
type queueRace struct {
	*bench
	wakeups
	inPool atomic.Int32
	most   atomic.Int32
}

const racePoolLimit = 3

// travel is a run from its planning to its end.
func (r *queueRace) travel(random *rand.Rand, run metadata.NewRun, steps []wire.PoolStep) error {
	ctx := r.Context()
	planned, err := r.PlanRun(ctx, run)
	if err != nil {
		return err
	}
	if planned.Queued != "" && random.IntN(8) == 0 {
		// Cancelled while it waits.
		if _, err := r.MarkCanceling(ctx, metadata.Canceling{RunID: run.ID, FirstRunID: run.FirstRunID}); err != nil {
			return err
		}
		result, err := r.EndRun(ctx, metadata.RunEnd{RunID: run.ID, FirstRunID: run.FirstRunID, Status: wire.RunCanceled})
		r.send(random, result.Admitted)
		return err
	}
	for admitted := planned.Queued == ""; !admitted; {
		<-r.of(run.ID)
		admission, err := r.AdmitRun(ctx, metadata.Asking{RunID: run.ID, FirstRunID: run.FirstRunID})
		if err != nil {
			return err
		}
		r.send(random, admission.Others)
		admitted = admission.Admitted
	}
	for len(steps) > 0 {
		claims, err := r.ClaimSlots(ctx, metadata.SlotClaim{RunID: run.ID, Scheduled: time.Unix(0, 1), Steps: steps})
		if err != nil {
			return err
		}
		r.send(random, claims.Others)
		if len(claims.Granted) == 0 {
			<-r.of(run.ID)
			continue
		}
		for _, step := range claims.Granted {
			if err := r.work(random, run.ID, step); err != nil {
				return err
			}
		}
		steps = slices.DeleteFunc(steps, func(s wire.PoolStep) bool { return slices.Contains(claims.Granted, s.Step) })
		if random.IntN(10) == 0 {
			break // it is ended while steps wait
		}
	}
	result, err := r.EndRun(ctx, metadata.RunEnd{RunID: run.ID, FirstRunID: run.FirstRunID, Status: wire.RunSuccess})
	r.send(random, result.Admitted)
	return err
}

func (r *queueRace) work(random *rand.Rand, run, step string) error {
	n := r.inPool.Add(1)
	for most := r.most.Load(); n > most && !r.most.CompareAndSwap(most, n); most = r.most.Load() {
	}
	claim, err := r.Claim(r.Context(), request(run, step, 10, 10))
	if err != nil {
		return err
	}
	r.inPool.Add(-1)
	committed, err := r.Commit(r.Context(), commitOf(wire.Fence{Run: run, Step: step, Scheduled: 10, Token: claim.Token}, step+"_"+run))
	if err == nil && committed.Refused {
		err = fmt.Errorf("the commit of %s of %s was refused", step, run)
	}
	r.send(random, committed.Admitted)
	return err
}

// As many at once as there may be: limits hold at every position of the log, nothing waits for ever although wakes are lost, and
// nothing is left at the end.
func TestManyRunsShareTheQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := &queueRace{bench: b, wakeups: wakeups{runs: map[string]chan struct{}{}}}
	five := 5
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &five, TagLimits: &[]wire.TagLimit{{Key: "team", PerValue: true, Limit: 2}, {Key: "heavy", Limit: 1}}})
	b.setPool("gpu", racePoolLimit)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const parallel, each = 32, 5
	deadlocks := b.count("select deadlocks from pg_stat_database where datname = current_database()")

	var wait sync.WaitGroup
	for worker := range parallel {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			for i := range each {
				id := fmt.Sprintf("r%d_%d", worker, i)
				run := inPool(id, "gpu", "x", "y", "z")
				run.Plan.Priority, run.Plan.Tags = wire.Priority(1+random.IntN(5)), map[string]string{"team": fmt.Sprint(random.IntN(4))}
				if random.IntN(4) == 0 {
					run.Plan.Tags["heavy"] = "yes"
				}
				steps := []wire.PoolStep{{Step: "x", Pool: "gpu"}, {Step: "y", Pool: "gpu"}, {Step: "z", Pool: "gpu"}}
				if err := r.travel(random, run, steps); err != nil {
					t.Errorf("run %s: %v", id, err)
				}
			}
		})
	}
	done := make(chan struct{})
	var net sync.WaitGroup
	net.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
			round, err := b.AdmitRuns(t.Context(), metadata.AdmitOptions{Unnoticed: 50 * time.Millisecond})
			if err != nil {
				t.Errorf("round: %v", err)
				return
			}
			r.send(nil, round.Admitted)
		}
	})
	net.Go(func() {
		// Limits change meanwhile, and never go above what is checked.
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-time.After(15 * time.Millisecond):
			}
			runs, slots := 3+i%3, 1+i%racePoolLimit
			set, err := b.SetQueueLimits(t.Context(), metadata.QueueLimits{MaxConcurrentRuns: &runs}, "tester", "")
			if err == nil {
				r.send(nil, set.Admitted)
				set, err = b.SetPool(t.Context(), metadata.PoolSetting{Pool: "gpu", Limit: &slots})
			}
			if err != nil {
				t.Errorf("limits: %v", err)
				return
			}
			r.send(nil, set.Admitted)
		}
	})
	wait.Wait()
	close(done)
	net.Wait()

	require.Positive(t, r.most.Load())
	require.LessOrEqual(t, r.most.Load(), int32(racePoolLimit))
	for _, table := range []string{"queue_entries", "queue_holds", "queue_classes", "slots"} {
		require.Zero(t, b.count("select count(*) from "+table), table)
	}
	requireLimitsHold(t, b, 5)
	t.Logf("deadlocks %d", b.count("select deadlocks from pg_stat_database where datname = current_database()")-deadlocks)
}

// requireLimitsHold reads the log and counts, position by position.
func requireLimitsHold(t *testing.T, b *bench, most int) {
	t.Helper()
	var runs []struct{ ID, Tags string }
	require.NoError(t, b.db.SelectContext(t.Context(), &runs, "select run_id as id, tags::text as tags from runs"))
	tags := map[string]map[string]string{}
	for _, run := range runs {
		var of map[string]string
		require.NoError(t, json.Unmarshal([]byte(run.Tags), &of))
		tags[run.ID] = of
	}
	held, total, begun := map[string]int{}, 0, map[string]bool{}
	count := func(run string, by int) {
		total += by
		for key, value := range tags[run] {
			held[key+"="+value] += by
		}
	}
	for after := int64(0); ; {
		events, err := b.Events(t.Context(), after, metadata.EventFilter{}, 1000)
		require.NoError(t, err)
		if len(events) == 0 {
			break
		}
		for _, event := range events {
			after = event.Position
			switch {
			case !begun[event.Run] && (event.Type == metadata.EventRunStarting || event.Type == metadata.EventRunStart):
				begun[event.Run] = true
				count(event.Run, 1)
			case begun[event.Run] && (event.Type == metadata.EventRunSuccess || event.Type == metadata.EventRunCanceled):
				count(event.Run, -1)
			}
			require.LessOrEqual(t, total, most, "at %d", event.Position)
			for key, n := range held {
				if strings.HasPrefix(key, "team=") {
					require.LessOrEqual(t, n, 2, "%s at %d", key, event.Position)
				} else if key == "heavy=yes" {
					require.LessOrEqual(t, n, 1, "at %d", event.Position)
				}
			}
		}
	}
	require.Zero(t, total)
	require.NotEmpty(t, begun)
}
