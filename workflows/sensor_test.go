package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
	"github.com/perdure-io/perdure/workflows"
)

// sensorWorld is what a sensor's workflow meets: its row and its inbox.
type sensorWorld struct {
	mu     sync.Mutex
	result wire.EvaluateSensorResult
	// inbox are the ids of events in order, known which they are; taken is how many of them ticks have taken in.
	inbox []string
	known map[string]bool
	taken int
	ticks int
	// inputs are what the activities were given, times when evaluations began.
	evaluations, takes []wire.EvaluateSensorInput
	steered            []wire.SteerSensorInput
	refused            []wire.RefuseInput
	times              []time.Time
	now                func() time.Time
	// evaluate is what goes wrong with an evaluation; nil is nothing. fails says that ticks fail.
	evaluate func(ctx context.Context, n int) error
	fails    bool
	gone     string
}

func newSensorWorld() *sensorWorld {
	return &sensorWorld{known: map[string]bool{}, now: time.Now, result: wire.EvaluateSensorResult{
		State: wire.SensorState{Location: "flights", Sensor: "arrivals", Status: wire.TriggerRunning, Ticks: []wire.SensorTick{}},
	}}
}

func (w *sensorWorld) register(to registry) {
	to.RegisterWorkflowWithOptions(workflows.Sensor, workflow.RegisterOptions{Name: wire.SensorWorkflow})
	register := func(name string, do any) { to.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name}) }
	register(wire.RefuseActivity, func(_ context.Context, input wire.RefuseInput) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.refused = append(w.refused, input)
		return nil
	})
	register(wire.TakeEventsActivity, func(_ context.Context, input wire.EvaluateSensorInput) (wire.EvaluateSensorResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.takes = append(w.takes, input)
		return w.write(input), nil
	})
	register(wire.EvaluateSensorActivity, func(ctx context.Context, input wire.EvaluateSensorInput) (wire.EvaluateSensorResult, error) {
		w.mu.Lock()
		w.evaluations = append(w.evaluations, input)
		n := len(w.evaluations)
		result := w.write(input)
		w.mu.Unlock()
		if w.evaluate != nil {
			if err := w.evaluate(ctx, n); err != nil {
				return result, err
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		waiting := len(w.inbox) - w.taken
		if w.gone != "" || !input.Manual && (w.result.State.Status != wire.TriggerRunning || waiting == 0 && !input.Due) {
			return w.standing(), nil
		}
		w.ticks++
		w.times = append(w.times, w.now())
		tick := wire.SensorTick{Tick: fmt.Sprint(w.ticks), Status: wire.TickSkipped, Runs: []wire.SensorRun{}}
		if w.fails {
			tick.Status, tick.Error = wire.TickFailure, &wire.TickError{Message: "no radar"}
			w.result.State.Failures++
		} else {
			tick.Events = min(waiting, 1000)
			w.taken += tick.Events
			w.result.State.Failures = 0
		}
		result = w.standing()
		result.Tick, result.More = &tick, tick.Events == 1000
		return result, nil
	})
	register(wire.SteerSensorActivity, func(_ context.Context, input wire.SteerSensorInput) (wire.EvaluateSensorResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.steered = append(w.steered, input)
		if input.Status != "" {
			w.result.State.Status = input.Status
		} else {
			w.result.State.Cursor = input.Cursor.Cursor
		}
		return w.standing(), nil
	})
}

// write is what the inbox does with events. w is locked.
func (w *sensorWorld) write(input wire.EvaluateSensorInput) wire.EvaluateSensorResult {
	for _, event := range input.Events {
		if !w.known[event.ID] {
			w.inbox = append(w.inbox, event.ID)
		}
		w.known[event.ID] = true
	}
	return w.standing()
}

func (w *sensorWorld) standing() wire.EvaluateSensorResult {
	if w.gone != "" {
		return wire.EvaluateSensorResult{Gone: w.gone}
	}
	w.result.State.Waiting = len(w.inbox) - w.taken
	return w.result
}

func (w *sensorWorld) env(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "sensor:flights:arrivals", TaskQueue: "flights"})
	w.now = env.Now
	w.register(env)
	return env
}

