package main

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
)

const (
	plainQueue    = "plain"
	plainWorkflow = "PlainLayers"
	plainActivity = "plainStep"
)

// plainLayers is what one would write by hand: each layer is a batch of futures.
func plainLayers(ctx workflow.Context, layers []int) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute, HeartbeatTimeout: 20 * time.Second})
	for number, width := range layers {
		futures := make([]workflow.Future, width)
		for i := range futures {
			futures[i] = workflow.ExecuteActivity(ctx, plainActivity, stepName(number, i))
		}
		for _, future := range futures {
			if err := future.Get(ctx, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func plainStep(context.Context, string) error { return nil }

func stepName(layer, i int) string { return fmt.Sprintf("layer_%d/step_%d", layer, i) }

// runPlain is the time from the request to the result.
func (b *bench) runPlain(ctx context.Context, layers []int) (time.Duration, error) {
	started := time.Now()
	run, err := b.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: plainQueue}, plainWorkflow, layers)
	if err != nil {
		return 0, err
	}
	if err := run.Get(ctx, nil); err != nil {
		return 0, err
	}
	return time.Since(started), nil
}
