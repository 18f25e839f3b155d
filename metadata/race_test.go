package metadata_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// attempt is one attempt of the race: what it was told, and what it was answered at the end.
type attempt struct {
	scheduled, started int64
	claim              wire.ClaimOutcome
	token              int64
	committed, failed  bool
}

// Attempts of one step claim, then commit, fail or freeze and commit late, in every order, and a closer
// closes it in between. Whatever happens, the records say one thing: a scheduling is committed at most
// once, a step that is done has exactly the materialization of its last commit, a closed one that was
// never done has none, and only the step's last grant can have ended it.
func TestRacesHaveOneOutcome(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const races, parallel = 250, 8
	for i := range races {
		b.begin(fmt.Sprintf("r%d", i), step("s", fmt.Sprintf("asset_%d", i)))
	}
	var wait sync.WaitGroup
	for worker := range parallel {
		wait.Go(func() {
			for i := worker; i < races; i += parallel {
				if err := race(b, rand.New(rand.NewPCG(seed, uint64(i))), i); err != nil {
					t.Errorf("race %d of seed %d: %v", i, seed, err)
				}
			}
		})
	}
	wait.Wait()

	outcomes := map[wire.StepStatus]int{}
	for i := range races {
		outcomes[b.stepRow(fmt.Sprintf("r%d", i), "s").Status]++
	}
	t.Logf("outcomes %v", outcomes)
	require.Positive(t, outcomes[wire.StepSuccess])
	require.Positive(t, outcomes[wire.StepFailed])
	require.Positive(t, outcomes[wire.StepCanceled])
	require.Zero(t, b.count(`select count(*) from writers w join steps s using (run_id, step) where s.state <> 'open'`))
	requireOneEventForEachRow(t, b)
}

func race(b *bench, random *rand.Rand, number int) error {
	run, asset := fmt.Sprintf("r%d", number), fmt.Sprintf("asset_%d", number)
	attempts := make([]attempt, 4)
	for i := range attempts {
		attempts[i].scheduled = 10
		if number%5 == 0 && i >= 2 {
			attempts[i].scheduled = 20 // a reset
		}
		attempts[i].started = attempts[i].scheduled + int64(i)
	}
	endings := make([]int, len(attempts))
	for i := range endings {
		endings[i] = random.IntN(4)
	}
	pauses := random.Perm(len(attempts))
	closing := number%3 == 0
	errs := make([]error, len(attempts)+1)
	var wait sync.WaitGroup
	for i := range attempts {
		wait.Go(func() {
			a := &attempts[i]
			<-time.After(time.Duration(pauses[i]) * 500 * time.Microsecond)
			claim, err := b.Claim(b.Context(), request(run, "s", a.scheduled, a.started))
			a.claim, a.token, errs[i] = claim.Outcome, claim.Token, err
			if err != nil || claim.Outcome != wire.ClaimGranted {
				return
			}
			fence := wire.Fence{Run: run, Step: "s", Scheduled: a.scheduled, Token: claim.Token}
			switch endings[i] {
			case 0: // fails for good
				failed, err := b.Store.Fail(b.Context(), wire.Failure{Fence: fence, Attempt: claim.Attempt, Final: true, Error: wire.ErrorInfo{Message: "no"}})
				a.failed, errs[i] = err == nil && !failed.Refused, err
				return
			case 1: // freezes, and wakes when the others are done
				<-time.After(4 * time.Millisecond)
			}
			committed, err := b.Commit(b.Context(), commitOf(fence, asset))
			a.committed, errs[i] = err == nil && !committed.Refused, err
		})
	}
	if closing {
		wait.Go(func() {
			<-time.After(time.Duration(random.IntN(2000)) * time.Microsecond)
			_, errs[len(attempts)] = b.CloseSteps(b.Context(), run, time.Unix(0, 15), []wire.ClosedStep{{Step: "s", Status: wire.StepCanceled}})
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return judge(b, run, attempts, closing)
}

// judge compares what the attempts were answered with what the rows say.
func judge(b *bench, run string, attempts []attempt, closing bool) error {
	page, err := b.Materializations(b.Context(), metadata.MaterializationFilter{Run: run}, "", 0)
	if err != nil {
		return err
	}
	steps, err := b.Steps(b.Context(), run, "", 0)
	if err != nil {
		return err
	}
	status := steps.Rows[0].Status
	var tokens, committed []int64
	ends := map[int64]int{} // by scheduling
	var last attempt
	for _, a := range attempts {
		if a.committed {
			committed = append(committed, a.token)
		}
		if a.committed || a.failed {
			ends[a.scheduled]++
		}
		if a.token > last.token {
			last = a
		}
	}
	for _, row := range page.Rows {
		tokens = append(tokens, row.Token)
	}
	slices.Sort(tokens)
	slices.Sort(committed)
	for scheduled, n := range ends {
		if n > 1 {
			return fmt.Errorf("scheduling %d ended %d times", scheduled, n)
		}
	}
	if !slices.Equal(tokens, committed) {
		return fmt.Errorf("commits accepted %v, materializations %v", committed, tokens)
	}
	switch {
	case last.committed && status != wire.StepSuccess:
		return fmt.Errorf("the last grant committed and the step is %s", status)
	case last.failed && status != wire.StepFailed:
		return fmt.Errorf("the last grant failed and the step is %s", status)
	case status == wire.StepSuccess && !last.committed:
		return fmt.Errorf("the step is done and its last grant did not commit")
	case status == wire.StepCanceled && !closing:
		return fmt.Errorf("the step is cancelled and nobody did that")
	case status == wire.StepRunning && closing && last.scheduled <= 15:
		return fmt.Errorf("the step was closed and is open")
	case status == wire.StepRunning && !closing:
		return fmt.Errorf("the last grant ended and the step is open")
	}
	return nil
}

func requireOneEventForEachRow(t *testing.T, b *bench) {
	t.Helper()
	require.Equal(t, b.count("select count(*) from materializations"),
		b.count("select count(*) from event_log where type = 'ASSET_MATERIALIZATION'"))
	require.Zero(t, b.count(`select count(*) from materializations m left join event_log e
		on e.position = m.position and e.asset = m.asset and e.run_id = m.run_id where e.position is null`))
	require.Zero(t, b.count(`select count(*) from asset_partitions p where p.token <>
		(select max(token) from materializations m where m.asset = p.asset and m.partition = p.partition)`))
}
