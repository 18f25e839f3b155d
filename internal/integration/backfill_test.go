//go:build unix

package integration

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// days are a location of sliced assets: delays of flights of the same day, and what follows from them.
func days(n int) []testlocation.Asset {
	return []testlocation.Asset{
		{Key: "flights", Days: n},
		{Key: "delays", Days: n, Inputs: []string{"flights"}},
		{Key: "report", Days: n, Inputs: []string{"delays"}, PartitionsPerRun: 4},
	}
}

func firstDays(n int) wire.BackfillRequest {
	return wire.BackfillRequest{
		Assets: wire.AssetSelection{Expression: "*"}, Range: &wire.PartitionRange{Start: testlocation.Day(0), End: testlocation.Day(n - 1)},
	}
}

func (f *fixture) startBackfill(t *testing.T, name string, request wire.BackfillRequest) (id string) {
	t.Helper()
	id = f.spec.Location + "-" + name
	_, err := f.Starter.StartBackfill(t.Context(), starter.NewBackfill{Location: f.spec.Location, ID: id, Request: request})
	require.NoError(t, err)
	return id
}

func (f *fixture) awaitBackfill(t *testing.T, id string) (wire.BackfillResult, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longEnough)
	defer cancel()
	result, err := f.Starter.AwaitBackfill(ctx, id)
	require.NoError(t, ctx.Err(), "backfill %s did not end", id)
	return result, err
}

// requireBackfillEnd waits for a backfill that does not end well.
func (f *fixture) requireBackfillEnd(t *testing.T, id string, status wire.BackfillStatus) wire.BackfillResult {
	t.Helper()
	_, err := f.awaitBackfill(t, id)
	var ended *starter.BackfillError
	require.ErrorAs(t, err, &ended)
	require.Empty(t, ended.Problems)
	require.Equal(t, status, ended.Result.Status, err)
	row, err := f.Store.Backfill(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, status, row.Status)
	require.False(t, row.EndedAt.IsZero())
	require.Zero(t, row.Progress.Runs.Open)
	return ended.Result
}

// requireOnce checks that each day of an asset was made once, and called so often.
func (f *fixture) requireOnce(t *testing.T, asset string, n int) {
	t.Helper()
	require.Equal(t, n, f.count(t, "select count(*) from asset_partitions where asset = $1", asset))
	require.Equal(t, n, f.count(t, "select count(*) from materializations where asset = $1", asset))
	require.Len(t, f.notes(t, testlocation.Called, asset), n)
}

func done(asset string, n int) wire.BackfillAsset {
	return wire.BackfillAsset{Asset: asset, Targeted: n, Materialized: n}
}

func TestABackfillMakesEveryDayOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(10))
	f.worker(t, "b1")
	id := f.startBackfill(t, "bf", firstDays(10))
	result, err := f.awaitBackfill(t, id)
	require.NoError(t, err)
	require.Equal(t, wire.BackfillResult{
		BackfillID: id, Status: wire.BackfillSucceeded, Runs: wire.BackfillRuns{Succeeded: 13},
		Assets: []wire.BackfillAsset{done("flights", 10), done("delays", 10), done("report", 10)},
	}, result)
	for _, asset := range []string{"flights", "delays", "report"} {
		f.requireOnce(t, asset, 10)
	}
	ranged, err := f.Store.Run(t.Context(), id+":report:2001-01-01...2001-01-04")
	require.NoError(t, err)
	require.Equal(t, wire.PriorityBackfill, ranged.Priority)
	require.Equal(t, id, ranged.Cause)

	// A second start under the same id is refused by name.
	_, err = f.Starter.StartBackfill(t.Context(), starter.NewBackfill{Location: f.spec.Location, ID: id, Request: firstDays(1)})
	require.ErrorContains(t, err, id+" exists (COMPLETED_SUCCESS, ")
	again, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: f.spec.Location}, wire.BackfillWorkflow, firstDays(1))
	require.NoError(t, err)
	require.ErrorContains(t, again.Get(t.Context(), nil), id+" exists (COMPLETED_SUCCESS, ")
}

