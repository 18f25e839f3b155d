package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestStepCommitsWhatItPublished(t *testing.T) {
	t.Parallel()
	b := newBundle(plan.Output{Asset: "route_delays", CodeVersion: "2"}, plan.Output{Asset: "notes", Optional: true})
	b.plan.Inputs = []plan.StepInput{{Asset: "airports", External: true}, {Asset: "flights"}}
	b.claim.Inputs = []wire.InputVersion{{Asset: "flights", Token: 3, DataVersion: "f"}}
	result, err := b.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, wire.StepResult{Recorded: true, Materialized: []string{"route_delays"}, NotEmitted: []string{"notes"}}, result)
	require.Equal(t, map[string]string{"route_delays/7": "published"}, b.stored)
	require.Len(t, b.commits, 1)
	output := b.commits[0].Outputs[0]
	require.Equal(t, int64(7), output.SlotToken)
	require.Equal(t, "route_delays/7", output.Location)
	require.Equal(t, []wire.InputVersion{{Asset: "airports", DataVersion: "INITIAL"}, {Asset: "flights", Token: 3, DataVersion: "f"}}, output.Inputs)
	require.Equal(t, dataVersion("2", output.Inputs, nil), output.DataVersion)
}

func TestOutputsThatWereNotAskedForFailTheStep(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		outputs []Output
		want    []string
	}{
		"missing":   {nil, []string{`did not return the required output "route_delays"`}},
		"unknown":   {[]Output{{Asset: "route_delays"}, {Asset: "other"}}, []string{`returned output "other", which was not requested`}},
		"twice":     {[]Output{{Asset: "route_delays"}, {Asset: "route_delays"}}, []string{`returned output "route_delays" twice`}},
		"all wrong": {[]Output{{Asset: "other"}}, []string{`"other"`, `did not return the required output "route_delays"`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := one()
			b.compute = func(*Attempt) ([]Output, error) { return test.outputs, nil }
			_, err := b.run(t.Context())
			var failed *FailedError
			require.ErrorAs(t, err, &failed)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.Empty(t, b.commits)
			require.Empty(t, b.stored)
		})
	}
}

func TestRetriesAreTheUsersUntilTheyAreUsedUp(t *testing.T) {
	t.Parallel()
	for attempt, final := range map[int]bool{1: false, 2: false, 3: true} {
		b := one()
		b.plan.Retries = &plan.Retries{Max: 2, Delay: time.Minute}
		b.claim.Attempt = attempt
		b.compute = func(*Attempt) ([]Output, error) { return nil, errors.New("no such file") }
		_, err := b.run(t.Context())
		var failed *FailedError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, final, failed.Final, "attempt %d", attempt)
		require.Len(t, b.failures, 1)
		require.Equal(t, final, b.failures[0].Final)
		require.Equal(t, "no such file", b.failures[0].Error.Message)
		if !final {
			require.Equal(t, time.Minute, failed.Delay)
		}
	}
}

func TestPanicFailsTheStepWithItsStack(t *testing.T) {
	t.Parallel()
	b := one()
	b.compute = func(*Attempt) ([]Output, error) { panic("index out of range") }
	_, err := b.run(t.Context())
	var failed *FailedError
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "panic: index out of range")
	require.Contains(t, b.failures[0].Error.Stack, "runner_test.go")
}

func TestUnreachableStoreCostsTheUserNoRetry(t *testing.T) {
	t.Parallel()
	b := one()
	b.compute = func(*Attempt) ([]Output, error) { return nil, fmt.Errorf("bucket: %w", ErrUnavailable) }
	_, err := b.run(t.Context())
	require.ErrorIs(t, err, ErrUnavailable)
	require.Empty(t, b.failures)
	require.Len(t, b.released, 1)
}

func TestCommitWaitsForTheLedgerInPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := one()
		b.compute = func(*Attempt) ([]Output, error) {
			b.away = time.Now().Add(10 * time.Minute)
			return []Output{{Asset: "route_delays"}}, nil
		}
		started := time.Now()
		_, err := b.run(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, b.calls)
		require.Len(t, b.commits, 1)
		require.GreaterOrEqual(t, time.Since(started), 10*time.Minute)
		require.GreaterOrEqual(t, len(b.beats), 590, "it beats every second meanwhile")
		require.Equal(t, "route_delays/7", b.beats[len(b.beats)-1].Outputs[0].Location, "the heartbeat carries what is staged")
	})
}

func TestCommitGivesUpAfterItsPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := one()
		b.compute = func(*Attempt) ([]Output, error) {
			b.away = time.Now().Add(time.Hour)
			return []Output{{Asset: "route_delays"}}, nil
		}
		_, err := b.run(t.Context())
		require.ErrorIs(t, err, ErrUnavailable)
		require.Empty(t, b.commits)
	})
}

