package workflows_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// scenario is a way that a workflow takes, worth a recorded history.
type scenario struct {
	name     string
	workflow string // its type, where it has a world and is no Run
	request  string // "" is everything
	// world is what a run or a report meets, backfill what a backfill does, serves what any other workflow does: one of them.
	world    func() *world
	backfill func() *backfillWorld
	serves   func() interface{ register(registry) }
	// then is what happens to it; ends is text of the error that it ends with.
	then func(*recorder)
	ends string
	// executions is how many there are at least.
	executions int
}

func heartbeat(ctx context.Context) { activity.RecordHeartbeat(ctx) }

// failsOnce is a step that a user's retry saves.
func failsOnce() behaviour {
	var calls atomic.Int32
	return func(context.Context) (any, error) {
		if calls.Add(1) == 1 {
			return nil, temporal.NewApplicationErrorWithOptions("no connection", wire.FailureOfUser,
				temporal.ApplicationErrorOptions{NextRetryDelay: time.Second})
		}
		return wire.StepResult{Recorded: true}, nil
	}
}

func diamond() *world { return newWorld("source", "left<source", "right<source", "sink<left,right") }

func scenarios() []scenario {
	return []scenario{
		{name: "report", workflow: wire.ReportEventWorkflow, request: `{"asset":"source","type":"observation"}`, world: diamond},
		{
			name: "report_refused", workflow: wire.ReportEventWorkflow, request: `{"aset":"source"}`, world: diamond,
			ends: `unknown field "aset"`,
		},
		{name: "success", world: func() *world {
			w := diamond().does(failsOnce(), "left")
			w.walk.Attributes = []string{wire.SearchJob, wire.SearchStatus, wire.SearchCause, wire.SearchAssets}
			w.walk.Job, w.walk.Assets = "nightly", []string{"left", "right", "sink", "source"}
			return w
		}},
		{name: "limited", world: func() *world {
			w := newWorld("a", "b", "c", "d", "last<a,b,c,d")
			w.walk.Limits.MaxConcurrentSteps = 2
			return w
		}},
		{
			name: "failure", ends: "1 of 4 steps failed: left: no such column",
			world: func() *world {
				return diamond().does(fails("no such column"), "left").does(emitsAllBut("right"), "right")
			},
		},
		{
			name: "lost", ends: "1 of 4 steps failed: left: ",
			world: func() *world {
				w := diamond().does(isLost, "left", "source")
				w.committed["source"] = wire.StepResult{Recorded: true}
				return w
			},
		},
		{
			name: "by_hand", world: func() *world { return diamond().does(isHeld, "left") },
			then: func(r *recorder) {
				r.awaitStarted("left")
				require.NoError(r.t, r.CompleteActivityByID(r.t.Context(), namespace, r.id, "", "left", "done", nil))
			},
		},
		{
			name: "cancelled", ends: "canceled", world: func() *world { return diamond().does(staysAlive, "left") },
			then: func(r *recorder) {
				r.awaitStarted("left")
				require.NoError(r.t, r.CancelWorkflow(r.t.Context(), r.id, ""))
			},
		},
		{
			// The attempt fails before it has heard of the cancel: Temporal makes no other, and it counts as cancelled.
			name: "failed_after_cancel", ends: "canceled", world: func() *world { return diamond().does(isHeld, "left") },
			then: func(r *recorder) {
				r.awaitStarted("left")
				require.NoError(r.t, r.CancelWorkflow(r.t.Context(), r.id, ""))
				require.Eventually(r.t, func() bool {
					for _, event := range r.history(r.first).GetEvents() {
						if event.GetEventType() == enums.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED {
							return true
						}
					}
					return false
				}, time.Minute, 10*time.Millisecond)
				failure := temporal.NewApplicationErrorWithOptions("no connection", wire.FailureOfUser, temporal.ApplicationErrorOptions{})
				require.NoError(r.t, r.CompleteActivityByID(r.t.Context(), namespace, r.id, "", "left", nil, failure))
				require.True(r.t, temporal.IsCanceledError(r.GetWorkflow(r.t.Context(), r.id, "").Get(r.t.Context(), nil)))
				require.Equal(r.t, wire.StepCanceled, r.w.recorded["left"])
			},
		},
		{
			name: "step_cancelled", ends: "1 steps were cancelled", world: func() *world { return diamond().does(staysAlive, "left") },
			then: func(r *recorder) {
				r.awaitStarted("left")
				update, err := r.UpdateWorkflow(r.t.Context(), client.UpdateWorkflowOptions{
					WorkflowID: r.id, UpdateName: wire.CancelStepUpdate, Args: []any{payload(`{"step":"left"}`)},
					WaitForStage: client.WorkflowUpdateStageCompleted,
				})
				require.NoError(r.t, err)
				var state wire.StepState
				require.NoError(r.t, update.Get(r.t.Context(), &state))
				require.Equal(r.t, wire.StepCanceled, state.Status)
			},
		},
		{name: "refused", request: `{"asets":"*","job":null}`, ends: "unknown field", world: diamond},
		{name: "plan_refused", request: `{"assets":"b"}`, ends: `no asset "b"`, world: func() *world {
			w := diamond()
			w.plan = func() (wire.PlanRunResult, error) {
				problems := wire.Problems{{Path: "assets", Code: wire.CodeUnknown, Message: `no asset "b"`}}
				return wire.PlanRunResult{}, temporal.NewNonRetryableApplicationError(problems.Error(), wire.FailureInvalidRequest, nil, wire.Refusal{Problems: problems})
			}
			return w
		}},
		{name: "dry_run", request: `{"assets":"*","dry_run":true}`, world: func() *world {
			w := diamond()
			w.plan = func() (wire.PlanRunResult, error) {
				return wire.PlanRunResult{DryRun: []wire.PlannedStep{{Step: "source", Assets: []string{"source"}, Reason: "selected"}}}, nil
			}
			return w
		}},
		{name: "packed", world: func() *world {
			w := diamond()
			w.plan = func() (wire.PlanRunResult, error) {
				data, err := json.Marshal(&w.walk)
				if err != nil {
					return wire.PlanRunResult{}, err
				}
				var packed bytes.Buffer
				writer := gzip.NewWriter(&packed)
				if _, err := writer.Write(data); err != nil {
					return wire.PlanRunResult{}, err
				}
				if err := writer.Close(); err != nil {
					return wire.PlanRunResult{}, err
				}
				return wire.PlanRunResult{Packed: packed.Bytes()}, nil
			}
			return w
		}},
		{name: "continued", executions: 3, ends: "1 of 10 steps failed: bad: bad", world: func() *world {
			w := newWorld("maybe", "skipped<maybe", "a", "b<a", "bad<b", "left<bad", "c<b", "d<c", "e<d", "f<e").
				does(emitsAllBut("maybe"), "maybe").does(fails("bad"), "bad")
			w.walk.Limits.ContinueAfter = 16
			w.walk.Attributes = []string{wire.SearchStatus}
			return w
		}},
		{
			// The straggler is not waited for until the limit is near; then the run drains, and goes on in the next execution.
			name: "drained", executions: 2, world: func() *world {
				w := newWorld("straggler", "a", "b<a", "c<b", "d<c", "e<straggler,d").does(isHeld, "straggler")
				w.walk.Limits.ContinueAfter, w.walk.Limits.ForceAfter = 15, 40
				return w
			},
			then: func(r *recorder) {
				r.awaitStarted("c")
				require.NoError(r.t, r.CompleteActivityByID(r.t.Context(), namespace, r.id, "", "straggler", wire.StepResult{Recorded: true}, nil))
			},
		},
		{name: "longest_keys", ends: "1 of 2 steps failed", world: func() *world {
			first := strings.Repeat("k", 499) + "1"
			return newWorld(first, strings.Repeat("k", 499)+"2<"+first).does(fails("bad"), first)
		}},
		{name: "reset", world: diamond, then: func(r *recorder) {
			require.NoError(r.t, r.GetWorkflow(r.t.Context(), r.id, "").Get(r.t.Context(), nil))
			r.reset("sink")
		}},
		{name: "fan", ends: "1 of 8 steps failed: load[b]: no such page", world: func() *world {
			return pages().does(emits("a", "b", "c"), "list").does(fails("no such page"), "load[b]")
		}},
		{name: "fan_continued", executions: 2, world: func() *world {
			w := pages().does(emits("a", "b", "c"), "list")
			w.walk.Limits.ContinueAfter = 16
			return w
		}},
		{name: "retry_of", request: `{"retry_of":{"run_id":"r0"}}`, world: func() *world {
			w := pages()
			w.walk.Start = &plan.State{Steps: "P...P...", Fans: []plan.FanKeys{{Step: 0, Keys: []string{"a", "b"}}}}
			return w
		}},
		{name: "hooks", ends: "1 of 4 steps failed: left: no such column", world: func() *world {
			return diamond().kind(hookedKind(), "source", "left").does(fails("no such column"), "left")
		}},
		{name: "local", ends: "1 of 24 steps failed: bad: bad", world: func() *world {
			steps := []string{"source", "bad<source", "left<bad", "flaky<source"}
			for i := range 20 {
				steps = append(steps, key(i)+"<source")
			}
			w := newWorld(steps...).does(fails("bad"), "bad").does(failsOnce(), "flaky")
			w.walk.Kinds[0].Local = true
			return w
		}},
		{name: "local_handed_over", world: func() *world {
			return newWorld("a", "b<a").kind(plan.Kind{Local: true}, "a", "b").does(isHandedOverOnce(), "a")
		}},
		{name: "remote", world: func() *world {
			w := diamond().kind(plan.Kind{Remote: true}, "left").does(failsOnce(), "left")
			w.ending = func(input wire.EndRemoteInput) (wire.EndRemoteResult, error) {
				if input.Error != nil {
					return wire.EndRemoteResult{Retry: time.Second}, nil
				}
				w.recordLocked(input.Step, wire.StepSuccess, "")
				return wire.EndRemoteResult{Done: &wire.StepResult{Recorded: true}}, nil
			}
			return w
		}},
		{name: "timed_out", ends: "it took longer than the 2s that it may", world: func() *world {
			w := diamond().does(staysAlive, "left")
			w.walk.Timeout = 2 * time.Second
			return w
		}},
		{name: "lost_failure", ends: "1 of 4 steps failed: left: no such column", world: func() *world {
			w := diamond().does(isLost, "left")
			w.failed = map[string]string{"left": "no such column"}
			return w
		}},
	}
}