// until runs the workflow for a while, and cancels it.
func (w *sensorWorld) until(t *testing.T, env *testsuite.TestWorkflowEnvironment, after time.Duration) {
	t.Helper()
	env.RegisterDelayedCallback(env.CancelWorkflow, after)
	env.ExecuteWorkflow(wire.SensorWorkflow, json.RawMessage(`{}`))
	require.True(t, env.IsWorkflowCompleted())
	require.True(t, temporal.IsCanceledError(env.GetWorkflowError()), "%v", env.GetWorkflowError())
}

func event(id string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"id":%q,"payload":{}}`, id))
}

func signalAt(env *testsuite.TestWorkflowEnvironment, at time.Duration, name string, arguments ...any) {
	var argument any
	if len(arguments) > 0 {
		argument = arguments[0]
	}
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(name, argument) }, at)
}

func TestASensorIsEvaluatedForEventsAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	env := w.env(t)
	for i := range 3 {
		signalAt(env, time.Duration(i+1)*time.Minute, wire.EventSignal, event(fmt.Sprint(i)))
	}
	signalAt(env, 5*time.Minute, wire.WakeSignal)
	w.until(t, env, time.Hour)
	require.Equal(t, []string{"0", "1", "2"}, w.inbox)
	require.Equal(t, 3, w.taken)
	require.Equal(t, 3, w.ticks)
	require.Len(t, w.evaluations, 5, "one to learn what it is, one for each event, one that it was woken for")
	require.Empty(t, w.takes)
}

func TestASensorIsEvaluatedAtItsInterval(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	w.result.Every = 10 * time.Minute
	env := w.env(t)
	w.until(t, env, 59*time.Minute)
	require.Equal(t, 6, w.ticks)
	for i := range 5 {
		require.Equal(t, 10*time.Minute, w.times[i+1].Sub(w.times[i]))
	}
}

func TestWhatWakesASensorTooSoonIsGathered(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	w.result.MinInterval = time.Minute
	env := w.env(t)
	for i := range 120 {
		signalAt(env, time.Duration(i+1)*time.Second, wire.EventSignal, event(fmt.Sprint(i)))
	}
	w.until(t, env, time.Hour)
	require.Equal(t, 120, w.taken)
	require.Equal(t, 3, w.ticks)
	for i := range w.ticks - 1 {
		require.GreaterOrEqual(t, w.times[i+1].Sub(w.times[i]), time.Minute)
	}
	require.NotEmpty(t, w.takes, "what waits is in the inbox")
}

func TestASensorThatIsWokenTooSoonIsEvaluatedLater(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	w.result.MinInterval = time.Minute
	env := w.env(t)
	signalAt(env, time.Second, wire.EventSignal, event("a"))
	env.RegisterDelayedCallback(func() {
		// Past Temporal.
		w.mu.Lock()
		defer w.mu.Unlock()
		w.inbox = append(w.inbox, "b")
	}, 2*time.Second)
	signalAt(env, 3*time.Second, wire.WakeSignal)
	w.until(t, env, time.Hour)
	require.Equal(t, 2, w.taken)
	require.Equal(t, time.Minute, w.times[1].Sub(w.times[0]))
}

func TestASensorThatFailsIsTriedLessAndLessOften(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	w.fails = true
	env := w.env(t)
	signalAt(env, time.Second, wire.EventSignal, event("a"))
	signalAt(env, 20*time.Minute, wire.EventSignal, event("b"))
	w.until(t, env, time.Hour)
	waits := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, 64 * time.Second, 128 * time.Second, 256 * time.Second}
	for i, wait := range waits {
		require.Equal(t, wait, w.times[i+1].Sub(w.times[i]), "after %d failures", i+1)
	}
	for i := len(waits); i < len(w.times)-1; i++ {
		require.Equal(t, 5*time.Minute, w.times[i+1].Sub(w.times[i]))
	}
	require.Equal(t, []string{"a", "b"}, w.inbox)
	require.Zero(t, w.taken)
}

func TestAStoppedSensorOnlyTakesEvents(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	w.result.Every = time.Minute
	env := w.env(t)
	signalAt(env, 30*time.Second, wire.PauseSignal)
	for i := range 5 {
		signalAt(env, time.Duration(i+1)*10*time.Minute, wire.EventSignal, event(fmt.Sprint(i)))
	}
	var state wire.SensorState
	env.RegisterDelayedCallback(func() {
		answer, err := env.QueryWorkflow(wire.StateQuery)
		require.NoError(t, err)
		require.NoError(t, answer.Get(&state))
	}, 59*time.Minute)
	signalAt(env, time.Hour, wire.ResumeSignal)
	w.until(t, env, time.Hour+30*time.Second)
	require.Equal(t, wire.TriggerStopped, state.Status)
	require.Equal(t, 5, state.Waiting)
	require.Len(t, w.takes, 5)
	require.Equal(t, 5, w.taken, "they are taken in when it runs again")
	require.Equal(t, []wire.SteerSensorInput{{Status: wire.TriggerStopped}, {Status: wire.TriggerRunning}}, w.steered)
}

func TestWhatComesWhileASensorIsBusyIsWrittenBesideIt(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	env := w.env(t)
	env.SetTestTimeout(time.Minute)
	w.evaluate = func(_ context.Context, n int) error {
		if n == 2 {
			// Temporal hands it out again.
			return temporal.NewApplicationErrorWithOptions("no worker has it", wire.FailureNotOnThisBuild, temporal.ApplicationErrorOptions{NextRetryDelay: time.Minute})
		}
		return nil
	}
	for i := range 3 {
		signalAt(env, time.Duration(i+1)*time.Second, wire.EventSignal, event(fmt.Sprint(i)))
	}
	w.until(t, env, time.Hour)
	require.Equal(t, []string{"0", "1", "2"}, w.inbox)
	require.Equal(t, 3, w.taken)
	require.NotEmpty(t, w.takes)
	require.Equal(t, "0", w.takes[0].Events[0].ID, "none overtakes what the evaluation may not have written")
}

func TestATickIsAnswered(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	w.result.State.Status = wire.TriggerStopped
	env := w.env(t)
	answering := &answeredTick{t: t}
	env.RegisterDelayedCallback(func() { env.UpdateWorkflow(wire.TickUpdate, "", answering, json.RawMessage(`{}`)) }, time.Minute)
	refused := &answeredRefusal{}
	env.RegisterDelayedCallback(func() { env.UpdateWorkflow(wire.TickUpdate, "", refused, json.RawMessage(`{"at":1}`)) }, 2*time.Minute)
	w.until(t, env, time.Hour)
	require.Equal(t, "1", answering.tick.Tick)
	require.ErrorContains(t, refused.err, `unknown field "at"`)
	require.Equal(t, 1, w.ticks)
	require.True(t, w.evaluations[1].Manual)
}

// answeredTick is an update that is answered with a tick.
type answeredTick struct {
	t    *testing.T
	tick wire.SensorTick
}

func (a *answeredTick) Accept()          {}
func (a *answeredTick) Reject(err error) { require.NoError(a.t, err) }
func (a *answeredTick) Complete(result any, err error) {
	require.NoError(a.t, err)
	a.tick = result.(wire.SensorTick) //nolint:forcetypeassert // a panic is what the test wants then
}

type answeredRefusal struct{ err error }

func (a *answeredRefusal) Accept()             {}
func (a *answeredRefusal) Reject(err error)    { a.err = err }
func (a *answeredRefusal) Complete(any, error) {}

func TestASensorThatIsNoMoreEnds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		input string
		gone  string
		ends  string
	}{
		{"unknown", `{}`, "no such sensor", "no such sensor"},
		{"refused", `{"sensor":"arrivals"}`, "", `unknown field "sensor"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newSensorWorld()
			w.gone = test.gone
			env := w.env(t)
			signalAt(env, 0, wire.EventSignal, event("a"))
			env.ExecuteWorkflow(wire.SensorWorkflow, json.RawMessage(test.input))
			require.ErrorContains(t, env.GetWorkflowError(), test.ends)
			require.Len(t, w.refused, 1)
			require.Contains(t, w.refused[0].Problems.Error(), test.ends)
			if test.gone == "" {
				require.Equal(t, []string{"a"}, w.inbox, "what was signalled is kept")
			}
		})
	}
}

