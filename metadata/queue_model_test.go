package metadata_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// modelRun is a run as the model of the queue knows it.
type modelRun struct {
	metadata.NewRun
	status wire.RunStatus
	seq    int
	steps  []wire.PoolStep
	ended  map[string]bool
	base   int64 // Temporal's time, which goes on with a reset
}

// modelSlot is a slot that a step holds or waits for.
type modelSlot struct {
	run     *modelRun
	step    wire.PoolStep
	seq     int
	granted bool
}

type modelPool struct {
	limit       *int
	granularity wire.PoolGranularity
}

// queueModel says in the plainest way what the queue and the pools are to do.
type queueModel struct {
	runs        map[string]*modelRun
	slots       []*modelSlot
	running     map[[2]string]wire.PoolStep // steps that are claimed
	max         int
	tags        []wire.TagLimit
	poolLimit   int
	granularity wire.PoolGranularity
	pools       map[string]modelPool
	clock       int
	woken       map[string][]string
}

func (m *queueModel) next() int { m.clock++; return m.clock }

// effective is a pool's limit, -1 for none, and what it counts.
func (m *queueModel) effective(pool string) (int, wire.PoolGranularity) {
	set := m.pools[pool]
	limit := m.poolLimit
	if limit == 0 {
		limit = -1
	}
	if set.limit != nil {
		limit = *set.limit
	}
	return limit, cmp.Or(set.granularity, m.granularity)
}

func (m *queueModel) counted(pool string) bool {
	limit, granularity := m.effective(pool)
	return limit >= 0 && granularity == wire.PoolOfSteps
}

// needs are the limits that a run is under, with their numbers.
func (m *queueModel) needs(run *modelRun) map[string]int {
	needs := map[string]int{}
	if m.max >= 0 {
		needs["runs"] = m.max
	}
	for _, limit := range m.tags {
		value, has := run.Plan.Tags[limit.Key]
		switch {
		case !has || limit.Value != "" && limit.Value != value:
		case limit.PerValue:
			needs["each "+limit.Key+"="+value] = limit.Limit
		default:
			needs[limit.String()] = limit.Limit
		}
	}
	for _, step := range run.steps {
		if limit, granularity := m.effective(step.Pool); limit >= 0 && granularity == wire.PoolOfRuns {
			needs["pool "+step.Pool] = limit
		}
	}
	return needs
}

func (r *modelRun) inProgress() bool {
	return r.status == wire.RunStarting || r.status == wire.RunStarted || r.status == wire.RunCanceling && !r.Scheduled.IsZero()
}

// held counts the runs in progress under each limit.
func (m *queueModel) held() map[string]int {
	held := map[string]int{}
	for _, run := range m.runs {
		if run.inProgress() {
			for need := range m.needs(run) {
				held[need]++
			}
		}
	}
	return held
}

func (m *queueModel) waiting() []*modelRun {
	var waiting []*modelRun
	for _, run := range m.runs {
		if run.status == wire.RunQueued {
			waiting = append(waiting, run)
		}
	}
	slices.SortFunc(waiting, func(a, b *modelRun) int {
		return cmp.Or(cmp.Compare(a.Plan.Priority, b.Plan.Priority), cmp.Compare(a.seq, b.seq))
	})
	return waiting
}

// settle admits runs and grants slots as long as anything has room.
func (m *queueModel) settle() {
	held := m.held()
	for _, run := range m.waiting() {
		needs := m.needs(run)
		room := true
		for need, limit := range needs {
			room = room && held[need] < limit
		}
		if room {
			for need := range needs {
				held[need]++
			}
			run.status = wire.RunStarting
			run.Scheduled = time.Unix(0, 1) // it has a place
			if _, woken := m.woken[run.ID]; !woken {
				m.woken[run.ID] = nil
			}
		}
	}
	taken := map[string]int{}
	for _, slot := range m.slots {
		if slot.granted {
			taken[slot.step.Pool]++
		}
	}
	slices.SortStableFunc(m.slots, func(a, b *modelSlot) int {
		return cmp.Or(cmp.Compare(a.run.Plan.Priority, b.run.Plan.Priority), -cmp.Compare(a.step.Order, b.step.Order), cmp.Compare(a.seq, b.seq))
	})
	for _, slot := range m.slots {
		limit, _ := m.effective(slot.step.Pool)
		if !slot.granted && (!m.counted(slot.step.Pool) || taken[slot.step.Pool] < limit) {
			slot.granted = true
			taken[slot.step.Pool]++
			m.woken[slot.run.ID] = append(m.woken[slot.run.ID], slot.step.Step)
		}
	}
	m.slots = slices.DeleteFunc(m.slots, func(s *modelSlot) bool { return !m.counted(s.step.Pool) })
}

// countedPools are the pools that have a limit on steps.
func (m *queueModel) countedPools() map[string]bool {
	counted := map[string]bool{}
	for _, pool := range []string{"gpu", "db", "free"} {
		counted[pool] = m.counted(pool)
	}
	return counted
}

func (m *queueModel) slot(run, step string) *modelSlot {
	for _, slot := range m.slots {
		if slot.run.ID == run && slot.step.Step == step {
			return slot
		}
	}
	return nil
}

func (m *queueModel) free(drop func(*modelSlot) bool) { m.slots = slices.DeleteFunc(m.slots, drop) }

// adopt counts the steps that run in those of the pools that have a limit now, and had none before. What runs without a slot in one
// that had a limit lost it to somebody who took it away.
func (m *queueModel) adopt(before map[string]bool, pools ...string) {
	for key, step := range m.running {
		if slices.Contains(pools, step.Pool) && !before[step.Pool] && m.counted(step.Pool) && m.slot(key[0], key[1]) == nil {
			m.slots = append(m.slots, &modelSlot{run: m.runs[key[0]], step: step, seq: m.next(), granted: true})
		}
	}
}

// Whatever happens in whatever order, the SQL functions do what the model does, at every step; and when all has ended nothing is left.
func TestTheQueueDoesWhatItsModelDoes(t *testing.T) {
	t.Parallel()
	for i := range 3 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", seed)
			runQueueModel(t, seed, 220)
		})
	}
}

func runQueueModel(t *testing.T, seed uint64, operations int) {
	t.Helper()
	w := &queueWorld{
		bench: newBench(t), random: rand.New(rand.NewPCG(seed, 1)),
		queueModel: &queueModel{
			runs: map[string]*modelRun{}, running: map[[2]string]wire.PoolStep{}, max: -1, granularity: wire.PoolOfSteps,
			pools: map[string]modelPool{}, woken: map[string][]string{},
		},
	}
	operation := []func() string{
		w.plan, w.plan, w.plan, w.plan, w.ask, w.ask, w.ask, w.finish, w.finish, w.cancel, w.reset, w.claimSome, w.claimSome,
		w.claimSome, w.work, w.work, w.work, w.work, w.relimit, w.repool, w.seize, w.round,
	}
	done := []string{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(done[max(0, len(done)-25):])
		}
	})
	for range operations {
		what := pick(w, operation)()
		done = append(done, what)
		require.Empty(t, w.woken, what)
		w.agree(what)
	}
	for w.open(wire.RunQueued, wire.RunStarting, wire.RunStarted, wire.RunCanceling) != nil {
		w.agree(w.finish())
	}
	for _, table := range []string{"queue_entries", "queue_holds", "queue_classes", "slots"} {
		require.Zero(t, w.count("select count(*) from "+table), table)
	}
}
