package workflows_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
	"github.com/perdure-io/perdure/workflows"
)

// behaviour is what a step's activity does.
type behaviour func(context.Context) (any, error)

// world is what a run meets: a location's activities, and what they would have recorded. It outlives the executions of
// a run that continues as new.
type world struct {
	walk plan.Walk
	// plan is what planning answers; nil answers with the walk.
	plan func() (wire.PlanRunResult, error)
	// committed are steps of which CloseSteps finds that they had committed.
	committed map[string]wire.StepResult
	// failed are steps of which it finds that their failure was recorded.
	failed map[string]string
	// beforeClosing is called at each CloseSteps, and before planning's answer.
	beforeClosing, beforePlanned func()

	mu         sync.Mutex
	behaviours map[string]behaviour
	tokens     map[string][]byte
	scheduled  []string // steps, in the order in which they were started
	recorded   map[string]wire.StepStatus
	closings   [][]wire.ClosedStep
	failures   []wire.StepFailureInfo
	refused    []wire.RefuseInput
	planned    []wire.PlanRunInput
	ended      []wire.EndRunInput
	canceling  []wire.CancelingInput
	hooked     []wire.RunHooksInput
	looked     []wire.PollersInput
	reported   []wire.ReportInput
	// checkpoints counts the workflow tasks that were ended so that local activities lie in the history.
	checkpoints int
	// remote is what the activities before and after remote steps were called with.
	began   []wire.BeginRemoteInput
	results []wire.EndRemoteInput
	// beginning, ending, hooking and unpolled are what the system's activities answer; nil is the ordinary answer.
	beginning func(wire.BeginRemoteInput) (wire.BeginRemoteResult, error)
	ending    func(wire.EndRemoteInput) (wire.EndRemoteResult, error)
	hooking   func(context.Context, wire.RunHooksInput) error
	unpolled  []string
	// end may fail the recording of the run's end; recordedEnd is how it turns out to be recorded, "" as was asked.
	end         func(wire.EndRunInput) error
	recordedEnd wire.RunStatus
	// pools are the slots that steps ask for; nil are none.
	pools *pools
	// queued is why planning says that the run is queued, admitted when it was let out, in nanoseconds, admit what each ask is
	// answered, and admissions the asks.
	queued     string
	admitted   int64
	admit      func(n int) (wire.AdmitRunResult, error)
	admissions []wire.AdmitRunInput
	// round is what waits after the nth look at the queue, rounds how many there were.
	round  func(n int) (wire.AdmitRunsResult, error)
	rounds int
	// reporting fails the recording of a report.
	reporting error
}

// newWorld has the steps that are given, each as "key" or "key<need,need", after those it needs.
func newWorld(steps ...string) *world {
	w := &world{
		walk:       plan.Walk{V: plan.WalkVersion, Kinds: []plan.Kind{{}}, Limits: plan.DefaultLimits(), Cause: "r1"},
		behaviours: map[string]behaviour{}, tokens: map[string][]byte{},
		recorded: map[string]wire.StepStatus{}, committed: map[string]wire.StepResult{},
	}
	index := map[string]int{}
	for i, step := range steps {
		key, needs, _ := strings.Cut(step, "<")
		index[key] = i
		w.walk.Steps = append(w.walk.Steps, plan.WalkStep{Key: key})
		for need := range strings.SplitSeq(needs, ",") {
			if need != "" {
				from := &w.walk.Steps[index[need]]
				from.Next = append(from.Next, i)
			}
		}
	}
	return w
}

// over makes steps templates: each is mapped over the dynamic output of fan, the first of its needs.
func (w *world) over(fan string, templates ...string) *world {
	at := slices.IndexFunc(w.walk.Steps, func(step plan.WalkStep) bool { return step.Key == fan })
	w.walk.Steps[at].Fan = true
	for i := range w.walk.Steps {
		if slices.Contains(templates, w.walk.Steps[i].Key) {
			w.walk.Steps[i].Over = at + 1
		}
	}
	return w
}

// kind makes steps of a kind of their own.
func (w *world) kind(kind plan.Kind, steps ...string) *world {
	w.walk.Kinds = append(w.walk.Kinds, kind)
	for i := range w.walk.Steps {
		if slices.Contains(steps, w.walk.Steps[i].Key) {
			w.walk.Steps[i].Kind = len(w.walk.Kinds) - 1
		}
	}
	return w
}

