package activities

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// ledger is the step runner's view of Postgres, for one attempt.
type ledger struct {
	store *metadata.Store
	// granted is what the attempt was granted; nil until then.
	granted atomic.Pointer[wire.Fence]
}

var _ step.Ledger = (*ledger)(nil)

func (l *ledger) Claim(ctx context.Context, request wire.ClaimRequest) (wire.Claim, error) {
	claim, err := l.store.Claim(ctx, request)
	if err == nil && claim.Outcome == wire.ClaimGranted {
		l.granted.Store(&wire.Fence{Run: request.Run, Step: request.Step, Scheduled: request.Scheduled, Token: claim.Token})
	}
	return claim, ledgerError(err)
}

// concede says that another attempt may come without this one having died. Until one does, this one goes on and may
// commit.
func (l *ledger) concede(ctx context.Context, reason string) error {
	fence := l.granted.Load()
	if fence == nil {
		return nil
	}
	return ledgerError(l.store.Release(ctx, *fence, wire.FailureCutOff, reason))
}

func (l *ledger) CheckToken(ctx context.Context, check wire.TokenCheck) (wire.TokenState, error) {
	state, err := l.store.CheckToken(ctx, check)
	return state, ledgerError(err)
}

func (l *ledger) Commit(ctx context.Context, commit wire.Commit) (wire.Committed, error) {
	committed, err := l.store.Commit(ctx, commit)
	return committed, ledgerError(err)
}

func (l *ledger) Fail(ctx context.Context, failure wire.Failure) (bool, error) {
	failure.Error.Message, failure.Error.Stack = storable(failure.Error.Message), storable(failure.Error.Stack)
	refused, err := l.store.Fail(ctx, failure)
	return refused, ledgerError(err)
}

func (l *ledger) Release(ctx context.Context, fence wire.Fence, cause error) error {
	return ledgerError(l.store.Release(ctx, fence, releaseCode(cause), storable(cause.Error())))
}

// releaseCode is why a step is given back, as programs read it.
func releaseCode(cause error) string {
	switch {
	case errors.Is(cause, ErrDraining), errors.Is(cause, context.Canceled):
		return wire.FailureDraining
	case errors.Is(cause, errCanceled), errors.Is(cause, errPaused), errors.Is(cause, errReset), errors.Is(cause, errGone),
		temporal.IsCanceledError(cause):
		return wire.FailureSuperseded
	default:
		return wire.FailureStoreUnavailable
	}
}

// ledgerError marks what is worth waiting for.
func ledgerError(err error) error {
	if err != nil && metadata.IsUnavailable(err) {
		return fmt.Errorf("%w: %w", step.ErrUnavailable, err)
	}
	return err
}
