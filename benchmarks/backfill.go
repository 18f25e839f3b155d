package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

const (
	backfillLocation = "backfill"
	// backfillWindow is how many runs are open at once, ours and the plain ones.
	backfillWindow   = 50
	plainRunWorkflow = "PlainRun"
	// maxBackfillEvents is how long the history of a backfill may be, of any number of runs.
	maxBackfillEvents = 12_000
)

// plainRun is what one would write by hand for one partition.
func plainRun(ctx workflow.Context, partition string) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute, HeartbeatTimeout: 20 * time.Second})
	return workflow.ExecuteActivity(ctx, plainActivity, partition).Get(ctx, nil)
}

// backfilling compares a backfill of so many single-partition runs with workflows that a client starts in a loop.
func backfilling(runs int) func(context.Context, *bench) (ours, plain time.Duration, err error) {
	return func(ctx context.Context, b *bench) (ours, plain time.Duration, err error) {
		return b.backfill(ctx, runs)
	}
}

func (b *bench) backfill(ctx context.Context, runs int) (ours, plain time.Duration, err error) {
	days := definitions.Daily("1970-01-01").Ending("2000-01-01")
	err = b.serve(ctx, backfillLocation, func() *definitions.Definitions {
		return definitions.New(backfillLocation, values, definitions.Asset("day", definitions.Bind0(func(definitions.Context) (int, error) {
			return 1, nil
		}), definitions.PartitionedBy(days), definitions.StoredBy(values)))
	})
	if err != nil {
		return 0, 0, err
	}
	if plain, err = b.plainRuns(ctx, runs); err != nil {
		return 0, 0, err
	}
	id := b.newID(backfillLocation)
	peak := watchMemory(ctx)
	started := time.Now()
	run, err := b.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: wire.Queue("", backfillLocation), ID: id},
		wire.BackfillWorkflow, wire.BackfillRequest{
			Assets: wire.AssetSelection{Expression: "*"}, MaxConcurrentRuns: backfillWindow,
			Range: &wire.PartitionRange{Start: dayKey(0), End: dayKey(runs - 1)},
		})
	if err != nil {
		return 0, 0, err
	}
	var result wire.BackfillResult
	if err := run.Get(ctx, &result); err != nil {
		return 0, 0, err
	}
	ours = time.Since(started)
	before, most := peak()
	events, err := b.longestHistory(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	fmt.Fprintf(os.Stderr, "backfill: %d runs, longest history %d events, heap %d MB before and %d MB at most\n",
		result.Runs.Succeeded, events, before>>20, most>>20)
	if events > maxBackfillEvents {
		return 0, 0, fmt.Errorf("the history has %d events, and may have %d", events, maxBackfillEvents)
	}
	return ours, plain, nil
}

func dayKey(n int) string {
	return time.Date(1970, time.January, 1+n, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

// plainRuns is how long a client takes that keeps as many workflows open.
func (b *bench) plainRuns(ctx context.Context, runs int) (time.Duration, error) {
	started := time.Now()
	next := make(chan int)
	failures := make([]error, backfillWindow)
	var group sync.WaitGroup
	for i := range backfillWindow {
		group.Go(func() {
			for n := range next {
				run, err := b.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: plainQueue}, plainRunWorkflow, dayKey(n))
				if err == nil {
					err = run.Get(ctx, nil)
				}
				failures[i] = errors.Join(failures[i], err)
			}
		})
	}
	for n := range runs {
		next <- n
	}
	close(next)
	group.Wait()
	return time.Since(started), errors.Join(failures...)
}

// longestHistory is how many events the longest execution of a workflow's chain has.
func (b *bench) longestHistory(ctx context.Context, id string) (int, error) {
	longest := 0
	described, err := b.temporal.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return 0, err
	}
	for run := described.GetWorkflowExecutionInfo().GetFirstRunId(); run != ""; {
		events := b.temporal.GetWorkflowHistory(ctx, id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		count := 0
		for run = ""; events.HasNext(); count++ {
			event, err := events.Next()
			if err != nil {
				return 0, err
			}
			run = event.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		}
		longest = max(longest, count)
	}
	return longest, nil
}

// watchMemory looks at the heap of this process until the answer is asked for.
func watchMemory(ctx context.Context) (peak func() (before, most uint64)) {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	var first, most uint64
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	first = stats.HeapAlloc
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				runtime.ReadMemStats(&stats)
				most = max(most, stats.HeapAlloc)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() (uint64, uint64) {
		stop()
		<-done
		return first, most
	}
}
