//go:build unix

package integration

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/computelog"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// newFan is a fixture whose location has a job of ops with a dynamic output.
func newFan(t *testing.T, fan testlocation.Fan) *fixture {
	t.Helper()
	f := newFixture(t, nil)
	fan.Job = "pages"
	if fan.Keys == nil {
		fan.Keys = []string{"a", "b", "c"}
	}
	f.spec.Fan = &fan
	return f
}

func (f *fixture) startJob(t *testing.T, name string) string {
	t.Helper()
	id := f.spec.Location + "-" + name
	_, err := f.Starter.StartRun(t.Context(), starter.NewRun{Location: f.spec.Location, ID: id, Request: wire.RunRequest{Job: "pages"}})
	require.NoError(t, err)
	return id
}

// requireFan finds nothing wrong with a run of the job: every step is done once, and the total is right.
func (f *fixture) requireFan(t *testing.T, run string) {
	t.Helper()
	fan := f.spec.Fan
	result, err := f.await(t, run)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: len(fan.Steps())}, result.Steps)
	done := map[string]int{}
	for _, event := range f.events(t, run, metadata.EventStepSuccess) {
		done[event.Step]++
	}
	for step, found := range f.steps(t, run) {
		require.Equal(t, wire.StepSuccess, found.Status, step)
		require.Equal(t, 1, done[step], step)
	}
	require.Len(t, done, len(fan.Steps()))
	require.Equal(t, len(fan.Steps()), f.run(t, run).StepsTotal)
	require.Equal(t, fan.Sum(), f.output(t, run, "total").Sum)
}

// output is the stored output of an op's step.
func (f *fixture) output(t *testing.T, run, step string) testlocation.Value {
	t.Helper()
	var location string
	f.query(t, "select location from step_outputs where run_id = $1 and step = $2", func(scan func(...any) error) error { return scan(&location) }, run, step)
	at, err := url.Parse(location)
	require.NoError(t, err)
	data, err := os.ReadFile(at.Path)
	require.NoError(t, err, location)
	var value testlocation.Value
	require.NoError(t, json.Unmarshal(data, &value))
	return value
}

// requireFanCalls checks how often the functions of the job's steps were called: once, but for those named.
func (f *fixture) requireFanCalls(t *testing.T, others map[string]int) {
	t.Helper()
	want, got := map[string]int{}, map[string]int{}
	for _, step := range f.spec.Fan.Steps() {
		want[step] = 1
	}
	for step, n := range others {
		if want[step] = n; n == 0 {
			delete(want, step)
		}
	}
	for _, note := range f.notes(t, testlocation.Called, "") {
		got[note.Asset]++
	}
	require.Equal(t, want, got)
}

func TestADynamicOutputIsMappedAndCollected(t *testing.T) {
	t.Parallel()
	f := newFan(t, testlocation.Fan{Hooks: true})
	f.worker(t, "b1")
	run := f.startJob(t, "1")
	f.requireFan(t, run)
	f.requireFanCalls(t, nil)
	// The run's end has waited for the hooks of each step.
	require.Len(t, f.notes(t, testlocation.Hooked, ""), len(f.spec.Fan.Steps()))
	require.Len(t, f.events(t, run, metadata.EventHookCompleted), len(f.spec.Fan.Steps()))
	require.Equal(t, "b", f.steps(t, run)["clean[b]"].MappingKey)

	// What a step logged and printed was kept before it ended.
	logged, err := f.Store.LogLines(t.Context(), metadata.LogFilter{Run: run}, "", 10)
	require.NoError(t, err)
	require.Len(t, logged.Rows, 1)
	require.Equal(t, "total: summing up {\"parts\": 3}", fmt.Sprintf("%s: %s %s", logged.Rows[0].Step, logged.Rows[0].Message, logged.Rows[0].Attributes))
	prints, err := computelog.Open(t.Context(), "file://"+filepath.Join(f.Folder(), "storage"), computelog.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, prints.Close()) }()
	printed, err := prints.Steps(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, []string{"total"}, printed)
}

