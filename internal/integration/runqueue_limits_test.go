//go:build unix

package integration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// waitingRun is a run as the queue sees it.
type waitingRun struct {
	id       string
	priority wire.Priority
	tags     map[string]string
	// place is when it came, among all.
	place int
}

// startMany starts so many runs of mixed priorities and tags, each of an asset of its own.
func (f *fixture) startMany(t *testing.T, count int) map[string]*waitingRun {
	t.Helper()
	runs := map[string]*waitingRun{}
	var starting errgroup.Group
	starting.SetLimit(8)
	for i := range count {
		run := &waitingRun{id: f.spec.Location + "-" + strconv.Itoa(i), priority: wire.Priority([]int{3, 1, 5, 4, 3, 2}[i%6]), tags: map[string]string{}}
		if i%3 > 0 {
			run.tags["team"] = []string{"a", "b", "c"}[i%7%3]
		}
		if i%5 == 0 {
			run.tags["heavy"] = "yes"
		}
		runs[run.id] = run
		starting.Go(func() error {
			_, err := f.Starter.StartRun(t.Context(), starter.NewRun{Location: f.spec.Location, ID: run.id, Request: wire.RunRequest{
				Assets: wire.AssetSelection{Keys: []string{"a" + strconv.Itoa(i)}}, Priority: run.priority, Tags: run.tags,
			}})
			return err
		})
	}
	require.NoError(t, starting.Wait())
	return runs
}

func manyAssets(count int) []testlocation.Asset {
	assets := make([]testlocation.Asset, count)
	for i := range assets {
		assets[i] = asset("a" + strconv.Itoa(i))
	}
	return assets
}

// tagLimits are those of the test: two of each team, and one that is heavy.
func tagLimits() []wire.TagLimit {
	return []wire.TagLimit{{Key: "team", PerValue: true, Limit: 2}, {Key: "heavy", Limit: 1}}
}

// under are the tag limits that a run is under, as text.
func (r *waitingRun) under() map[string]int {
	limits := map[string]int{}
	if team := r.tags["team"]; team != "" {
		limits["team="+team] = 2
	}
	if r.tags["heavy"] != "" {
		limits["heavy"] = 1
	}
	return limits
}

// queueLog replays the event log of runs that were all queued before one was admitted: which are in progress, under which
// limit, and who is the next.
type queueLog struct {
	runs    map[string]*waitingRun
	waiting []*waitingRun // in order
	open    map[string]bool
	tags    map[string]int
	limit   int
	most    int
}

func newQueueLog(runs map[string]*waitingRun) *queueLog {
	q := &queueLog{runs: runs, open: map[string]bool{}, tags: map[string]int{}, waiting: slices.Collect(maps.Values(runs))}
	slices.SortFunc(q.waiting, func(a, b *waitingRun) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.place, b.place))
	})
	return q
}

// fits says whether every tag limit of a run has room.
func (q *queueLog) fits(run *waitingRun) bool {
	for limit, most := range run.under() {
		if q.tags[limit] >= most {
			return false
		}
	}
	return true
}

// admit finds that a run was the next, and that there was room.
func (q *queueLog) admit(t *testing.T, id string) {
	t.Helper()
	next := slices.IndexFunc(q.waiting, q.fits)
	require.GreaterOrEqual(t, next, 0, "%s was admitted, and none had room under its tags", id)
	require.Equal(t, q.waiting[next].id, id, "another one was before it: %+v", *q.waiting[next])
	require.Less(t, len(q.open), q.limit, "%s was admitted beyond the limit", id)
	for limit := range q.waiting[next].under() {
		q.tags[limit]++
	}
	q.open[id] = true
	q.most = max(q.most, len(q.open))
	q.waiting = slices.Delete(q.waiting, next, next+1)
}

func (q *queueLog) end(id string) {
	if q.open[id] {
		for limit := range q.runs[id].under() {
			q.tags[limit]--
		}
		delete(q.open, id)
	}
}

// replay goes through the log. What a change of limits admits stands before the change.
func (q *queueLog) replay(t *testing.T, events []metadata.Event) {
	t.Helper()
	limitOf := func(event metadata.Event) int {
		var body struct {
			Most int `json:"max_concurrent_runs"`
		}
		require.NoError(t, json.Unmarshal(event.Body, &body))
		return body.Most
	}
	for i, event := range events {
		switch event.Type {
		case metadata.EventRunStarting:
			next := slices.IndexFunc(events[i:], func(e metadata.Event) bool { return e.Type != metadata.EventRunStarting })
			if next > 0 && events[i+next].Type == metadata.EventQueueLimitsSet {
				q.limit = max(q.limit, limitOf(events[i+next]))
			}
			q.admit(t, event.Run)
		case metadata.EventQueueLimitsSet:
			q.limit = limitOf(event)
		default:
			q.end(event.Run)
		}
	}
}

