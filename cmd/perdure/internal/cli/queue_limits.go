package cli

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// configureQueue applies the limits of the configuration, when they are not what was applied last.
func configureQueue(ctx context.Context, store *metadata.Store, queue config.Queue, log *slog.Logger) error {
	limits, err := tagLimits(queue.TagLimits)
	if err != nil {
		return fmt.Errorf("queue.tag_limits: %w", err)
	}
	set, err := store.ConfigureQueue(ctx, metadata.QueueConfig{
		MaxConcurrentRuns: queue.MaxConcurrentRuns, TagLimits: limits, DefaultPoolLimit: queue.DefaultPoolLimit,
		PoolGranularity: wire.PoolGranularity(queue.PoolGranularity),
	})
	if err == nil && set.Changed {
		log.Info("the limits of the queue are as the configuration has them", "max_concurrent_runs", queue.MaxConcurrentRuns, "tag_limits", queue.TagLimits)
	}
	return err
}

func tagLimits(texts []string) ([]wire.TagLimit, error) {
	limits := make([]wire.TagLimit, len(texts))
	for i, text := range texts {
		limit, err := wire.ParseTagLimit(text)
		if err != nil {
			return nil, err
		}
		limits[i] = limit
	}
	return limits, nil
}
