package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// ledger is the step runner's view of Postgres, for one attempt. A claim that Postgres lost in a crash it makes again, and
// goes on under the new token: the runner, and the names of stored values, keep the first one.
type ledger struct {
	store *metadata.Store

	mu      sync.Mutex // the heartbeat concedes while the attempt goes on
	request wire.ClaimRequest
	// granted is the token that the attempt was granted first, token the one that it has now; 0 until then.
	granted, token int64
}

var _ step.Ledger = (*ledger)(nil)

func (l *ledger) Claim(ctx context.Context, request wire.ClaimRequest) (wire.Claim, error) {
	claim, err := l.store.Claim(ctx, request)
	if err == nil && claim.Outcome == wire.ClaimGranted {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.request, l.granted, l.token = request, claim.Token, claim.Token
	}
	return claim, ledgerError(err)
}

// current is a fence of the attempt under the token that it has now.
func (l *ledger) current(fence wire.Fence) wire.Fence {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fence.Token == l.granted {
		fence.Token = l.token
	}
	return fence
}

// again calls until the answer is not that the claim is lost, or the claim cannot be made again.
func (l *ledger) again(ctx context.Context, call func() (lost bool, err error)) error {
	for {
		lost, err := call()
		if err != nil || !lost {
			return ledgerError(err)
		}
		granted, err := l.claimAgain(ctx)
		if err != nil || !granted {
			return err
		}
	}
}

// claimAgain makes a claim that was lost again. While another step writes what this one has computed, Postgres is as good
// as away: the runner waits in place, and does not compute again.
func (l *ledger) claimAgain(ctx context.Context) (granted bool, err error) {
	l.mu.Lock()
	request := l.request
	l.mu.Unlock()
	if request.Run == "" {
		return false, nil // whoever asks has claimed elsewhere
	}
	claim, err := l.store.Claim(ctx, request)
	switch {
	case err != nil:
		return false, ledgerError(err)
	case claim.Outcome == wire.ClaimWaiting:
		return false, fmt.Errorf("%w: the claim was lost in a crash of Postgres, and now step %s of run %s writes %s",
			step.ErrUnavailable, claim.Holder.Step, claim.Holder.Run, claim.Holder.Asset)
	case claim.Outcome != wire.ClaimGranted:
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = claim.Token
	return true, nil
}

// concede says that another attempt may come without this one having died. Until one does, this one goes on and may
// commit.
func (l *ledger) concede(ctx context.Context, reason string) error {
	l.mu.Lock()
	fence := wire.Fence{Run: l.request.Run, Step: l.request.Step, Scheduled: l.request.Scheduled, Token: l.token}
	l.mu.Unlock()
	if fence.Token == 0 {
		return nil
	}
	return ledgerError(l.store.Release(ctx, fence, wire.FailureCutOff, reason))
}

func (l *ledger) CheckToken(ctx context.Context, check wire.TokenCheck) (state wire.TokenState, err error) {
	fence := check.Fence
	err = l.again(ctx, func() (bool, error) {
		check.Fence = l.current(fence)
		state, err = l.store.CheckToken(ctx, check)
		return state.Lost, err
	})
	return state, err
}

func (l *ledger) Commit(ctx context.Context, commit wire.Commit) (committed wire.Committed, err error) {
	fence := commit.Fence
	err = l.again(ctx, func() (bool, error) {
		commit.Fence = l.current(fence)
		committed, err = l.store.Commit(ctx, commit)
		return committed.Lost, err
	})
	return committed, err
}

func (l *ledger) Fail(ctx context.Context, failure wire.Failure) (refused bool, err error) {
	failure.Error.Message, failure.Error.Stack = storable(failure.Error.Message), storable(failure.Error.Stack)
	fence := failure.Fence
	err = l.again(ctx, func() (bool, error) {
		failure.Fence = l.current(fence)
		failed, err := l.store.Fail(ctx, failure)
		refused = failed.Refused
		return failed.Lost, err
	})
	return refused, err
}

// Release does nothing for a claim that was lost: nobody holds the step then.
func (l *ledger) Release(ctx context.Context, fence wire.Fence, cause error) error {
	return ledgerError(l.store.Release(ctx, l.current(fence), releaseCode(cause), storable(cause.Error())))
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
