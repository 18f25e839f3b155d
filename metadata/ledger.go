package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Claim asks for a step in the name of one attempt; see [wire.ClaimOutcome] for what may come back.
// Asked again, the same attempt is given the same token.
func (s *Store) Claim(ctx context.Context, request wire.ClaimRequest) (wire.Claim, error) {
	return call[wire.Claim](ctx, s, fmt.Sprintf("claim step %q of run %q", request.Step, request.Run), "claim_step_v1", request)
}

// Commit records a step's outputs and ends it, all or nothing and once. Refused says that the fence
// no longer holds.
func (s *Store) Commit(ctx context.Context, commit wire.Commit) (wire.Committed, error) {
	return call[wire.Committed](ctx, s, fmt.Sprintf("commit step %q of run %q", commit.Step, commit.Run), "commit_step_v1", commit)
}

// CheckToken says whether the attempt may still publish and commit.
func (s *Store) CheckToken(ctx context.Context, fence wire.Fence) (bool, error) {
	answer, err := call[struct {
		Holds bool `json:"holds"`
	}](ctx, s, fmt.Sprintf("check the token of step %q of run %q", fence.Step, fence.Run), "check_token_v1", fence)
	return answer.Holds, err
}

type refusable struct {
	Refused bool `json:"refused"`
}

// Fail records a failure of the user's function, once for each attempt. Refused says that the fence no longer holds.
func (s *Store) Fail(ctx context.Context, failure wire.Failure) (refused bool, err error) {
	answer, err := call[refusable](ctx, s, fmt.Sprintf("record a failure of step %q of run %q", failure.Step, failure.Run), "fail_step_v1", failure)
	return answer.Refused, err
}

// Release gives a step back unharmed, because its worker stops: no failure, and no lost worker. It
// changes nothing when the fence no longer holds.
func (s *Store) Release(ctx context.Context, fence wire.Fence, reason string) error {
	_, err := call[refusable](ctx, s, fmt.Sprintf("release step %q of run %q", fence.Step, fence.Run), "release_step_v1", struct {
		wire.Fence
		Code   string `json:"code"`
		Reason string `json:"reason"`
	}{fence, wire.FailureDraining, reason})
	return err
}

// HandBack records that a worker's build cannot take a step, and why. It returns since when that is
// so: the time is kept until the step is granted, whichever worker says what. [ErrNotFound] says that
// no run planned the step.
func (s *Store) HandBack(ctx context.Context, run, step string, scheduled time.Time, reason string) (since time.Time, err error) {
	operation := fmt.Sprintf("hand back step %q of run %q", step, run)
	answer, err := call[struct {
		Since *time.Time `json:"since"`
	}](ctx, s, operation, "hand_back_v1", struct {
		Run       string `json:"run"`
		Step      string `json:"step"`
		Scheduled int64  `json:"scheduled"`
		Reason    string `json:"reason"`
	}{run, step, nanoseconds(scheduled), reason})
	if err != nil {
		return time.Time{}, err
	}
	if answer.Since == nil {
		return time.Time{}, fmt.Errorf("%s: no run planned it: %w", operation, ErrNotFound)
	}
	return *answer.Since, nil
}
