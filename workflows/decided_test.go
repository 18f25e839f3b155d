package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// recording counts the bytes of steps that are being recorded: all of them may have been commands of one task.
type recording struct {
	interceptor.WorkerInterceptorBase
	interceptor.WorkflowInboundInterceptorBase
	interceptor.WorkflowOutboundInterceptorBase
	open    map[string]int
	size    int
	largest int
	most    int
}

func (r *recording) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	r.WorkflowInboundInterceptorBase.Next = next
	return r
}

func (r *recording) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	r.WorkflowOutboundInterceptorBase.Next = outbound
	return r.WorkflowInboundInterceptorBase.Next.Init(r)
}

func (r *recording) ExecuteActivity(ctx workflow.Context, name string, arguments ...any) workflow.Future {
	if name == wire.CloseStepsActivity {
		data, err := json.Marshal(arguments[0])
		if err != nil {
			panic(err)
		}
		r.open[workflow.GetActivityOptions(ctx).ActivityID] = len(data)
		r.size += len(data)
		r.largest, r.most = max(r.largest, r.size), max(r.most, len(r.open))
	}
	return r.WorkflowOutboundInterceptorBase.Next.ExecuteActivity(ctx, name, arguments...)
}

func (e *environment) records() *recording {
	r := &recording{open: map[string]int{}}
	e.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{r}})
	e.SetOnActivityCompletedListener(func(info *activity.Info, _ converter.EncodedValue, _ error) {
		r.size -= r.open[info.ActivityID]
		delete(r.open, info.ActivityID)
	})
	return r
}

// fan is a step, and as many that need it.
func fan(root string, children int, child string) []string {
	steps := []string{root}
	for i := range children {
		steps = append(steps, fmt.Sprintf("%s%d<%s", child, i, root))
	}
	return steps
}

// requireRecordedOnce requires that every child was recorded, once, as left behind by a failure.
func (w *world) requireRecordedOnce(t *testing.T, children int, child string) {
	t.Helper()
	times := map[string]int{}
	for _, closed := range w.closings {
		for _, step := range closed {
			times[step.Step]++
		}
	}
	for i := range children {
		key := fmt.Sprintf("%s%d", child, i)
		require.Equal(t, wire.StepUpstreamFailed, w.recorded[key], key)
		require.Equal(t, 1, times[key], key)
	}
}

// Temporal refuses a workflow task of more than 4 MB, and the task is retried for ever.
func TestWhatAFailureLeavesBehindIsRecordedAPieceAtATime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		children int
		key      string
	}{"many": {20_000, "child"}, "long keys": {3_000, strings.Repeat("k", 490)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(fan("bad", test.children, test.key)...).does(fails("bad"), "bad")
			e := w.environment(t)
			recorded := e.records()
			_, err := e.run(everything())
			require.ErrorContains(t, err, wire.FailureRunFailed)
			require.Greater(t, recorded.most, 1, "one piece does not wait for the other")
			require.LessOrEqual(t, recorded.largest, 512<<10)
			w.requireRecordedOnce(t, test.children, test.key)
		})
	}
}

// Pieces are recorded while other steps run, and none of them is lost when the run is cancelled meanwhile.
func TestDecidedStepsAreRecordedThoughTheRunIsCancelled(t *testing.T) {
	t.Parallel()
	const children = 7_000
	for name, cancelAt := range map[string]time.Duration{"while they are": 0, "long after": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(append(fan("bad", children, "child"), "held")...).does(fails("bad"), "bad").does(isHeld, "held")
			e := w.environment(t)
			if cancelAt == 0 {
				w.beforeClosing = e.CancelWorkflow
			} else {
				e.after(cancelAt/2, func() { w.requireRecordedOnce(t, children, "child") })
				e.after(cancelAt, e.CancelWorkflow)
			}
			_, err := e.run(everything())
			require.Equal(t, wire.StepCounts{Failed: 1, Skipped: children, Canceled: 1}, canceled(t, err).Steps)
			w.requireRecordedOnce(t, children, "child")
		})
	}
}

func TestDecidedStepsTravelAlongWhenTheHistoryIsFull(t *testing.T) {
	t.Parallel()
	const children, full = 7_000, 40 << 20
	for name, test := range map[string]struct {
		fullAtOnce bool
		pieces     int // that the first execution records
	}{"before any was recorded": {true, 0}, "after some were": {false, 4}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(append(fan("bad", children, "child"), "held", "last<held")...).does(fails("bad"), "bad").does(isHeld, "held")
			e := w.environment(t)
			if test.fullAtOnce {
				e.SetCurrentHistorySize(full)
			}
			e.SetOnActivityCompletedListener(func(info *activity.Info, _ converter.EncodedValue, _ error) {
				if info.ActivityType.Name == wire.CloseStepsActivity {
					e.SetCurrentHistorySize(full)
				}
			})
			e.after(time.Minute, func() { e.completeAll("held") })
			_, err := e.run(everything())
			arguments := next(t, err)
			require.Len(t, w.closings, test.pieces)
			_, err = w.continuing(t).run(arguments...)
			result, _ := runFailed(t, err)
			require.Equal(t, wire.StepCounts{Succeeded: 2, Failed: 1, Skipped: children}, result.Steps)
			w.requireRecordedOnce(t, children, "child")
		})
	}
}

// Hundreds of steps may be lost at once.
func TestOfWhyAStepWasLostTheBeginningIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld("lost").does(func(context.Context) (any, error) {
		return nil, temporal.NewNonRetryableApplicationError("x"+strings.Repeat("é", 10_000), "TimeoutError", nil)
	}, "lost")
	_, err := w.environment(t).run(everything())
	require.ErrorContains(t, err, wire.FailureRunFailed)
	require.Equal(t, "x"+strings.Repeat("é", 499), w.closings[0][0].Error)
}