// Its runs are started with their search attributes, and set no more than how they end: each setting is a write to Temporal's list.
func TestRunsOfABackfillAreStartedWithTheirSearchAttributes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(2)[:1])
	f.worker(t, "b1")
	id := f.startBackfill(t, "bf", firstDays(2))
	_, err := f.awaitBackfill(t, id)
	require.NoError(t, err)
	page, err := f.Store.Runs(t.Context(), metadata.RunFilter{Backfill: id}, "", 10)
	require.NoError(t, err)
	require.Len(t, page.Rows, 2)
	for _, run := range page.Rows {
		set := 0
		for _, event := range f.history(t, run.ID, "") {
			if attributes := event.GetUpsertWorkflowSearchAttributesEventAttributes(); attributes != nil {
				set++
				require.Len(t, attributes.GetSearchAttributes().GetIndexedFields(), 1)
			}
		}
		require.Equal(t, 1, set)
		described, err := f.Temporal.DescribeWorkflowExecution(t.Context(), run.ID, "")
		require.NoError(t, err)
		values := map[string]string{}
		for name, value := range described.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields() {
			if strings.HasPrefix(name, "Perdure") {
				values[name] = string(value.GetData())
			}
		}
		require.Equal(t, map[string]string{
			wire.SearchStatus: `"SUCCESS"`, wire.SearchBackfill: `"` + id + `"`, wire.SearchCause: `"` + id + `"`, wire.SearchAssets: `["flights"]`,
			wire.SearchPartition: `"` + run.Partition + `"`,
		}, values)
	}
}

func TestAFailureHoldsBackWhatNeedsItAndARetryMakesOnlyThat(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(8))
	f.worker(t, "b1")
	f.instruct(t, testlocation.PartitionKey("delays", testlocation.Day(1)), testlocation.Instruction{FailAll: true})
	id := f.startBackfill(t, "bf", firstDays(8))
	result := f.requireBackfillEnd(t, id, wire.BackfillFailed)
	require.Equal(t, []wire.BackfillAsset{
		done("flights", 8),
		{Asset: "delays", Targeted: 8, Materialized: 7, Failed: 1},
		{Asset: "report", Targeted: 8, Materialized: 7, Blocked: 1},
	}, result.Assets)
	require.Len(t, result.Failures, 1)
	require.Equal(t, id+":delays:2001-01-02", result.Failures[0].RunID)
	require.Contains(t, result.Failures[0].Message, "failed as it was told to")

	f.release(t, testlocation.PartitionKey("delays", testlocation.Day(1)))
	again, err := f.Starter.RetryBackfill(t.Context(), id, "", id+"-again", wire.BackfillRequest{})
	require.NoError(t, err)
	retried, err := f.awaitBackfill(t, again.ID)
	require.NoError(t, err)
	require.Equal(t, []wire.BackfillAsset{done("delays", 1), done("report", 1)}, retried.Assets)
	require.Len(t, f.notes(t, testlocation.Called, "flights"), 8, "what was made is not made again")
	require.Len(t, f.notes(t, testlocation.Called, "delays"), 9)
	require.Len(t, f.notes(t, testlocation.Called, "report"), 8)
	row, err := f.Store.Backfill(t.Context(), again.ID)
	require.NoError(t, err)
	require.Equal(t, id, row.RetryOf)
	require.Equal(t, id, row.Root)
}

func TestACancelledBackfillStopsItsRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(8))
	f.worker(t, "b1")
	f.hold(t, "flights")
	request := firstDays(8)
	request.MaxConcurrentRuns = 3
	id := f.startBackfill(t, "bf", request)
	f.awaitNotes(t, testlocation.Called, "flights", 3)
	require.NoError(t, f.Starter.CancelBackfill(t.Context(), id))
	result := f.requireBackfillEnd(t, id, wire.BackfillCanceled)
	require.Equal(t, wire.BackfillRuns{Failed: 3}, result.Runs)
	require.Len(t, f.notes(t, testlocation.Stopped, "flights"), 3)
	require.Equal(t, 3, f.count(t, "select count(*) from runs where backfill = $1 and status = 'CANCELED'", id))
	require.Equal(t, 3, f.count(t, "select count(*) from runs where backfill = $1", id), "no run was started after the cancel")
}

