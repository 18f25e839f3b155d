package workflows_test

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/wire"
)

func backfillScenarios() []scenario {
	return []scenario{
		{name: "backfill_done", backfill: func() *backfillWorld {
			w := newBackfillWorld()
			w.advance = doneAfter(3)
			return w
		}},
		{name: "backfill_failed", ends: "0 partitions failed", backfill: func() *backfillWorld {
			w := newBackfillWorld()
			w.advance, w.row.Runs.Failed = doneAfter(1), 1
			return w
		}},
		{name: "backfill_broken", ends: "the definitions have changed", backfill: func() *backfillWorld {
			w := newBackfillWorld()
			w.advance = func(context.Context, int) (wire.AdvanceBackfillResult, error) {
				return wire.AdvanceBackfillResult{Broken: "the definitions have changed"}, nil
			}
			return w
		}},
		{
			name: "backfill_paused", backfill: func() *backfillWorld {
				w := newBackfillWorld()
				w.advance = func(ctx context.Context, n int) (wire.AdvanceBackfillResult, error) {
					return wire.AdvanceBackfillResult{Done: n > 1}, w.await(ctx, func(row wire.BackfillProgress) bool { return n > 1 || row.Paused })
				}
				return w
			},
			then: func(r *recorder) {
				require.NoError(r.t, r.SignalWorkflow(r.t.Context(), r.id, "", wire.PauseSignal, nil))
				require.NoError(r.t, r.backfill.await(r.t.Context(), func(row wire.BackfillProgress) bool { return row.Paused }))
				update, err := r.UpdateWorkflow(r.t.Context(), client.UpdateWorkflowOptions{
					WorkflowID: r.id, UpdateName: wire.SetConcurrencyUpdate, Args: []any{payload(`{"max_concurrent_runs":50}`)},
					WaitForStage: client.WorkflowUpdateStageCompleted,
				})
				require.NoError(r.t, err)
				require.NoError(r.t, update.Get(r.t.Context(), nil))
				require.NoError(r.t, r.SignalWorkflow(r.t.Context(), r.id, "", wire.ResumeSignal, nil))
			},
		},
		{
			name: "backfill_cancelled", ends: "canceled", backfill: func() *backfillWorld {
				w := newBackfillWorld()
				w.advance = func(ctx context.Context, _ int) (wire.AdvanceBackfillResult, error) {
					return wire.AdvanceBackfillResult{}, w.await(ctx, func(row wire.BackfillProgress) bool { return row.Status == wire.BackfillCanceling })
				}
				return w
			},
			then: func(r *recorder) {
				require.Eventually(r.t, func() bool {
					r.backfill.mu.Lock()
					defer r.backfill.mu.Unlock()
					return len(r.backfill.advances) > 0
				}, time.Minute, 10*time.Millisecond)
				require.NoError(r.t, r.CancelWorkflow(r.t.Context(), r.id, ""))
			},
		},
		{name: "backfill_continued", executions: 3, backfill: func() *backfillWorld {
			w := newBackfillWorld()
			w.advance, w.continueAfter = doneAfter(12), 30
			return w
		}},
		{name: "backfill_refused", request: `{"asets":"*","job":null}`, ends: "unknown field", backfill: newBackfillWorld},
		{name: "backfill_plan_refused", request: `{"assets":"b","all_partitions":true}`, ends: `no asset "b"`, backfill: func() *backfillWorld {
			w := newBackfillWorld()
			w.problems = wire.Problems{{Path: "assets", Code: wire.CodeUnknown, Message: `no asset "b"`}}
			return w
		}},
		{name: "backfill_dry_run", request: `{"assets":"*","all_partitions":true,"dry_run":true}`, backfill: newBackfillWorld},
	}
}

// await waits, under heartbeats where it is an activity, until the row is so.
func (w *backfillWorld) await(ctx context.Context, is func(wire.BackfillProgress) bool) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !is(w.read()) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}
