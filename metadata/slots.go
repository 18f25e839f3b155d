package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// SlotClaim asks for slots of pools for steps that are ready.
type SlotClaim struct {
	RunID string
	// Scheduled is Temporal's ScheduledTime of the activity that asks, or the workflow's time: it tells a step that has ended since from
	// one that a reset lets run again.
	Scheduled time.Time
	Steps     []wire.PoolStep
}

// SlotClaims is the answer to a [SlotClaim].
type SlotClaims struct {
	// Status is the run's.
	Status wire.RunStatus `json:"status"`
	// Granted may start. Waiting have asked, and wait from now on.
	Granted []string           `json:"granted"`
	Waiting []wire.WaitingSlot `json:"waiting"`
	// Others have got slots besides, and are to be woken.
	Others []wire.AdmittedRun `json:"others"`
}

// ClaimSlots grants slots where there is room, and puts the other steps in line: by the run's priority, the step's order, then by who asked
// first. Asked again, a step that has a slot keeps it, and one that waits keeps its place. A step keeps its slot through its
// retries; it is freed where its end is recorded. Where a pool has no limit, or limits runs, all are granted; so are steps of a run that has
// ended, for their claims say that it has. [ErrNotFound] says that there is no such run.
func (s *Store) ClaimSlots(ctx context.Context, claim SlotClaim) (SlotClaims, error) {
	operation := fmt.Sprintf("ask for slots for %d steps of run %q", len(claim.Steps), claim.RunID)
	answer, err := call[struct {
		SlotClaims
		Found bool `json:"found"`
	}](ctx, s, operation, "claim_slots_v1", struct {
		RunID     string          `json:"run_id"`
		Scheduled int64           `json:"scheduled"`
		Steps     []wire.PoolStep `json:"steps"`
	}{claim.RunID, nanoseconds(claim.Scheduled), orEmpty(claim.Steps)})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such run: %w", operation, ErrNotFound)
	}
	return answer.SlotClaims, err
}

// ReleaseSlots gives up slots that steps of a run hold or wait for, and returns who got them. What has none is left out.
func (s *Store) ReleaseSlots(ctx context.Context, run string, steps []string) ([]wire.AdmittedRun, error) {
	answer, err := call[struct {
		Admitted []wire.AdmittedRun `json:"admitted"`
	}](ctx, s, fmt.Sprintf("release slots of %d steps of run %q", len(steps), run), "release_slots_v1", struct {
		RunID string   `json:"run_id"`
		Steps []string `json:"steps"`
	}{run, orEmpty(steps)})
	return answer.Admitted, err
}