func TestAPausedBackfillStartsNothingUntilItIsResumed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(6))
	f.worker(t, "b1")
	f.hold(t, "flights")
	request := firstDays(6)
	request.MaxConcurrentRuns = 2
	id := f.startBackfill(t, "bf", request)
	f.awaitNotes(t, testlocation.Called, "flights", 2)
	require.NoError(t, f.Starter.PauseBackfill(t.Context(), id))
	require.Eventually(t, func() bool {
		row, err := f.Store.Backfill(t.Context(), id)
		return err == nil && row.Paused
	}, longEnough, often)
	f.release(t, "flights")
	require.Eventually(t, func() bool {
		row, err := f.Store.Backfill(t.Context(), id)
		return err == nil && row.Progress.Runs.Succeeded == 2 && row.Progress.Runs.Open == 0
	}, longEnough, often, "the open runs end")
	require.Equal(t, 2, f.count(t, "select count(*) from runs where backfill = $1", id))
	progress, err := f.Starter.SetConcurrency(t.Context(), id, 5)
	require.NoError(t, err)
	require.True(t, progress.Paused)
	require.Equal(t, 5, progress.MaxConcurrentRuns)
	_, err = f.Starter.SetConcurrency(t.Context(), id, 0)
	require.ErrorContains(t, err, "max_concurrent_runs: 0 runs at once are not allowed (give 1 to 1000)")
	require.NoError(t, f.Starter.ResumeBackfill(t.Context(), id))
	result, err := f.awaitBackfill(t, id)
	require.NoError(t, err)
	require.Equal(t, done("report", 6), result.Assets[2])
}

func TestRetriesOfRunsAreAwaited(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(2))
	f.worker(t, "b1", "PERDURE_RUN_MAX_RETRIES=1", "PERDURE_RUN_RETRY_ON_ASSET_OR_OP_FAILURE=true")
	key := testlocation.PartitionKey("flights", testlocation.Day(0))
	f.instruct(t, key, testlocation.Instruction{FailAll: true})
	request := firstDays(2)
	request.Assets = wire.AssetSelection{Expression: "flights"}
	request.Tags = map[string]string{"perdure/max_retries": "3", "perdure/retry_on_asset_or_op_failure": "true"}
	id := f.startBackfill(t, "bf", request)
	f.awaitFailedRun(t, id+":flights:2001-01-01")
	f.release(t, key)
	result, err := f.awaitBackfill(t, id)
	require.NoError(t, err)
	require.Equal(t, []wire.BackfillAsset{done("flights", 2)}, result.Assets)
	require.Equal(t, wire.BackfillRuns{Succeeded: 2}, result.Runs)
}

func (f *fixture) awaitFailedRun(t *testing.T, run string) {
	t.Helper()
	require.Eventually(t, func() bool {
		row, err := f.Store.Run(t.Context(), run)
		return err == nil && row.Status == wire.RunFailure
	}, longEnough, often)
}

func TestABackfillSaysWhatItWouldDo(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(4))
	f.worker(t, "b1")
	request := firstDays(4)
	request.DryRun = true
	started, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: f.spec.Location + "-dry", TaskQueue: f.spec.Location}, wire.BackfillWorkflow, request)
	require.NoError(t, err)
	var result wire.BackfillResult
	require.NoError(t, started.Get(t.Context(), &result))
	require.Equal(t, 5, result.Plan.RunCount)
	require.Equal(t, wire.PlannedBackfillRun{
		RunID: started.GetID() + ":report:2001-01-01...2001-01-04", Assets: []string{"report"},
		Range:  &wire.PartitionRange{Start: "2001-01-01", End: "2001-01-04"},
		Reason: "a run for at most 4 consecutive partitions, after what it needs of delays",
	}, result.Plan.Runs[4])
	require.Zero(t, f.count(t, "select count(*) from backfills")+f.count(t, "select count(*) from runs"))
}

