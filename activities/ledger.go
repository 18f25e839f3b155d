package activities

import (
	"context"
	"fmt"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// ledger is the step runner's view of Postgres.
type ledger struct{ store *metadata.Store }

var _ step.Ledger = ledger{}

func (l ledger) Claim(ctx context.Context, request wire.ClaimRequest) (wire.Claim, error) {
	claim, err := l.store.Claim(ctx, request)
	return claim, ledgerError(err)
}

func (l ledger) CheckToken(ctx context.Context, fence wire.Fence) (bool, error) {
	holds, err := l.store.CheckToken(ctx, fence)
	return holds, ledgerError(err)
}

func (l ledger) Commit(ctx context.Context, commit wire.Commit) (wire.Committed, error) {
	committed, err := l.store.Commit(ctx, commit)
	return committed, ledgerError(err)
}

func (l ledger) Fail(ctx context.Context, failure wire.Failure) (bool, error) {
	refused, err := l.store.Fail(ctx, failure)
	return refused, ledgerError(err)
}

func (l ledger) Release(ctx context.Context, fence wire.Fence, reason string) error {
	return ledgerError(l.store.Release(ctx, fence, reason))
}

// ledgerError marks what is worth waiting for.
func ledgerError(err error) error {
	if err != nil && metadata.IsUnavailable(err) {
		return fmt.Errorf("%w: %w", step.ErrUnavailable, err)
	}
	return err
}