// does sets what steps do; a step of which nothing is said succeeds.
func (w *world) does(do behaviour, steps ...string) *world {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, step := range steps {
		w.behaviours[step] = do
	}
	return w
}

// fails is a step whose failure is recorded.
func fails(message string) behaviour {
	return func(context.Context) (any, error) {
		return nil, temporal.NewNonRetryableApplicationError(message, wire.FailureStepFailed, nil)
	}
}

// emitsAllBut is a step that leaves optional outputs out.
func emitsAllBut(assets ...string) behaviour {
	return func(context.Context) (any, error) { return wire.StepResult{Recorded: true, NotEmitted: assets}, nil }
}

// emits is a step with a dynamic output.
func emits(keys ...string) behaviour {
	return func(context.Context) (any, error) { return wire.StepResult{Recorded: true, Keys: keys}, nil }
}

// isHeld is a step that goes on until the test completes it.
func isHeld(context.Context) (any, error) { return nil, activity.ErrResultPending }

// isLost is a step that Temporal gives up on: no attempt has said how it ended.
func isLost(context.Context) (any, error) {
	return nil, temporal.NewNonRetryableApplicationError("its worker was never heard of again", "TimeoutError", nil)
}

// answers is a step with any result: one that somebody completed by hand.
func answers(result any) behaviour { return func(context.Context) (any, error) { return result, nil } }

func (w *world) planRun(_ context.Context, input wire.PlanRunInput) (wire.PlanRunResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.planned = append(w.planned, input)
	if w.beforePlanned != nil {
		w.beforePlanned()
	}
	if w.plan != nil {
		return w.plan()
	}
	encoded, err := plan.EncodeWalk(&w.walk)
	if err != nil {
		return wire.PlanRunResult{}, err
	}
	if json.Valid(encoded) {
		return wire.PlanRunResult{Walk: encoded, Queued: w.queued, Began: w.admitted}, nil
	}
	return wire.PlanRunResult{Packed: encoded, Queued: w.queued, Began: w.admitted}, nil
}

// count is how often something was started.
func (w *world) count(step string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := 0
	for _, started := range w.scheduled {
		if started == step {
			count++
		}
	}
	return count
}

func (w *world) step(ctx context.Context, arguments converter.EncodedValues) (any, error) {
	var input wire.StepInput
	if err := arguments.Get(&input); err != nil {
		return nil, err
	}
	info := activity.GetInfo(ctx)
	if info.ActivityID != input.Step || input.Run != info.WorkflowExecution.ID {
		return nil, temporal.NewNonRetryableApplicationError(fmt.Sprintf("activity %q got %+v", info.ActivityID, input), "wrong", nil)
	}
	return w.do(ctx, input.Step)
}

// do is what a step does, wherever it runs.
func (w *world) do(ctx context.Context, step string) (any, error) {
	w.mu.Lock()
	w.scheduled = append(w.scheduled, step)
	w.tokens[step] = activity.GetInfo(ctx).TaskToken
	do := w.behaviours[step]
	if w.pools != nil {
		w.pools.begins(step, w.poolOf(step))
	}
	w.mu.Unlock()
	if do == nil {
		do = emitsAllBut()
	}
	result, err := do(ctx)
	input := wire.StepInput{Step: step}
	var failed *temporal.ApplicationError
	switch {
	case errors.As(err, &failed) && failed.Type() == wire.FailureStepFailed:
		w.record(input.Step, wire.StepFailed, failed.Message())
	case err == nil:
		if typed, ok := result.(wire.StepResult); ok && typed.Recorded {
			w.record(input.Step, wire.StepSuccess, "")
		}
	}
	return result, err
}

func (w *world) record(step string, status wire.StepStatus, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recordLocked(step, status, message)
}

func (w *world) recordLocked(step string, status wire.StepStatus, message string) {
	w.recorded[step] = status
	if w.pools != nil {
		w.pools.ends(step)
	}
	if status == wire.StepFailed {
		w.failures = append(w.failures, wire.StepFailureInfo{Step: step, Message: message})
	}
}

