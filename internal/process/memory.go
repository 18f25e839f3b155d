package process

import (
	"context"
	"time"
)

// watch kills the group when it holds more memory than it may.
func (c *Child) watch(ctx context.Context) {
	ticker := time.NewTicker(measureInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if held := c.group.memory(); held > c.limit && ctx.Err() == nil {
			c.excess.Store(held)
			_ = c.group.killMembers() // it is tried again, should it fail
		}
	}
}