// queueEvents are all events of the log that tell of the queue.
func (f *fixture) queueEvents(t *testing.T) []metadata.Event {
	t.Helper()
	var all []metadata.Event
	for after := int64(0); ; {
		events, err := f.Store.Events(t.Context(), after, metadata.EventFilter{Types: []metadata.EventType{
			metadata.EventRunStarting, metadata.EventQueueLimitsSet, metadata.EventRunSuccess, metadata.EventRunFailure, metadata.EventRunCanceled,
		}}, 1000)
		require.NoError(t, err)
		all = append(all, events...)
		if len(events) < 1000 {
			return all
		}
		after = events[len(events)-1].Position
	}
}

// requireNothingWaits finds that no run and no slot was left behind.
func (f *fixture) requireNothingWaits(t *testing.T) {
	t.Helper()
	for _, table := range []string{"queue_entries", "queue_holds", "queue_classes", "slots"} {
		require.Zero(t, f.count(t, "select count(*) from "+table), table)
	}
}

// awaitQueued waits until so many runs are in the queue, and notes in which order they came.
func (f *fixture) awaitQueued(t *testing.T, runs map[string]*waitingRun) {
	t.Helper()
	require.Eventually(t, func() bool {
		return f.count(t, "select count(*) from queue_entries where admitted_at is null") == len(runs)
	}, longEnough, often)
	f.query(t, "select run_id, seq from queue_entries", func(scan func(...any) error) error {
		var id string
		var place int
		err := scan(&id, &place)
		runs[id].place = place
		return err
	})
}

// Two hundred runs wait, and are admitted in their order, while limits change: at no instant are there more in progress than
// there may be, and none is passed over.
func TestLimitsOfRunsHoldAtEveryInstant(t *testing.T) {
	t.Parallel()
	const count = 200
	f := queued(t, manyAssets(count))
	f.worker(t, "b1")
	f.worker(t, "b1")
	f.limitRuns(t, 0, tagLimits()...)
	runs := f.startMany(t, count)
	f.awaitQueued(t, runs)

	ended := func(n int) {
		require.Eventually(t, func() bool {
			return f.count(t, "select count(*) from runs where status = 'SUCCESS'") >= n
		}, longEnough, often, "%d runs have not ended", n)
	}
	f.limitRuns(t, 5, tagLimits()...)
	ended(60)
	f.limitRuns(t, 2, tagLimits()...)
	ended(80)
	f.limitRuns(t, 8, tagLimits()...)
	ended(count)

	log := newQueueLog(runs)
	log.replay(t, f.queueEvents(t))
	require.Empty(t, log.waiting)
	require.Empty(t, log.open)
	require.Equal(t, 8, log.most, "the limits were used")
	f.requireNothingWaits(t)
	require.Len(t, f.notes(t, testlocation.Called, ""), count)
}

// Steps of pools run in turn, whichever runs they are of.
func TestLimitsOfPoolsHoldAtEveryInstant(t *testing.T) {
	t.Parallel()
	const count = 12
	var assets []testlocation.Asset
	for i := range count {
		first, second := "first"+strconv.Itoa(i), "second"+strconv.Itoa(i)
		assets = append(assets, testlocation.Asset{Key: first, Pool: "db"}, testlocation.Asset{Key: second, Pool: "db", Inputs: []string{first}},
			testlocation.Asset{Key: "other" + strconv.Itoa(i), Pool: "free"})
	}
	f := queued(t, assets)
	f.worker(t, "b1")
	f.worker(t, "b1")
	f.limitPool(t, "db", 3)
	firsts, runs := make([]string, count), make([]string, count)
	for i := range firsts {
		firsts[i] = "first" + strconv.Itoa(i)
	}
	f.hold(t, firsts...)
	for i := range runs {
		runs[i] = f.start(t, strconv.Itoa(i), fmt.Sprintf("first%d or second%d or other%d", i, i, i))
	}
	require.Eventually(t, func() bool {
		called := slices.DeleteFunc(f.notes(t, testlocation.Called, ""), func(note testlocation.Note) bool { return !slices.Contains(firsts, note.Asset) })
		return len(called) == 3
	}, longEnough, often, "the limit was not used")
	f.release(t, firsts...)
	for _, run := range runs {
		_, err := f.await(t, run)
		require.NoError(t, err)
	}
	// How many had claimed a step of the pool when another one did, and had not committed it.
	type moment struct{ claimed, done int64 }
	var moments []moment
	f.query(t, `select extract(epoch from s.claimed_at) * 1e6, extract(epoch from e.at) * 1e6
		from steps s join plan_steps p using (run_id, step) join event_log e on e.run_id = s.run_id and e.step = s.step and e.type = 'STEP_SUCCESS'
		where p.pool = 'db'`, func(scan func(...any) error) error {
		var claimed, done float64
		err := scan(&claimed, &done)
		moments = append(moments, moment{int64(claimed), int64(done)})
		return err
	})
	require.Len(t, moments, 2*count)
	most := 0
	for _, one := range moments {
		running := 0
		for _, other := range moments {
			if other.claimed <= one.claimed && one.claimed < other.done {
				running++
			}
		}
		most = max(most, running)
	}
	require.Equal(t, 3, most)
	f.requireNothingWaits(t)
}