// What is wrong is said with asset, key and reason, and nothing is half-started.
func TestABadRequestStartsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, append(days(4), testlocation.Asset{Key: "lookup"}))
	f.worker(t, "b1")
	for input, want := range map[string]string{
		`{"assets":"flights","partition":"2001-01-09"}`:                                           `asset "flights": partition "2001-01-09" is not one of`,
		`{"assets":"flights","range":{"start":"2001-01-03","end":"2001-01-01"}}`:                  "is reversed",
		`{"assets":"lookup","partition":"2001-01-01"}`:                                            `asset "lookup" is not partitioned`,
		`{"assets":"flights"}`:                                                                    `asset "flights" has daily partitions`,
		`{"assets":"flights","partition":"2001-01-01","all_partitions":true}`:                     "are given",
		`{"assets":"flihgts","partition":"2001-01-01"}`:                                           `there is no asset "flihgts"`,
		`{"assets":"flights","all_partitions":true,"max_concurrent_runs":5000}`:                   "5000 runs at once are not allowed",
		`{"assets":"flights","all_partitions":true,"concurrency":5}`:                              `unknown field "concurrency"`,
		`{"assets":"flights","all_partitions":true,"tags":{"a b":"c"}}`:                           `tag key "a b" is not allowed`,
		`{"retry_of":{"run_id":"nobody"}}`:                                                        `there is no backfill "nobody"`,
		`{"assets":"flights","all_partitions":true,"config":{"assets":{"flights":{"colour":1}}}}`: "config.assets.flights",
	} {
		started, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: f.spec.Location}, wire.BackfillWorkflow, json.RawMessage(input))
		require.NoError(t, err)
		err = started.Get(t.Context(), nil)
		require.ErrorContains(t, err, want, input)
		require.ErrorContains(t, err, "invalid backfill request", input)
		require.Equal(t, 1, f.count(t, "select count(*) from refused_requests where workflow_id = $1", started.GetID()), input)
	}
	require.Zero(t, f.count(t, "select count(*) from backfills")+f.count(t, "select count(*) from runs"))
}

// tctl reads numbers as floats and writes fields in the order of their names.
func TestABackfillAsTctlEncodesIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(3))
	f.worker(t, "b1")
	var read map[string]any
	require.NoError(t, json.Unmarshal([]byte(`{"v":1,"assets":"flights","range":{"start":"2001-01-01","end":"2001-01-03"},"max_concurrent_runs":2,"priority":4}`), &read))
	require.IsType(t, 1.0, read["max_concurrent_runs"])
	started, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: f.spec.Location + "-tctl", TaskQueue: f.spec.Location}, wire.BackfillWorkflow, read)
	require.NoError(t, err)
	var result wire.BackfillResult
	require.NoError(t, started.Get(t.Context(), &result))
	require.Equal(t, []wire.BackfillAsset{done("flights", 3)}, result.Assets)
	row, err := f.Store.Backfill(t.Context(), started.GetID())
	require.NoError(t, err)
	require.Equal(t, 2, row.MaxConcurrentRuns)
}

// A backfill whose target the definitions do not have any more ends, and its runs with it.
func TestDefinitionsThatChangeUnderABackfillEndIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(8), "PERDURE_RUN_DEPLOY_GRACE=2s")
	first := f.worker(t, "b1")
	f.hold(t, "flights")
	request := firstDays(8)
	request.MaxConcurrentRuns = 2
	id := f.startBackfill(t, "bf", request)
	f.awaitNotes(t, testlocation.Called, "flights", 2)
	changed := f.with(t, []testlocation.Asset{{Key: "flights", Days: 8}, {Key: "delays", Days: 5, Inputs: []string{"flights"}}})
	changed.spec.Location = f.spec.Location
	changed.worker(t, "b2")
	result := f.requireBackfillEnd(t, id, wire.BackfillBroken)
	require.Contains(t, result.Reason, "the definitions have changed: ")
	require.Contains(t, result.Reason, "3 targeted partitions of delays do not exist any more: 2001-01-06 to 2001-01-08 (3)")
	require.Contains(t, result.Reason, "report is not made by the definitions any more")
	require.Equal(t, 2, f.count(t, "select count(*) from runs where backfill = $1 and status = 'CANCELED'", id))
	require.NoError(t, first.Kill())
}

