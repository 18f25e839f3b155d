//go:build unix

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func TestAWorkerDiesUnderAnAssetWithoutRetries(t *testing.T) {
	t.Parallel()
	for name, takeOver := range map[string]bool{"another one takes over": true, "it is started again": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, diamond())
			first := f.worker(t, "b1")
			f.hold(t, "middle")
			run := f.start(t, "1", "*")
			f.awaitNotes(t, testlocation.Called, "middle", 1)
			f.awaitStep(t, run, "side", func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
			if takeOver {
				f.worker(t, "b1")
			}
			killed := time.Now()
			require.NoError(t, first.Kill())
			if !takeOver {
				f.worker(t, "b1")
			}
			calls := f.awaitNotes(t, testlocation.Called, "middle", 2)
			require.Less(t, calls[1].At.Sub(killed), noticedWithin)
			f.release(t, "middle")

			f.requireGood(t, run)
			f.requireCalls(t, run, map[string]int{"middle": 2})
			step := f.steps(t, run)["middle"]
			require.Equal(t, 1, step.Lost)
			require.Equal(t, 1, step.Attempt, "a dead worker is no failure of the function")
			for _, event := range f.events(t, run, metadata.EventStepStart) {
				lost := event.Step == "middle"
				require.Equal(t, lost, strings.Contains(string(event.Body), fmt.Sprintf(`"lost_workers": ["%d@`, first.ID())), string(event.Body))
			}
		})
	}
}

// stored are the names of the values of an asset that lie in the storage.
func (f *fixture) stored(t *testing.T, asset string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.Folder(), "storage", asset))
	require.NoError(t, err)
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}

func TestAFrozenWorkerWakesUpInItsFunction(t *testing.T) {
	t.Parallel()
	f := newFixture(t, diamond())
	frozen := f.worker(t, "b1")
	// Deaf: it goes on although its context ends, as a function does that has no context to look at.
	f.instruct(t, "middle", testlocation.Instruction{Hold: true, Deaf: true})
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "middle", 1)
	f.awaitStep(t, run, "side", func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	second := f.worker(t, "b1")
	require.NoError(t, frozen.Freeze())
	calls := f.awaitNotes(t, testlocation.Called, "middle", 2)
	require.Equal(t, second.ID(), calls[1].Process)
	f.release(t, "middle")
	f.requireGood(t, run)

	require.NoError(t, frozen.Thaw())
	f.awaitAttemptsEnd(t, frozen, "middle")
	f.verify(t, run)
	f.requireCalls(t, run, map[string]int{"middle": 2})
	require.Len(t, f.notes(t, testlocation.Published, "middle"), 1, "the late value was published")
	made := f.materialization(t, run, "middle")
	value, err := f.Load(t.Context(), made)
	require.NoError(t, err)
	require.Equal(t, calls[1].Call, value.Call, "the value is the second worker's")
	require.Equal(t, []string{fmt.Sprintf("%d.json", made.SlotToken)}, f.stored(t, "middle"), "the late value was left behind")
}

func TestAFrozenWorkerWakesUpAtItsCommit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, diamond())
	frozen := f.worker(t, "b1")
	// Stopped here it has checked its token, and has only to commit.
	f.instruct(t, "middle", testlocation.Instruction{HoldPublish: true, Deaf: true})
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Publishing, "middle", 1)
	f.awaitStep(t, run, "side", func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	f.awaitStagedInHeartbeat(t, run, "middle")
	f.worker(t, "b1")
	require.NoError(t, frozen.Freeze())
	f.awaitNotes(t, testlocation.Publishing, "middle", 2)
	f.release(t, "middle")
	f.requireGood(t, run)
	// The second published what the first had staged.
	f.requireCalls(t, run, nil)

	require.NoError(t, frozen.Thaw())
	f.awaitAttemptsEnd(t, frozen, "middle")
	// Its commit was refused, and what it takes for its own is the recorded value by now: it stays.
	f.verify(t, run)
	f.requireCalls(t, run, nil)
	require.Equal(t, 1, f.steps(t, run)["middle"].Lost)
}

func TestAStepThatKillsItsWorkersFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{
		asset("safe"), asset("deadly", "safe"), asset("after_deadly", "deadly"), asset("independent", "safe"),
	})
	f.instruct(t, "deadly", testlocation.Instruction{Hold: true, Kill: true})
	first := f.worker(t, "b1")
	run := f.start(t, "1", "*")
	f.awaitStep(t, run, "independent", func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	f.instruct(t, "deadly", testlocation.Instruction{Kill: true})
	died := []*testlocation.Worker{first}
	<-first.Ended()
	for range 2 {
		w := f.worker(t, "b1")
		<-w.Ended()
		died = append(died, w)
	}
	f.worker(t, "b1")
	ended := f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Succeeded: 2, Failed: 1, Skipped: 1})
	require.Equal(t, []string{"independent", "safe"}, ended.Materialized)
	f.requireCalls(t, run, map[string]int{"deadly": 3, "after_deadly": 0})
	host, err := os.Hostname()
	require.NoError(t, err)
	deadly := f.steps(t, run)["deadly"]
	require.Equal(t, wire.StepFailed, deadly.Status)
	for _, w := range died {
		worker := fmt.Sprintf("%d@%s", w.ID(), host)
		require.Contains(t, deadly.Error.Message, worker)
		require.Contains(t, ended.Failures[0].Message, worker)
	}
	require.Equal(t, wire.StepUpstreamFailed, f.steps(t, run)["after_deadly"].Status)
}

func TestRetriesAreTheUsersAndSurviveADeadWorker(t *testing.T) {
	t.Parallel()
	const delay = 3 * time.Second
	flaky := asset("flaky", "source")
	flaky.Retries = &definitions.Retries{Max: 2, Delay: delay}
	f := newFixture(t, []testlocation.Asset{asset("source"), flaky, asset("sink", "flaky")})
	first := f.worker(t, "b1")
	// The second attempt is held, and its worker killed; as the second it is taken up again.
	f.instruct(t, "flaky", testlocation.Instruction{FailAttempts: []int{1}})
	run := f.start(t, "1", "*")
	f.awaitStep(t, run, "flaky", func(s metadata.Step) bool { return s.Attempt == 2 && s.Reason != "" })
	f.hold(t, "flaky")
	f.awaitNotes(t, testlocation.Called, "flaky", 2)
	f.worker(t, "b1")
	require.NoError(t, first.Kill())
	f.awaitNotes(t, testlocation.Called, "flaky", 3)
	f.instruct(t, "flaky", testlocation.Instruction{FailAttempts: []int{2}})

	f.requireGood(t, run)
	f.requireCalls(t, run, map[string]int{"flaky": 4})
	calls := f.notes(t, testlocation.Called, "flaky")
	attempts := make([]int, len(calls))
	for i, call := range calls {
		attempts[i] = call.Attempt
	}
	require.Equal(t, []int{1, 2, 2, 3}, attempts)
	retries := f.events(t, run, metadata.EventStepUpForRetry)
	require.Len(t, retries, 2)
	require.GreaterOrEqual(t, calls[1].At.Sub(retries[0].At), delay, "the delay was not kept")
	require.GreaterOrEqual(t, calls[3].At.Sub(retries[1].At), delay, "the delay was not kept")
	step := f.steps(t, run)["flaky"]
	require.Equal(t, 3, step.Attempt)
	require.Equal(t, 1, step.Lost)
}
