package activities

import (
	"context"

	"github.com/perdure-io/perdure/wire"
)

// freeDeadHolder ends the run that a step waits for when Temporal says that its workflow is closed
// while its row is open. Without this, or the daemon that looks at all runs, the waiting step would wait for ever.
func (a *Activities) freeDeadHolder(ctx context.Context, holder wire.Holder) {
	if _, _, err := a.Starter.EndDeadRun(ctx, holder.Run); err != nil {
		a.Log.Warn("could not learn whether the run that a step waits for is alive", "run", holder.Run, "error", err)
	}
}
