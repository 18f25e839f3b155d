package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Admission is the answer to a run that waits in the queue.
type Admission struct {
	// Admitted says that the run has begun, by this call or an earlier one.
	Admitted bool `json:"admitted"`
	// Status is the run's. One that is being cancelled or has ended is not admitted any more.
	Status wire.RunStatus `json:"status"`
	// Reason says for what it waits, and who holds it; "" when Admitted.
	Reason string `json:"reason"`
	// Others were admitted besides, and are to be woken.
	Others []wire.AdmittedRun `json:"others"`
}

// Asking is a run's question whether it may begin.
type Asking struct {
	// RunID, FirstRunID, Scheduled and Execution are as in [NewRun].
	RunID, FirstRunID string
	Scheduled         time.Time
	Execution         string
}

// AdmitRun asks, in the name of a run that [Store.PlanRun] has put in the queue, whether it may begin: what a signal says is only that
// it is worth asking. When it may, it begins here: its time counts from now. Asked again it answers the same. A run that has ended and
// was reset to when it waited begins at once. [ErrNotFound] says that no run has both ids.
func (s *Store) AdmitRun(ctx context.Context, asking Asking) (Admission, error) {
	operation := fmt.Sprintf("ask whether run %q may begin", asking.RunID)
	answer, err := call[struct {
		Admission
		Found bool `json:"found"`
	}](ctx, s, operation, "admit_run_v1", struct {
		RunID      string `json:"run_id"`
		FirstRunID string `json:"first_run_id"`
		Scheduled  int64  `json:"scheduled"`
		Execution  string `json:"execution"`
	}{asking.RunID, asking.FirstRunID, nanoseconds(asking.Scheduled), asking.Execution})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such run with first execution %q: %w", operation, asking.FirstRunID, ErrNotFound)
	}
	return answer.Admission, err
}

// AdmitOptions bound [Store.AdmitRuns]; the zero value has every default.
type AdmitOptions struct {
	// Unnoticed is how long what was granted may go unnoticed before it is among Admitted again; 0 is 2 seconds.
	Unnoticed time.Duration
	// Limit bounds how many runs are admitted at once, and how many grants are named again; 0 is 1,000.
	Limit int
}

// AdmissionRound is what [Store.AdmitRuns] has done.
type AdmissionRound struct {
	// Admitted are to be woken: those that were admitted just now, and those that did not notice an earlier grant.
	Admitted []wire.AdmittedRun `json:"admitted"`
	// WaitingRuns and WaitingSteps still wait.
	WaitingRuns  int `json:"waiting_runs"`
	WaitingSteps int `json:"waiting_steps"`
	// ReclaimedRuns and ReclaimedSlots count what was left by owners that are gone.
	ReclaimedRuns  int `json:"reclaimed_runs"`
	ReclaimedSlots int `json:"reclaimed_slots"`
}

// Waiting is how many runs and steps wait.
func (r AdmissionRound) Waiting() int { return r.WaitingRuns + r.WaitingSteps }

// AdmitRuns admits whatever has room, takes back what runs and steps have left that are gone, and names what was granted and
// nobody took note of. Nothing should need it: what frees something hands it on. It is called every few seconds while anything waits, for
// processes die between a grant and its signal.
func (s *Store) AdmitRuns(ctx context.Context, options AdmitOptions) (AdmissionRound, error) {
	if options.Unnoticed == 0 {
		options.Unnoticed = 2 * time.Second
	}
	if options.Limit == 0 {
		options.Limit = maxLimit
	}
	return call[AdmissionRound](ctx, s, "admit runs from the queue", "admit_runs_v1", struct {
		Unnoticed time.Duration `json:"unnoticed"`
		Limit     int           `json:"limit"`
	}{options.Unnoticed, options.Limit})
}