func (w *world) closeSteps(_ context.Context, input wire.CloseStepsInput) (wire.CloseStepsResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.beforeClosing != nil {
		w.beforeClosing()
	}
	w.closings = append(w.closings, input.Steps)
	var result wire.CloseStepsResult
	for _, closed := range input.Steps {
		if done, ok := w.committed[closed.Step]; ok && slices.Contains(w.scheduled, closed.Step) {
			result.Done = append(result.Done, wire.DoneStep{Step: closed.Step, Result: done})
			w.recordLocked(closed.Step, wire.StepSuccess, "")
			continue
		}
		if message, ok := w.failed[closed.Step]; ok {
			closed.Error = message
			result.Failed = append(result.Failed, closed)
		}
		w.recordLocked(closed.Step, closed.Status, closed.Error)
	}
	return result, nil
}

func (w *world) endRun(_ context.Context, input wire.EndRunInput) (wire.RunResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = append(w.ended, input)
	if w.end != nil {
		if err := w.end(input); err != nil {
			return wire.RunResult{}, err
		}
	}
	input.Status = cmp.Or(w.recordedEnd, input.Status)
	result := wire.RunResult{RunID: input.RunID, Status: input.Status, Materialized: []string{}, Failures: w.failures, Reason: input.Reason}
	for _, step := range w.walk.Steps {
		if _, ok := w.recorded[step.Key]; !ok && step.Over == 0 {
			w.recordLocked(step.Key, wire.StepCanceled, "")
		}
	}
	for step, status := range w.recorded {
		switch status {
		case wire.StepSuccess:
			result.Steps.Succeeded++
			result.Materialized = append(result.Materialized, step)
		case wire.StepFailed:
			result.Steps.Failed++
		case wire.StepCanceled:
			result.Steps.Canceled++
		default:
			result.Steps.Skipped++
		}
	}
	slices.Sort(result.Materialized)
	return result, nil
}

func (w *world) refuse(_ context.Context, input wire.RefuseInput) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = append(w.refused, input)
	return nil
}

// registry is the part of a worker, or of the test environment, that activities are registered with.
type registry interface {
	RegisterWorkflowWithOptions(any, workflow.RegisterOptions)
	RegisterActivityWithOptions(any, activity.RegisterOptions)
	RegisterDynamicActivity(any, activity.DynamicRegisterOptions)
}

func (w *world) report(_ context.Context, input wire.ReportInput) (wire.ReportResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reported = append(w.reported, input)
	if w.reporting != nil {
		return wire.ReportResult{}, w.reporting
	}
	return wire.ReportResult{ReportID: input.ReportID, Asset: input.Request.Asset, Type: input.Request.Type, Partitions: 1, New: true, Position: 7}, nil
}

func (w *world) register(r registry) {
	r.RegisterWorkflowWithOptions(workflows.Run, workflow.RegisterOptions{Name: wire.RunWorkflow})
	r.RegisterWorkflowWithOptions(workflows.ReportEvent, workflow.RegisterOptions{Name: wire.ReportEventWorkflow})
	r.RegisterActivityWithOptions(w.report, activity.RegisterOptions{Name: wire.ReportActivity})
	r.RegisterActivityWithOptions(w.planRun, activity.RegisterOptions{Name: wire.PlanRunActivity})
	r.RegisterActivityWithOptions(w.refuse, activity.RegisterOptions{Name: wire.RefuseActivity})
	r.RegisterActivityWithOptions(w.closeSteps, activity.RegisterOptions{Name: wire.CloseStepsActivity})
	r.RegisterActivityWithOptions(w.endRun, activity.RegisterOptions{Name: wire.EndRunActivity})
	r.RegisterActivityWithOptions(w.cancelingRun, activity.RegisterOptions{Name: wire.CancelingActivity})
	r.RegisterActivityWithOptions(w.checkpoint, activity.RegisterOptions{Name: wire.CheckpointActivity})
	r.RegisterActivityWithOptions(w.pollers, activity.RegisterOptions{Name: wire.PollersActivity})
	r.RegisterActivityWithOptions(w.localStep, activity.RegisterOptions{Name: wire.LocalStepActivity})
	r.RegisterActivityWithOptions(w.runHooks, activity.RegisterOptions{Name: wire.RunHooksActivity})
	r.RegisterActivityWithOptions(w.beginRemote, activity.RegisterOptions{Name: wire.BeginRemoteActivity})
	r.RegisterActivityWithOptions(w.endRemote, activity.RegisterOptions{Name: wire.EndRemoteActivity})
	r.RegisterActivityWithOptions(w.admitRun, activity.RegisterOptions{Name: wire.AdmitRunActivity})
	r.RegisterWorkflowWithOptions(workflows.RunQueue, workflow.RegisterOptions{Name: wire.RunQueueWorkflow})
	r.RegisterActivityWithOptions(w.admitRuns, activity.RegisterOptions{Name: wire.AdmitRunsActivity})
	r.RegisterActivityWithOptions(w.claimSlots, activity.RegisterOptions{Name: wire.ClaimSlotsActivity})
	r.RegisterDynamicActivity(w.step, activity.DynamicRegisterOptions{})
}