func TestASensorContinuesAsNewWithAllThatItHas(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	env := w.env(t)
	w.evaluate = func(_ context.Context, n int) error {
		if n == 2 {
			// They come while it is busy.
			env.SetCurrentHistoryLength(5000)
			for i := range 3 {
				env.SignalWorkflow(wire.EventSignal, event(fmt.Sprint(i)))
			}
		}
		return nil
	}
	signalAt(env, time.Second, wire.EventSignal, event("a"))
	env.ExecuteWorkflow(wire.SensorWorkflow, json.RawMessage(`{}`))
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	require.Equal(t, []string{"a"}, w.inbox)
	var carried wire.CarriedEvents
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(next.Input.GetPayloads()[1], &carried))
	require.Equal(t, 4, carried.Heard)
	var ids []string
	for _, event := range carried.Events {
		ids = append(ids, event.ID)
	}
	require.Equal(t, []string{"0", "1", "2"}, ids)
}

// Whoever waits for an evaluation of a sensor that turns out to be no more is told so.
func TestWhoWaitsForATickOfASensorThatIsNoMoreIsAnswered(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	env := w.env(t)
	env.SetTestTimeout(time.Minute)
	answer := &answeredError{}
	w.evaluate = func(_ context.Context, n int) error {
		if n == 1 {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.gone = "no such sensor"
			env.UpdateWorkflow(wire.TickUpdate, "", answer, json.RawMessage(`{}`))
		}
		return nil
	}
	env.ExecuteWorkflow(wire.SensorWorkflow, json.RawMessage(`{}`))
	require.ErrorContains(t, env.GetWorkflowError(), "no such sensor")
	require.ErrorContains(t, answer.err, "no such sensor")
}