func TestAWorkerDiesInTheMiddleOfAFan(t *testing.T) {
	t.Parallel()
	f := newFan(t, testlocation.Fan{})
	first := f.worker(t, "b1")
	f.hold(t, "load[b]")
	run := f.startJob(t, "1")
	f.awaitNotes(t, testlocation.Called, "load[b]", 1)
	for _, step := range []string{"clean[a]", "clean[c]"} {
		f.awaitStep(t, run, step, func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	}
	f.worker(t, "b1")
	killed := time.Now()
	require.NoError(t, first.Kill())
	calls := f.awaitNotes(t, testlocation.Called, "load[b]", 2)
	require.Less(t, calls[1].At.Sub(killed), noticedWithin)
	f.release(t, "load[b]")
	f.requireFan(t, run)
	f.requireFanCalls(t, map[string]int{"load[b]": 2})
	require.Equal(t, 1, f.steps(t, run)["load[b]"].Lost)
}

// A local activity that runs again has a new ScheduledTime; the record knows it by its workflow's execution.
func TestAWorkerOfLocalActivitiesDies(t *testing.T) {
	t.Parallel()
	f := newFan(t, testlocation.Fan{Local: true})
	first := f.worker(t, "b1")
	f.hold(t, "load[b]")
	run := f.startJob(t, "1")
	f.awaitNotes(t, testlocation.Called, "load[b]", 1)
	for _, step := range []string{"clean[a]", "clean[c]"} {
		f.awaitStep(t, run, step, func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	}
	f.worker(t, "b1")
	require.NoError(t, first.Kill())
	f.awaitNotes(t, testlocation.Called, "load[b]", 2)
	f.release(t, "load[b]")
	f.requireFan(t, run)
	f.requireFanCalls(t, map[string]int{"load[b]": 2})
	require.Equal(t, 1, f.steps(t, run)["load[b]"].Lost)
	require.Empty(t, f.pendingTypes(t, run, "load"), "no step was an activity")
}

// pendingTypes are the ids of the activities of a type that a run's history has.
func (f *fixture) pendingTypes(t *testing.T, run, activityType string) (ids []string) {
	t.Helper()
	for _, event := range f.history(t, run, "") {
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled.GetActivityType().GetName() == activityType {
			ids = append(ids, scheduled.GetActivityId())
		}
	}
	return ids
}

func TestAFanIsExecutedAgainFromItsFailure(t *testing.T) {
	t.Parallel()
	f := newFan(t, testlocation.Fan{Hooks: true})
	f.worker(t, "b1")
	f.instruct(t, "load[b]", testlocation.Instruction{FailAll: true})
	run := f.startJob(t, "1")
	f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Succeeded: 5, Failed: 1, Skipped: 2})
	f.release(t, "load[b]")

	again, err := f.Starter.Reexecute(t.Context(), starter.Reexecution{RunID: run})
	require.NoError(t, err)
	result, err := f.await(t, again.ID)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 3}, result.Steps, "what was done is not done again")
	f.requireFanCalls(t, map[string]int{"load[b]": 2})
	require.Equal(t, f.spec.Fan.Sum(), f.output(t, again.ID, "total").Sum)
	row := f.run(t, again.ID)
	require.Equal(t, []string{run, run}, []string{row.ParentRunID, row.RootRunID})
	require.Equal(t, run, f.steps(t, again.ID)["load[a]"].InheritedFrom)
	require.Len(t, f.events(t, run, metadata.EventHookCompleted), 6)
}

func TestAFailedRunIsStartedAgainByItself(t *testing.T) {
	t.Parallel()
	f := newFan(t, testlocation.Fan{Tags: map[string]string{"perdure/max_retries": "1"}})
	f.worker(t, "b1")
	f.instruct(t, "load[b]", testlocation.Instruction{FailAll: true})
	run := f.startJob(t, "1")
	ended := f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Succeeded: 5, Failed: 1, Skipped: 2})
	require.True(t, *f.run(t, run).WillRetry)
	again := run + "~1"
	require.Equal(t, again, ended.RetriedBy)
	require.Eventually(t, func() bool {
		found, err := f.Store.RunsByID(t.Context(), []string{again})
		return err == nil && found[again].Status == wire.RunFailure
	}, longEnough, often)
	f.requireEnd(t, again, wire.RunFailure, wire.StepCounts{Failed: 1, Skipped: 2})
	group, err := f.Store.RunGroup(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, group, 2, "once, and no more often than is allowed")
	require.False(t, *f.run(t, again).WillRetry)
	f.requireFanCalls(t, map[string]int{"load[b]": 2, "clean[b]": 0, "total": 0})
}

func TestAFanIsCancelled(t *testing.T) {
	t.Parallel()
	f := newFan(t, testlocation.Fan{})
	f.worker(t, "b1")
	f.hold(t, "load[a]", "load[b]", "load[c]")
	run := f.startJob(t, "1")
	held := []string{"load[a]", "load[b]", "load[c]"}
	for _, step := range held {
		f.awaitNotes(t, testlocation.Called, step, 1)
	}
	canceled := time.Now()
	require.NoError(t, f.Starter.CancelRun(t.Context(), run))
	for _, step := range held {
		require.Less(t, f.awaitNotes(t, testlocation.Stopped, step, 1)[0].At.Sub(canceled), heardWithin)
	}
	f.requireEnd(t, run, wire.RunCanceled, wire.StepCounts{Succeeded: 1, Canceled: 7})
	events := f.events(t, run, metadata.EventRunCanceling, metadata.EventRunCanceled)
	types := []metadata.EventType{events[0].Type, events[1].Type}
	require.True(t, slices.Equal(types, []metadata.EventType{metadata.EventRunCanceling, metadata.EventRunCanceled}), types)
	require.Less(t, events[0].At.Sub(canceled), heardWithin)
	f.requireFanCalls(t, map[string]int{"clean[a]": 0, "clean[b]": 0, "clean[c]": 0, "total": 0})
}

func TestAThousandKeysAreMappedAndCollected(t *testing.T) {
	t.Parallel()
	for name, isLocal := range map[string]bool{"activities": false, "local activities": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := make([]string, 1000)
			for i := range keys {
				keys[i] = "k" + strconv.Itoa(i)
			}
			f := newFan(t, testlocation.Fan{Keys: keys, Local: isLocal})
			f.worker(t, "b1")
			run := f.startJob(t, "1")
			result, err := f.await(t, run)
			require.NoError(t, err)
			require.Equal(t, 2002, result.Steps.Succeeded)
			require.Equal(t, f.spec.Fan.Sum(), f.output(t, run, "total").Sum)
			f.requireFanCalls(t, nil)
			row := f.run(t, run)
			t.Log(row.EndedAt.Sub(row.StartedAt))
		})
	}
}