// A backfill that somebody terminated is ended by the reconciler, and its runs with it.
func TestATerminatedBackfillIsEndedWithItsRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(8))
	f.worker(t, "b1")
	f.hold(t, "flights")
	request := firstDays(8)
	request.MaxConcurrentRuns = 2
	id := f.startBackfill(t, "bf", request)
	f.awaitNotes(t, testlocation.Called, "flights", 2)
	_, ended, err := f.Starter.EndDeadBackfill(t.Context(), id)
	require.NoError(t, err)
	require.False(t, ended, "it lives")
	require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), id, "", "not needed"))
	require.Eventually(t, func() bool {
		_, ended, err := f.Starter.EndDeadBackfill(t.Context(), id)
		require.NoError(t, err)
		return ended
	}, longEnough, 10*often)
	row, err := f.Store.Backfill(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, wire.BackfillBroken, row.Status)
	require.Contains(t, row.Reason, "not needed")
	require.Equal(t, wire.BackfillRuns{Failed: 2}, row.Progress.Runs)
	require.Equal(t, []wire.BackfillAsset{
		{Asset: "flights", Targeted: 8, Failed: 2}, {Asset: "delays", Targeted: 8, Failed: 2}, {Asset: "report", Targeted: 8, Blocked: 2},
	}, row.Progress.Assets)
	require.Equal(t, 2, f.count(t, "select count(*) from runs where backfill = $1 and status = 'CANCELED'", id))
}

// A worker that dies in the middle of a backfill loses nothing, and doubles nothing.
func TestABackfillGoesOnWhenItsWorkerDies(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(12))
	first := f.worker(t, "b1")
	id := f.startBackfill(t, "bf", firstDays(12))
	require.Eventually(t, func() bool { return len(f.notes(t, testlocation.Called, "flights")) >= 4 }, longEnough, often)
	require.NoError(t, first.Kill())
	f.worker(t, "b1")
	result, err := f.awaitBackfill(t, id)
	require.NoError(t, err)
	require.Equal(t, []wire.BackfillAsset{done("flights", 12), done("delays", 12), done("report", 12)}, result.Assets)
	require.Equal(t, wire.BackfillRuns{Succeeded: 15}, result.Runs)
	require.Equal(t, 15, f.count(t, "select count(*) from runs where backfill = $1", id))
	for _, asset := range []string{"flights", "delays", "report"} {
		require.Equal(t, 12, f.count(t, "select count(*) from materializations where asset = $1", asset))
	}
}

// What keeps a backfill from going on is to be seen wherever people look, until it has gone.
func TestABackfillSaysWhatKeepsItFromGoingOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(4))
	f.execute(t, "alter table backfill_runs add constraint stuck check (false) not valid")
	f.worker(t, "b1")
	id := f.startBackfill(t, "bf", firstDays(4))
	const reason = `violates check constraint "stuck"`
	var progress wire.BackfillProgress
	require.Eventually(t, func() bool {
		answer, err := f.Temporal.QueryWorkflow(t.Context(), id, "", wire.ProgressQuery)
		return err == nil && answer.Get(&progress) == nil && strings.Contains(progress.Reason, reason)
	}, longEnough, often)
	require.Regexp(t, `^cannot go on: .*, tried \d+ times since 20.*Z; it is tried again$`, progress.Reason)
	require.Empty(t, progress.TimeLeft)
	row, err := f.Store.Backfill(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, row.Trouble, reason)
	require.Zero(t, f.count(t, "select count(*) from runs"))

	f.execute(t, "alter table backfill_runs drop constraint stuck")
	result, err := f.awaitBackfill(t, id)
	require.NoError(t, err)
	require.Equal(t, done("report", 4), result.Assets[2])
	row, err = f.Store.Backfill(t.Context(), id)
	require.NoError(t, err)
	require.Empty(t, row.Trouble)
	require.Empty(t, row.Reason)
}