// A sensor that is found to be no more while its cursor is set ends then, and not a day later.
func TestASensorThatIsSteeredAndIsNoMoreEnds(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	env := w.env(t)
	began := env.Now()
	env.RegisterDelayedCallback(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gone = "no such sensor"
		env.SignalWorkflow(wire.PauseSignal, nil)
	}, time.Minute)
	env.ExecuteWorkflow(wire.SensorWorkflow, json.RawMessage(`{}`))
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Less(t, env.Now().Sub(began), time.Hour)
}

// answeredError is an update that is answered with an error.
type answeredError struct{ err error }

func (a *answeredError) Accept()                   {}
func (a *answeredError) Reject(err error)          { a.err = err }
func (a *answeredError) Complete(_ any, err error) { a.err = err }

// A workflow that is cancelled while it is busy writes what was signalled, as any other.
func TestACancelledSensorKeepsWhatCameWhileItWasBusy(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	env := w.env(t)
	env.SetTestTimeout(time.Minute)
	w.evaluate = func(_ context.Context, n int) error {
		if n == 2 {
			env.SignalWorkflow(wire.EventSignal, event("b"))
			env.CancelWorkflow()
			return temporal.NewApplicationErrorWithOptions("no worker has it", wire.FailureNotOnThisBuild, temporal.ApplicationErrorOptions{NextRetryDelay: time.Minute})
		}
		return nil
	}
	signalAt(env, time.Second, wire.EventSignal, event("a"))
	env.ExecuteWorkflow(wire.SensorWorkflow, json.RawMessage(`{}`))
	require.True(t, temporal.IsCanceledError(env.GetWorkflowError()), "%v", env.GetWorkflowError())
	require.Equal(t, []string{"a", "b"}, w.inbox)
}

// What a workflow task brings together with the reason to continue as new is heard before: see turns.
func TestASensorHearsWhatComesWithTheReasonToContinueAsNew(t *testing.T) {
	t.Parallel()
	w := newSensorWorld()
	env := w.env(t)
	env.RegisterDelayedCallback(func() {
		// Without delay it brings no workflow task of its own.
		env.RegisterDelayedCallback(func() {
			env.SetCurrentHistoryLength(5000)
			env.SignalWorkflow(wire.EventSignal, event("a"))
		}, 0)
	}, time.Minute)
	env.ExecuteWorkflow(wire.SensorWorkflow, json.RawMessage(`{}`))
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	var carried wire.CarriedEvents
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(next.Input.GetPayloads()[1], &carried))
	require.Equal(t, 1, carried.Heard)
	require.Len(t, carried.Events, 1)
	require.Equal(t, "a", carried.Events[0].ID)
}
