package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// keepAlive sends heartbeats for a planning or recording activity until the returned function is called. Most are done
// before the first; but one whose worker died is begun again after the heartbeat's timeout, and not after its own.
func keepAlive(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(beatInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				activity.RecordHeartbeat(ctx)
			case <-done:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { close(done) }
}