// Trying again does not make a state readable.
func TestABackfillWhoseStateNobodyCanReadFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(4))
	f.worker(t, "b1")
	f.hold(t, "flights")
	request := firstDays(4)
	request.MaxConcurrentRuns = 1
	id := f.startBackfill(t, "bf", request)
	f.awaitNotes(t, testlocation.Called, "flights", 1)
	require.NoError(t, f.Starter.PauseBackfill(t.Context(), id))
	require.Eventually(t, func() bool {
		row, err := f.Store.Backfill(t.Context(), id)
		return err == nil && row.Paused
	}, longEnough, often)
	f.execute(t, `update backfills set state = '{"flights":{"materialized":7}}', version = version + 1`)
	result := f.requireBackfillEnd(t, id, wire.BackfillBroken)
	require.Contains(t, result.Reason, "its records cannot be read: ")
	require.Equal(t, 1, f.count(t, "select count(*) from runs where backfill = $1 and status = 'CANCELED'", id))
}

// Nobody has planned it yet: Temporal alone takes the order.
func TestABackfillIsSteeredBeforeAWorkerIsThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(4))
	require.NoError(t, f.worker(t, "b1").Kill())
	require.ErrorContains(t, f.Starter.PauseBackfill(t.Context(), f.spec.Location+"-nobody"), "there is no backfill")
	paused, cancelled := f.startBackfill(t, "paused", firstDays(4)), f.startBackfill(t, "cancelled", firstDays(4))
	require.NoError(t, f.Starter.PauseBackfill(t.Context(), paused))
	require.NoError(t, f.Starter.CancelBackfill(t.Context(), cancelled))
	f.worker(t, "b1")
	f.requireBackfillEnd(t, cancelled, wire.BackfillCanceled)
	require.Eventually(t, func() bool {
		row, err := f.Store.Backfill(t.Context(), paused)
		return err == nil && row.Paused
	}, longEnough, often)
	require.Zero(t, f.count(t, "select count(*) from runs where backfill = $1", cancelled), "it was cancelled before it began")
	require.NoError(t, f.Starter.ResumeBackfill(t.Context(), paused))
	result, err := f.awaitBackfill(t, paused)
	require.NoError(t, err)
	require.Equal(t, done("flights", 4), result.Assets[0])
	require.ErrorContains(t, f.Starter.CancelBackfill(t.Context(), paused), "has ended (COMPLETED_SUCCESS)")
}

// A run that a backfill waits for may be executed again by one that the definitions of then refuse.
func TestARefusedRetryOfARunFailsIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t, days(2))
	f.worker(t, "b1")
	key := testlocation.PartitionKey("flights", testlocation.Day(0))
	f.instruct(t, key, testlocation.Instruction{FailAll: true})
	request := firstDays(2)
	request.Assets = wire.AssetSelection{Expression: "flights"}
	request.Tags = map[string]string{"perdure/max_retries": "1", "perdure/retry_on_asset_or_op_failure": "true"}
	// Whoever has its id first keeps the retry from beginning.
	id := f.spec.Location + "-bf"
	retry := id + ":flights:2001-01-01~1"
	taken, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: retry, TaskQueue: f.spec.Location}, wire.RunWorkflow, json.RawMessage(`{"assets":"nothing"}`))
	require.NoError(t, err)
	require.Error(t, taken.Get(t.Context(), nil))
	require.Equal(t, id, f.startBackfill(t, "bf", request))
	result := f.requireBackfillEnd(t, id, wire.BackfillFailed)
	require.Equal(t, wire.BackfillRuns{Succeeded: 1, Failed: 1}, result.Runs)
	require.Contains(t, result.Failures[0].Message, "its retry was refused: ")
	require.Contains(t, result.Failures[0].Message, "failed as it was told to")
}
