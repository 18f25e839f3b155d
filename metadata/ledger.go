package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Claim asks for a step in the name of one attempt; see [wire.ClaimOutcome] for what may come back.
// Asked again, the same attempt is given the same token. A grant may be lost when Postgres crashes before anything else is
// recorded: whatever is refused then says so, and the attempt may claim again.
func (s *Store) Claim(ctx context.Context, request wire.ClaimRequest) (wire.Claim, error) {
	return call[wire.Claim](ctx, s, fmt.Sprintf("claim step %q of run %q", request.Step, request.Run), "claim_step_v1", request)
}

// CheckToken says whether the attempt may still publish and commit, and if not, whether anybody can want what it staged.
func (s *Store) CheckToken(ctx context.Context, check wire.TokenCheck) (wire.TokenState, error) {
	return call[wire.TokenState](ctx, s, fmt.Sprintf("check the token of step %q of run %q", check.Step, check.Run), "check_token_v1", check)
}

// Fail records a failure of the user's function, once for each attempt.
func (s *Store) Fail(ctx context.Context, failure wire.Failure) (wire.Failed, error) {
	return call[wire.Failed](ctx, s, fmt.Sprintf("record a failure of step %q of run %q", failure.Step, failure.Run), "fail_step_v1", failure)
}

// Release gives a step back unharmed, because its worker stops or cannot go on: no failure, and no lost worker. code is why
// (wire.FailureDraining, wire.FailureStoreUnavailable, …), reason the same for people. It changes nothing when the fence
// no longer holds.
func (s *Store) Release(ctx context.Context, fence wire.Fence, code, reason string) error {
	_, err := call[struct{}](ctx, s, fmt.Sprintf("release step %q of run %q", fence.Step, fence.Run), "release_step_v1", struct {
		wire.Fence
		Code   string `json:"code"`
		Reason string `json:"reason"`
	}{fence, code, reason})
	return err
}

// HandBack is a step that a worker hands back, because its build cannot take it.
type HandBack struct {
	Run, Step string
	// Scheduled is Temporal's ScheduledTime of the activity.
	Scheduled time.Time
	// Reason says what this build lacks, for people.
	Reason string
	// Grace is for how long a step may be handed back without being granted in between; then it fails with Failure.
	Grace   time.Duration
	Failure string
}

// HandedBack is how a step stands that was handed back.
type HandedBack struct {
	// Closed says that the step has ended: by this call, or before it.
	Closed bool `json:"closed"`
	// Since is when it was first handed back without being granted in between; the zero time when Closed.
	Since time.Time `json:"since"`
	// Status is how it ended, when Closed: "" when it was closed, or scheduled anew, after this scheduling.
	Status wire.StepStatus `json:"status"`
	// Error is set of a failed step, Result of one that is done.
	Error  *wire.ErrorInfo  `json:"error"`
	Result *wire.StepResult `json:"result"`
	// Admitted got the step's slot, when it failed.
	Admitted []wire.AdmittedRun `json:"admitted"`
}

// HandBack records that a worker's build cannot take a step, and why. The time since when that is so is kept until the
// step is granted, whichever worker says what; a reset of its run begins it anew. [ErrNotFound] says that no run
// planned the step.
func (s *Store) HandBack(ctx context.Context, step HandBack) (HandedBack, error) {
	operation := fmt.Sprintf("hand back step %q of run %q", step.Step, step.Run)
	answer, err := call[struct {
		HandedBack
		Found bool `json:"found"`
	}](ctx, s, operation, "hand_back_v1", struct {
		Run       string        `json:"run"`
		Step      string        `json:"step"`
		Scheduled int64         `json:"scheduled"`
		Reason    string        `json:"reason"`
		Grace     time.Duration `json:"grace"`
		Failure   string        `json:"failure"`
	}{step.Run, step.Step, nanoseconds(step.Scheduled), step.Reason, step.Grace, step.Failure})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: no run planned it: %w", operation, ErrNotFound)
	}
	return answer.HandedBack, err
}
