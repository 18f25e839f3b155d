package step

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// The bundle is one step of one run: a ledger in memory that can go away, values that are staged and
// published in a map, and a user's function.
type bundle struct {
	mu        sync.Mutex
	plan      plan.Step
	claim     wire.Claim
	away      time.Time // until when the ledger cannot be reached
	lostToken bool      // the token no longer holds
	orphaned  bool      // and nobody can want what was staged
	checked   []wire.TokenCheck
	commits   []wire.Commit
	failures  []wire.Failure
	released  []string

	stored          map[string]string // location to "staged" or "published"
	calls           int
	compute         func(*Attempt) ([]Output, error)
	resumable       bool
	onRelease       func()
	onPublish       func()
	panicAtLocation bool
	frozenClaims    int // claims that are never answered
	// commitError is what the ledger answers to every commit.
	commitError error
	// storeReports is what the store says of each value that it stages.
	storeReports []wire.Metadatum
	// refuses is what the store says of a slot; nil takes all. mostAtOnce is how many values it was given at once.
	refuses             func(Slot) error
	storing, mostAtOnce int64
	resumed             []Slot
	// lines, printer and log are the runner's; nil is none, and a log that discards.
	lines   Lines
	printer Printer
	log     *slog.Logger
	// step is the step's key where it is not the plan's.
	step string

	previous *StagedOutputs
	beats    []Beat
}

func newBundle(outputs ...plan.Output) *bundle {
	b := &bundle{stored: map[string]string{}}
	b.plan = plan.Step{Key: "route_delays", Type: "route_delays", Outputs: outputs}
	b.claim = wire.Claim{Outcome: wire.ClaimGranted, Token: 7, Attempt: 1}
	b.compute = func(*Attempt) ([]Output, error) { return []Output{{Asset: "route_delays", Value: 1}}, nil }
	return b
}

func one() *bundle { return newBundle(plan.Output{Asset: "route_delays"}) }

func (b *bundle) reach() error {
	if time.Now().Before(b.away) {
		return fmt.Errorf("postgres: %w", ErrUnavailable)
	}
	return nil
}

func (b *bundle) Claim(ctx context.Context, _ wire.ClaimRequest) (wire.Claim, error) {
	if b.frozenClaims > 0 {
		b.frozenClaims--
		<-ctx.Done()
		return wire.Claim{}, ctx.Err()
	}
	claim := b.claim
	claim.Plan, _ = json.Marshal(b.plan)
	return claim, b.reach()
}

func (b *bundle) CheckToken(_ context.Context, check wire.TokenCheck) (wire.TokenState, error) {
	b.checked = append(b.checked, check)
	return wire.TokenState{Holds: !b.lostToken, Orphaned: b.lostToken && b.orphaned}, b.reach()
}

func (b *bundle) Commit(_ context.Context, commit wire.Commit) (wire.Committed, error) {
	if err := b.reach(); err != nil {
		return wire.Committed{}, err
	}
	if b.commitError != nil {
		return wire.Committed{}, b.commitError
	}
	if b.lostToken {
		return wire.Committed{Refused: true, Orphaned: b.orphaned}, nil
	}
	b.commits = append(b.commits, commit)
	return wire.Committed{Result: commit.Result}, nil
}

func (b *bundle) Fail(_ context.Context, failure wire.Failure) (bool, error) {
	if err := b.reach(); err != nil {
		return false, err
	}
	b.failures = append(b.failures, failure)
	return b.lostToken, nil
}

func (b *bundle) Release(_ context.Context, _ wire.Fence, cause error) error {
	if b.onRelease != nil {
		b.onRelease()
	}
	b.released = append(b.released, cause.Error())
	return nil
}

func (b *bundle) Beat(beat Beat) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.beats = append(b.beats, beat)
}

func (b *bundle) Previous() *StagedOutputs { return b.previous }

type value struct {
	b  *bundle
	at string
}

func (v value) Location() string {
	if v.b.panicAtLocation {
		panic("no location")
	}
	return v.at
}

func (v value) Publish(context.Context) error {
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	v.b.stored[v.at] = "published"
	if v.b.onPublish != nil {
		v.b.onPublish()
	}
	return nil
}

func (v value) Discard(context.Context) error {
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	delete(v.b.stored, v.at)
	return nil
}

func (b *bundle) run(ctx context.Context) (wire.StepResult, error) {
	runner := &Runner{
		Ledger: b, Log: cmp.Or(b.log, slog.New(slog.DiscardHandler)), Lines: b.lines, Printer: b.printer,
		Worker: "w", Build: "b", Patience: 15 * time.Minute, Random: func() float64 { return 0 },
	}
	code := &Code{
		Type: "route_delays",
		Compute: func(a *Attempt) ([]Output, error) {
			b.calls++
			return b.compute(a)
		},
		Stage: func(a *Attempt, slot Slot, _ any) (Staged, error) {
			return b.stage(a, slot)
		},
		Resume: func(_ *Attempt, slot Slot, location string) (Staged, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.resumed = append(b.resumed, slot)
			if !b.resumable {
				return nil, ErrNotResumable
			}
			return value{b, location}, nil
		},
	}
	return runner.Run(ctx, code, Identity{Run: "r1", Step: cmp.Or(b.step, "route_delays"), Scheduled: time.Now(), Started: time.Now()}, b)
}

// stage keeps a value, and counts how many are kept at once.
func (b *bundle) stage(a *Attempt, slot Slot) (Staged, error) {
	b.mu.Lock()
	b.storing++
	b.mostAtOnce = max(b.mostAtOnce, b.storing)
	b.mu.Unlock()
	runtime.Gosched()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.storing--
	a.Report(b.storeReports...)
	if b.refuses != nil {
		if err := b.refuses(slot); err != nil {
			return nil, err
		}
	}
	at := fmt.Sprintf("%s/%d", slot.Asset, slot.Token)
	if slot.Asset == "" {
		at = fmt.Sprintf("%s/%s/%s/%d", slot.Run, slot.Step, slot.Key, slot.Token)
	}
	b.stored[at] = "staged"
	return value{b, at}, nil
}
