package main

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

// runStartSamples is how many starts one measurement takes the median of.
const runStartSamples = 20

const (
	startLocation      = "run-start"
	plainStartWorkflow = "PlainStart"
	plainStartActivity = "plainReached"
)

// plainStart has two activities one after the other, as a run has: what plans, and the first step.
func plainStart(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	if err := workflow.ExecuteActivity(ctx, plainActivity, "plan").Get(ctx, nil); err != nil {
		return err
	}
	return workflow.ExecuteActivity(ctx, plainStartActivity).Get(ctx, nil)
}

// runStart is the time from the request to the first line of user code.
func runStart(ctx context.Context, b *bench) (ours, plain time.Duration, err error) {
	err = b.serve(ctx, startLocation, func() *definitions.Definitions {
		return definitions.New(startLocation, definitions.Asset("first", definitions.Bind0(func(definitions.Context) (int, error) {
			b.reached <- time.Now()
			return 1, nil
		}), definitions.StoredBy(values)), values)
	})
	if err != nil {
		return 0, 0, err
	}
	var oursAll, plainAll []float64
	for range runStartSamples {
		took, err := b.untilReached(ctx, func() (client.WorkflowRun, error) {
			return b.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: wire.Queue("", startLocation), ID: b.newID(startLocation)},
				wire.RunWorkflow, wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}})
		})
		if err != nil {
			return 0, 0, err
		}
		oursAll = append(oursAll, float64(took))
		took, err = b.untilReached(ctx, func() (client.WorkflowRun, error) {
			return b.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: plainQueue}, plainStartWorkflow)
		})
		if err != nil {
			return 0, 0, err
		}
		plainAll = append(plainAll, float64(took))
	}
	return time.Duration(median(oursAll)), time.Duration(median(plainAll)), nil
}

func (b *bench) untilReached(ctx context.Context, start func() (client.WorkflowRun, error)) (time.Duration, error) {
	started := time.Now()
	run, err := start()
	if err != nil {
		return 0, err
	}
	var reached time.Time
	select {
	case reached = <-b.reached:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return reached.Sub(started), run.Get(ctx, nil)
}
