package step

import (
	"context"

	"github.com/perdure-io/perdure/wire"
)

// Ledger is where attempts claim and record. An implementation marks what it cannot reach with
// ErrUnavailable; every other error is final.
type Ledger interface {
	Claim(context.Context, wire.ClaimRequest) (wire.Claim, error)
	CheckToken(context.Context, wire.TokenCheck) (wire.TokenState, error)
	Commit(context.Context, wire.Commit) (wire.Committed, error)
	// Fail records a failure of the user's function; refused when the fence no longer holds.
	Fail(context.Context, wire.Failure) (refused bool, err error)
	// Release gives a claim back without a failure. cause is why: what ended the attempt's context, or the outage of a store.
	Release(ctx context.Context, fence wire.Fence, cause error) error
}

// Heartbeat tells whoever watches the attempt that it lives, and carries what it has staged to the
// next attempt.
type Heartbeat interface {
	// Beat is called about every second.
	Beat(Beat)
	// Previous is what the last attempt of the same scheduling had staged when it was lost; nil when nothing.
	Previous() *StagedOutputs
}

// Beat is what a heartbeat says. Written as JSON it is one flat object.
type Beat struct {
	// StagedOutputs are nil until outputs are staged.
	*StagedOutputs
	// Progress is what the function said last of how far it is; nil when it said nothing.
	Progress *Progress `json:"progress,omitempty"`
}

// StagedOutputs is what a heartbeat carries to a next attempt: all that a commit needs but the fence.
type StagedOutputs struct {
	Outputs []wire.CommittedOutput `json:"outputs"`
	// Packed are the outputs in their place, where there are many: JSON, compressed by gzip.
	Packed  []byte              `json:"packed,omitempty"`
	Result  wire.StepResult     `json:"result"`
	Events  []wire.StepEvent    `json:"events,omitempty"`
	Attempt int                 `json:"attempt"`
	Loaded  []wire.InputVersion `json:"loaded,omitempty"`
}
