package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
	"github.com/perdure-io/perdure/workflows"
)

// A wake that comes too soon after an evaluation, or after a failure, counts once the time has come: nothing else needs to happen.
func TestAWakeWaitsForTheIntervalOrTheTimeAfterAFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first wire.EvaluateSensorResult
		wait  time.Duration
	}{
		"within its interval": {wire.EvaluateSensorResult{MinInterval: 30 * time.Second}, 30 * time.Second},
		"after a failure":     {wire.EvaluateSensorResult{State: wire.SensorState{Failures: 3}}, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestWorkflowEnvironment()
			env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "sensor:flights:failed", TaskQueue: "flights"})
			env.RegisterWorkflowWithOptions(workflows.Sensor, workflow.RegisterOptions{Name: wire.SensorWorkflow})
			began := env.Now()
			var evaluated []time.Duration
			env.RegisterActivityWithOptions(func(context.Context, wire.EvaluateSensorInput) (wire.EvaluateSensorResult, error) {
				evaluated = append(evaluated, env.Now().Sub(began).Round(time.Second))
				result := c.first
				result.State.Location, result.State.Sensor, result.State.Status = "flights", "failed", wire.TriggerRunning
				result.Tick = &wire.SensorTick{Tick: "1", Status: wire.TickSkipped}
				if len(evaluated) == 2 {
					result.Gone = "it has seen enough"
				}
				return result, nil
			}, activity.RegisterOptions{Name: wire.EvaluateSensorActivity})
			env.RegisterDelayedCallback(func() { env.SignalWorkflow(wire.WakeSignal, struct{}{}) }, time.Second)

			env.ExecuteWorkflow(wire.SensorWorkflow, wire.SensorRequest{})

			require.True(t, env.IsWorkflowCompleted())
			require.NoError(t, env.GetWorkflowError())
			require.Equal(t, []time.Duration{0, c.wait}, evaluated)
		})
	}
}

// What an evaluation has left unread in the event log is read at once, also before the interval has passed.
func TestASensorReadsOn(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "sensor:flights:failed", TaskQueue: "flights"})
	env.RegisterWorkflowWithOptions(workflows.Sensor, workflow.RegisterOptions{Name: wire.SensorWorkflow})
	began := env.Now()
	var evaluated []time.Duration
	env.RegisterActivityWithOptions(func(context.Context, wire.EvaluateSensorInput) (wire.EvaluateSensorResult, error) {
		evaluated = append(evaluated, env.Now().Sub(began).Round(time.Second))
		result := wire.EvaluateSensorResult{
			State:       wire.SensorState{Location: "flights", Sensor: "failed", Status: wire.TriggerRunning},
			Tick:        &wire.SensorTick{Tick: "1", Status: wire.TickSkipped},
			MinInterval: time.Minute, Unread: len(evaluated) < 3, More: len(evaluated) < 3,
		}
		if len(evaluated) == 3 {
			result.Gone = "it has seen enough"
		}
		return result, nil
	}, activity.RegisterOptions{Name: wire.EvaluateSensorActivity})

	env.ExecuteWorkflow(wire.SensorWorkflow, wire.SensorRequest{})

	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []time.Duration{0, 0, 0}, evaluated)
}