func TestNextAttemptPublishesWhatWasStaged(t *testing.T) {
	t.Parallel()
	staged := &StagedOutputs{
		Outputs: []wire.CommittedOutput{{Asset: "route_delays", SlotToken: 3, Location: "route_delays/3"}},
		Result:  wire.StepResult{Recorded: true, Materialized: []string{"route_delays"}}, Attempt: 1,
	}
	for resumable, calls := range map[bool]int{true: 0, false: 1} {
		b := one()
		b.previous, b.resumable = staged, resumable
		_, err := b.run(t.Context())
		require.NoError(t, err)
		require.Equal(t, calls, b.calls)
		want := int64(3)
		if !resumable {
			want = 7
		}
		require.Equal(t, want, b.commits[0].Outputs[0].SlotToken)
		require.Equal(t, int64(7), b.commits[0].Token, "the fence is always the new attempt's")
	}
}

func TestZombieNeitherPublishesNorCommits(t *testing.T) {
	t.Parallel()
	for name, frozen := range map[string]time.Duration{"noticed before publishing": time.Hour, "noticed at the commit": 0} {
		synctest.Test(t, func(t *testing.T) {
			b := one()
			b.compute = func(*Attempt) ([]Output, error) {
				<-time.After(frozen)
				b.lostToken = true
				return []Output{{Asset: "route_delays"}}, nil
			}
			_, err := b.run(t.Context())
			var superseded *SupersededError
			require.ErrorAs(t, err, &superseded, name)
			require.Empty(t, b.commits, name)
			require.Empty(t, b.stored, name)
		})
	}
}

func TestZombieLeavesAloneWhatAHeartbeatHasCarried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := one()
		// The commit is tried for a while, so that heartbeats carry what is staged; meanwhile another attempt publishes
		// that very value and commits it.
		b.compute = func(*Attempt) ([]Output, error) {
			b.away = time.Now().Add(20 * time.Second)
			b.lostToken = true
			return []Output{{Asset: "route_delays"}}, nil
		}
		_, err := b.run(t.Context())
		var superseded *SupersededError
		require.ErrorAs(t, err, &superseded)
		require.NotNil(t, b.beats[len(b.beats)-1].StagedOutputs)
		require.Equal(t, map[string]string{"route_delays/7": "published"}, b.stored)
	})
}

func TestZombieRemovesWhatAHeartbeatHasCarriedOnceNobodyCanWantIt(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(b *bundle){
		"noticed before publishing": func(b *bundle) { b.lostToken = true },
		// The token held, and then the commit is tried for a while.
		"noticed at the commit": func(b *bundle) { b.onPublish = func() { b.lostToken = true } },
	} {
		for _, orphaned := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				b := one()
				b.orphaned = orphaned
				b.compute = func(*Attempt) ([]Output, error) {
					<-time.After(time.Hour) // its claim is no longer believed without asking
					b.away = time.Now().Add(20 * time.Second)
					lose(b)
					return []Output{{Asset: "route_delays"}}, nil
				}
				_, err := b.run(t.Context())
				var superseded *SupersededError
				require.ErrorAs(t, err, &superseded, name)
				require.NotNil(t, b.beats[len(b.beats)-1].StagedOutputs, "no heartbeat carried it")
				require.Equal(t, int64(7), b.checked[0].SlotToken)
				require.Equal(t, orphaned, len(b.stored) == 0, "%s: %v", name, b.stored)
			})
		}
	}
}

func TestClaimAsksAgainWhenItDoesNotHearTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := one()
		b.away = time.Now().Add(2 * time.Second)
		_, err := b.run(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, b.calls)

		b.away = time.Now().Add(time.Hour)
		_, err = b.run(t.Context())
		require.ErrorIs(t, err, ErrUnavailable)
		require.Empty(t, b.released, "nothing was granted that could be given back")
	})
}

func TestTimeoutFailsAFunctionThatIgnoresIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := one()
		b.plan.Timeout = time.Minute
		forever := make(chan struct{})
		b.compute = func(*Attempt) ([]Output, error) { <-forever; return nil, nil }
		started := time.Now()
		_, err := b.run(t.Context())
		var failed *FailedError
		require.ErrorAs(t, err, &failed)
		require.ErrorContains(t, err, "took longer than its timeout of 1m0s")
		require.ErrorContains(t, err, "left behind")
		require.Equal(t, time.Minute+abandonAfter, time.Since(started))
		close(forever)
	})
}

func TestCancelledStepGivesItsClaimBack(t *testing.T) {
	t.Parallel()
	b := one()
	ctx, cancel := context.WithCancelCause(t.Context())
	b.compute = func(a *Attempt) ([]Output, error) {
		cancel(errors.New("it was cancelled"))
		<-a.Done()
		return nil, a.Err()
	}
	_, err := b.run(ctx)
	var interrupted *InterruptedError
	require.ErrorAs(t, err, &interrupted)
	require.Equal(t, []string{"it was cancelled"}, b.released)
	require.Empty(t, b.failures)
}