// environment is one execution of a run in Temporal's test environment, whose clock stands unless something waits.
type environment struct {
	*testsuite.TestWorkflowEnvironment
	t *testing.T
	w *world
}

// quiet keeps the test environment from logging every step.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

func (w *world) environment(t *testing.T) *environment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	e := &environment{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t, w: w}
	e.SetTestTimeout(time.Minute)
	e.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "r1", TaskQueue: "flights"})
	w.register(e)
	return e
}

// payload is an argument as the CLI sends it.
func payload(input string) converter.RawValue {
	return converter.NewRawValue(&commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(converter.MetadataEncodingJSON)}, Data: []byte(input),
	})
}

// run executes the run to its end and returns how it ended.
func (e *environment) run(arguments ...any) (wire.RunResult, error) {
	e.t.Helper()
	e.ExecuteWorkflow(wire.RunWorkflow, arguments...)
	require.True(e.t, e.IsWorkflowCompleted())
	if err := e.GetWorkflowError(); err != nil {
		return wire.RunResult{}, err
	}
	var result wire.RunResult
	require.NoError(e.t, e.GetWorkflowResult(&result))
	return result, nil
}

// everything is the request that the world's walk answers.
func everything() converter.RawValue { return payload(`{"assets":"*"}`) }

// after calls back once the run's clock has moved that far.
func (e *environment) after(delay time.Duration, call func()) { e.RegisterDelayedCallback(call, delay) }

// complete ends a held step.
func (e *environment) complete(step string, result wire.StepResult, err error) {
	e.t.Helper()
	if err == nil && result.Recorded {
		e.w.record(step, wire.StepSuccess, "")
	}
	e.w.mu.Lock()
	token := e.w.tokens[step]
	e.w.mu.Unlock()
	require.NotNil(e.t, token, "step %s was not started", step)
	var answer any
	if err == nil {
		answer = result
	}
	require.NoError(e.t, e.CompleteActivity(token, answer, err))
}

// completeAll ends held steps well.
func (e *environment) completeAll(steps ...string) {
	e.t.Helper()
	for _, step := range steps {
		e.complete(step, wire.StepResult{Recorded: true}, nil)
	}
}

// steps asks the run for its steps, by status.
func (e *environment) steps(arguments ...any) wire.StepsQueryResult {
	e.t.Helper()
	answer, err := e.QueryWorkflow(wire.StepsQuery, arguments...)
	require.NoError(e.t, err)
	var result wire.StepsQueryResult
	require.NoError(e.t, answer.Get(&result))
	return result
}

// statuses are the steps' statuses by key, as the run knows them.
func (e *environment) statuses() map[string]wire.StepStatus {
	e.t.Helper()
	found := map[string]wire.StepStatus{}
	for _, step := range e.steps().Steps {
		found[step.Step] = step.Status
	}
	return found
}

// runFailed is the result in the failure of a run that ended FAILURE.
func runFailed(t *testing.T, err error) (wire.RunResult, *temporal.ApplicationError) {
	t.Helper()
	var failed *temporal.ApplicationError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, wire.FailureRunFailed, failed.Type(), failed.Error())
	require.True(t, failed.NonRetryable())
	var result wire.RunResult
	require.NoError(t, failed.Details(&result))
	return result, failed
}

// refusal are the problems of a run that was refused.
func refusal(t *testing.T, err error) (wire.Problems, *temporal.ApplicationError) {
	t.Helper()
	var failed *temporal.ApplicationError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, wire.FailureInvalidRequest, failed.Type(), failed.Error())
	require.True(t, failed.NonRetryable())
	var refused wire.Refusal
	require.NoError(t, failed.Details(&refused))
	return refused.Problems, failed
}
