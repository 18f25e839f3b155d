package metadata_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// commitRange is the commit of a ranged step that makes keys of an asset.
func commitRange(fence wire.Fence, asset string, keys ...string) wire.Commit {
	commit := commitOf(fence, asset)
	output := commit.Outputs[0]
	commit.Outputs = nil
	for _, key := range keys {
		output.Partition, output.DataVersion, output.Location = key, "d"+asset+key, "file:///data/"+asset+"/"+key
		commit.Outputs = append(commit.Outputs, output)
	}
	return commit
}

// versions are the inputs of a claim: which partitions it loads, by whose token.
func versions(claim wire.Claim) map[string]int64 {
	loaded := map[string]int64{}
	for _, input := range claim.Inputs {
		loaded[input.Asset+" "+input.Partition] = input.Token
	}
	return loaded
}

func TestAClaimIsGivenThePartitionsThatItLoads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.beginRun(over(t, "r0", "up", "", ranged("up", "a", "b", "c")))
	before := b.granted("r0", ranged("up", "a", "b", "c").Key, 1, 1)
	_, err := b.Commit(t.Context(), commitRange(before, "up", "a", "b", "c"))
	require.NoError(t, err)
	b.begin("r00", step("lookup"))
	lookup := b.committed("r00", "lookup", 1, "lookup")

	down := partitioned("down", "b")[0]
	down.Inputs = []plan.StepInput{
		{Asset: "lookup"},
		{Asset: "up", Partitions: []string{"a", "c", "f"}},
		{Asset: "up", Partitions: []string{"b"}, InRun: true},
		{Asset: "up", Partitions: []string{"d", "e"}, InRun: true},
		{Asset: "up", Partitions: []string{"f"}},
		{Asset: "up", Partitions: []string{}},
	}
	steps := append(partitioned("up", "b", "d", "e"), down)
	b.beginRun(over(t, "r1", "up", "", steps...))
	b.madePartition("r1", "up", "b", 1)
	b.madePartition("r1", "up", "d", 1)
	claim := b.claim("r1", "down@b", 1, 1)
	require.Equal(t, wire.ClaimGranted, claim.Outcome)
	own := func(key string) int64 {
		return int64(b.count("select slot_token from materializations where run_id = 'r1' and asset = 'up' and partition = $1", key))
	}
	require.Equal(t, map[string]int64{
		"lookup ": lookup.Token, "up a": before.Token, "up c": before.Token, "up b": own("b"), "up d": own("d"),
	}, versions(claim))
	require.Equal(t, "a", claim.Inputs[1].Partition)
	require.Equal(t, "dupa", claim.Inputs[1].DataVersion)
	require.Equal(t, "file:///data/up/a", claim.Inputs[1].Location)
	require.NotZero(t, claim.Inputs[1].Position)
}

func TestWhatARetryInheritsIsLoadedOfTheRunThatMadeEachPartition(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	down := step("down")
	down.Inputs = []plan.StepInput{{Asset: "up", Partitions: []string{"a", "b", "c"}, InRun: true}}
	steps := append(partitioned("up", "a", "b", "c"), down)
	b.beginRun(over(t, "r1", "up", "", steps...))
	for _, key := range []string{"a", "c"} {
		b.madePartition("r1", "up", key, 1)
	}
	require.False(t, b.fail(b.granted("r1", "up@b", 1, 1), 1, true))
	b.end("r1", 2, wire.RunFailure)

	steps[len(steps)-1].Inputs = []plan.StepInput{
		{Asset: "up", Partitions: []string{"b"}, InRun: true}, {Asset: "up", Partitions: []string{"a", "c"}, InRun: true, From: "r1"},
	}
	retry := over(t, "r2", "up", "", steps...)
	retry.Plan.RetryOf, retry.Plan.RootRunID = "r1", "r1"
	retry.Plan.Inherited = map[string]plan.Inherited{"up@a": {Run: "r1"}, "up@c": {Run: "r1"}}
	retry.Plan.Walk.Start = &plan.State{Steps: "P.P."}
	retry.Plan.Walk.Steps, retry.Plan.Walk.Kinds = make([]plan.WalkStep, len(steps)), []plan.Kind{{}}
	for i, s := range steps {
		retry.Plan.Walk.Steps[i].Key = s.Key
	}
	b.beginRun(retry)
	b.madePartition("r2", "up", "b", 3)
	// Another run makes them meanwhile: it is not loaded.
	b.beginRun(over(t, "r3", "up", "", partitioned("up", "a", "b", "c")...))
	for _, key := range []string{"a", "b", "c"} {
		b.madePartition("r3", "up", key, 1)
	}
	claim := b.claim("r2", "down", 3, 3)
	require.Equal(t, wire.ClaimGranted, claim.Outcome)
	require.Len(t, claim.Inputs, 3)
	for _, input := range claim.Inputs {
		run := "r1"
		if input.Partition == "b" {
			run = "r2"
		}
		require.EqualValues(t, b.count("select slot_token from materializations where run_id = $1 and partition = $2", run, input.Partition), input.Token)
	}
}

func TestTheHolderOfAPartitionIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.beginRun(over(t, "r1", "x", "", partitioned("x", "c")...))
	b.granted("r1", "x@c", 1, 1)
	wide := ranged("x", "a", "b", "c", "d")
	b.beginRun(over(t, "r2", "x", "", wide))
	b.beginRun(over(t, "r3", "x", "", partitioned("x", "c", "d")...))
	for run, step := range map[string]string{"r2": wide.Key, "r3": "x@c"} {
		claim := b.claim(run, step, 1, 1)
		require.Equal(t, wire.ClaimWaiting, claim.Outcome)
		require.Equal(t, "x", claim.Holder.Asset)
		require.Equal(t, "c", claim.Holder.Partition)
		require.Equal(t, "waits for step x@c of run r1, which is writing x [c]", b.stepRow(run, step).Reason)
	}
	b.granted("r3", "x@d", 1, 1)
	require.Equal(t, 2, b.count("select count(*) from writers"), "a step that waits has none")
	// What a run that has ended left behind is no obstacle.
	_, err := b.db.ExecContext(t.Context(), "update runs set status = 'FAILURE' where run_id in ('r1', 'r3')")
	require.NoError(t, err)
	b.granted("r2", wide.Key, 1, 2)
	require.Equal(t, 4, b.count("select count(*) from writers where run_id = 'r2'"))
}

// Steps over ranges that overlap, and over single partitions, claim and commit all at once. Postgres is asked directly: a store
// would try again after a deadlock.
func TestRangedStepsThatOverlapDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const writers, rounds, partitions = 6, 12, 40
	b.db.SetMaxOpenConns(writers + 2)
	key := func(i int) string { return fmt.Sprintf("%03d", i) }
	var wait sync.WaitGroup
	for w := range writers {
		random := rand.New(rand.NewPCG(seed, uint64(w)))
		wait.Go(func() {
			for round := range rounds {
				first := random.IntN(partitions)
				last := min(partitions-1, first+random.IntN(partitions))
				var keys []string
				for i := first; i <= last; i++ {
					keys = append(keys, key(i))
				}
				s := ranged("x", keys...)
				if len(keys) == 1 {
					s.Partitions, s.Partition = nil, keys[0]
				}
				run := newRun(fmt.Sprintf("r%d-%d", w, round), s)
				if _, err := b.PlanRun(t.Context(), run); err != nil {
					t.Errorf("plan: %v", err)
					return
				}
				for started := int64(1); ; started++ {
					claim, err := askDirectly[wire.Claim](b, "claim_step_v1", request(run.ID, s.Key, 1, started))
					if err != nil {
						t.Errorf("claim: %v", err)
						return
					}
					if claim.Outcome == wire.ClaimWaiting {
						continue
					}
					if claim.Outcome != wire.ClaimGranted {
						t.Errorf("claim: %s", claim.Outcome)
						return
					}
					if round%3 == 2 { // it dies with its run
						if _, err := b.EndRun(t.Context(), metadata.RunEnd{RunID: run.ID, FirstRunID: run.FirstRunID, Status: wire.RunFailure}); err != nil {
							t.Errorf("end: %v", err)
						}
						break
					}
					fence := wire.Fence{Run: run.ID, Step: s.Key, Scheduled: 1, Token: claim.Token}
					committed, err := askDirectly[wire.Committed](b, "commit_step_v1", commitRange(fence, "x", keys...))
					if err != nil || committed.Refused {
						t.Errorf("commit: %v %v", committed, err)
						return
					}
					break
				}
			}
		})
	}
	wait.Wait()
	require.Zero(t, b.count("select count(*) from writers"))
	require.Zero(t, b.count(`
		select count(*) from asset_partitions a where exists (
			select 1 from materializations m where m.asset = a.asset and m.partition = a.partition and m.token > a.token)`))
}

func askDirectly[Answer any](b *bench, function string, argument any) (Answer, error) {
	var answer Answer
	data, err := json.Marshal(argument)
	if err != nil {
		return answer, err
	}
	var raw []byte
	if err := b.db.GetContext(b.Context(), &raw, "select "+function+"($1)", string(data)); err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(raw, &answer)
}

// A claim and a commit of ten times as many partitions take about ten times as long.
func TestTenThousandPartitionsAreClaimedAndCommittedInOneCallEach(t *testing.T) { //nolint:paralleltest // it measures
	if testing.Short() {
		t.Skip("it measures")
	}
	b := newBench(t)
	took := map[int][2]time.Duration{}
	for _, count := range []int{1000, 10_000} {
		keys := make([]string, count)
		for i := range keys {
			keys[i] = time.Date(2001, 1, 1, i, 0, 0, 0, time.UTC).Format("2006-01-02-15:04")
		}
		for _, asset := range []string{"up", "down"} {
			s := ranged(asset, keys...)
			if asset == "down" {
				s.Inputs = []plan.StepInput{{Asset: "up", Partitions: keys}}
			}
			run := newRun(fmt.Sprintf("%s-%d", asset, count), s)
			b.beginRun(run)
			begun := time.Now()
			claim := b.claim(run.ID, s.Key, 1, 1)
			claimed := time.Since(begun)
			require.Equal(t, wire.ClaimGranted, claim.Outcome)
			commit := commitRange(wire.Fence{Run: run.ID, Step: s.Key, Scheduled: 1, Token: claim.Token}, asset, keys...)
			begun = time.Now()
			committed, err := b.Commit(t.Context(), commit)
			require.NoError(t, err)
			require.False(t, committed.Refused)
			took[count] = [2]time.Duration{claimed, time.Since(begun)}
			b.end(run.ID, 2, wire.RunSuccess)
			if asset == "down" {
				require.Len(t, claim.Inputs, count)
			}
		}
		t.Logf("%d partitions: claim with as many inputs %v, commit %v", count, took[count][0], took[count][1])
	}
	for i, what := range []string{"claim", "commit"} {
		require.Less(t, took[10_000][i], 40*took[1000][i]+time.Second, "the %s is not linear", what)
	}
}