func TestClaimOutcomesBecomeErrors(t *testing.T) {
	t.Parallel()
	outcomes := []struct {
		outcome wire.ClaimOutcome
		want    any
	}{
		{wire.ClaimSuperseded, new(*SupersededError)},
		{wire.ClaimWaiting, new(*WaitingError)},
		{wire.ClaimOtherShape, new(*OtherShapeError)},
		{wire.ClaimLost, new(*LostError)},
		{wire.ClaimUnknown, new(*UnknownStepError)},
	}
	for _, test := range outcomes {
		b := one()
		b.claim = wire.Claim{Outcome: test.outcome, Holder: &wire.Holder{Run: "r0", Step: "s"}, Workers: []string{"1@host"}}
		_, err := b.run(t.Context())
		require.ErrorAs(t, err, test.want)
		require.Zero(t, b.calls)
	}
	b := one()
	b.claim = wire.Claim{Outcome: wire.ClaimDone, Result: &wire.StepResult{Recorded: true, Materialized: []string{"route_delays"}}}
	result, err := b.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"route_delays"}, result.Materialized)
	require.Zero(t, b.calls, "a step that is done is not computed again")
}

func TestReportedMetadataGoesToEveryOutput(t *testing.T) {
	t.Parallel()
	b := newBundle(plan.Output{Asset: "clean"}, plan.Output{Asset: "rejected"})
	rows := wire.Metadatum{Label: "rows", Type: wire.MetadataInt, Value: json.RawMessage("3")}
	own := wire.Metadatum{Label: "own", Type: wire.MetadataBool, Value: json.RawMessage("true")}
	b.compute = func(a *Attempt) ([]Output, error) {
		a.Report(rows)
		a.ReportDataVersion("v9")
		return []Output{{Asset: "clean", Metadata: []wire.Metadatum{own}}, {Asset: "rejected", DataVersion: "v1"}}, nil
	}
	_, err := b.run(t.Context())
	require.NoError(t, err)
	outputs := b.commits[0].Outputs
	require.True(t, slices.EqualFunc([]string{"v9", "v1"}, outputs, func(v string, o wire.CommittedOutput) bool { return o.DataVersion == v }))
	require.Len(t, outputs[0].Metadata, 2)
	require.Len(t, outputs[1].Metadata, 1)
}

func TestWhatTheStoreReportsStaysWithItsOutput(t *testing.T) {
	t.Parallel()
	b := newBundle(plan.Output{Asset: "clean"}, plan.Output{Asset: "rejected"})
	b.compute = func(*Attempt) ([]Output, error) { return []Output{{Asset: "clean"}, {Asset: "rejected"}}, nil }
	b.storeReports = []wire.Metadatum{{Label: "bytes", Type: wire.MetadataInt, Value: json.RawMessage("3")}}
	_, err := b.run(t.Context())
	require.NoError(t, err)
	for _, output := range b.commits[0].Outputs {
		require.Equal(t, b.storeReports, output.Metadata, output.Asset)
	}
}

func TestALabelStandsOnceAndTheFunctionKnowsBest(t *testing.T) {
	t.Parallel()
	b := one()
	said := func(label, value string) wire.Metadatum {
		return wire.Metadatum{Label: label, Type: wire.MetadataText, Value: json.RawMessage(`"` + value + `"`)}
	}
	b.storeReports = []wire.Metadatum{said("a", "store"), said("b", "store"), said("c", "store")}
	b.compute = func(a *Attempt) ([]Output, error) {
		a.Report(said("a", "all"), said("b", "all"))
		return []Output{{Asset: "route_delays", Metadata: []wire.Metadatum{said("a", "one")}}}, nil
	}
	_, err := b.run(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []wire.Metadatum{said("a", "one"), said("b", "all"), said("c", "store")}, b.commits[0].Outputs[0].Metadata)
}

func TestDrainingStepGivesItsClaimBackBeforeItIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := one()
		ctx, cancel := context.WithCancelCause(t.Context())
		forever := make(chan struct{})
		var told time.Time
		b.compute = func(*Attempt) ([]Output, error) {
			told = time.Now()
			cancel(errors.New("its worker is stopping"))
			<-forever
			return nil, nil
		}
		b.onRelease = func() { require.Equal(t, told, time.Now(), "the process may be gone a moment later") }
		_, err := b.run(ctx)
		require.ErrorContains(t, err, "its worker is stopping")
		require.Equal(t, []string{"its worker is stopping"}, b.released)
		close(forever)
	})
}

func TestWhatTheLedgerWillNotTakeFailsTheStep(t *testing.T) {
	t.Parallel()
	b := one()
	b.commitError = errors.New("numeric value out of range")
	_, err := b.run(t.Context())
	_, failed := errors.AsType[*FailedError](err)
	require.True(t, failed, "%v", err)
	require.Contains(t, b.failures[0].Error.Message, "numeric value out of range")
}

func TestPanicOfAStoreFailsTheStep(t *testing.T) {
	t.Parallel()
	b := one()
	b.panicAtLocation = true
	_, err := b.run(t.Context())
	require.ErrorContains(t, err, "no location")
	require.Len(t, b.failures, 1)
	require.NotEmpty(t, b.failures[0].Error.Stack)
}

func TestFrozenLedgerIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := one()
		b.frozenClaims = 1
		_, err := b.run(t.Context())
		require.NoError(t, err)
		require.Len(t, b.commits, 1)
	})
}
