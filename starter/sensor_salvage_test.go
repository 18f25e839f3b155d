package starter

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"github.com/perdure-io/perdure/wire"
)

func payloads(t *testing.T, value any) *common.Payloads {
	t.Helper()
	encoded, err := converter.GetDefaultDataConverter().ToPayloads(value)
	require.NoError(t, err)
	return encoded
}

// What a closed workflow has written is not written again: only what no activity returned from writing, or found no sensor for.
func TestWhatAClosedWorkflowHasWrittenIsNotSalvaged(t *testing.T) {
	t.Parallel()
	heard := heardEvents{writing: map[int64][]wire.SentEvent{}, written: map[string]int{}}
	number := int64(0)
	take := func(event *history.HistoryEvent) int64 {
		number++
		event.EventId = number
		require.NoError(t, heard.take(event))
		return number
	}
	signal := func(id string) wire.SentEvent {
		take(&history.HistoryEvent{Attributes: &history.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &history.WorkflowExecutionSignaledEventAttributes{
				SignalName: wire.EventSignal, Input: payloads(t, map[string]any{"id": id, "payload": map[string]any{}}),
			},
		}})
		return wire.SentEvent{ID: id, Payload: json.RawMessage(`{}`), At: time.Unix(1, 0)}
	}
	write := func(activity string, events ...wire.SentEvent) int64 {
		return take(&history.HistoryEvent{Attributes: &history.HistoryEvent_ActivityTaskScheduledEventAttributes{
			ActivityTaskScheduledEventAttributes: &history.ActivityTaskScheduledEventAttributes{
				ActivityType: &common.ActivityType{Name: activity}, Input: payloads(t, wire.EvaluateSensorInput{Events: events}),
			},
		}})
	}
	complete := func(scheduled int64, result any) {
		take(&history.HistoryEvent{Attributes: &history.HistoryEvent_ActivityTaskCompletedEventAttributes{
			ActivityTaskCompletedEventAttributes: &history.ActivityTaskCompletedEventAttributes{ScheduledEventId: scheduled, Result: payloads(t, result)},
		}})
	}
	written := wire.EvaluateSensorResult{State: wire.SensorState{Sensor: "arrivals"}}
	take(&history.HistoryEvent{Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{FirstExecutionRunId: "first"},
	}})
	a, b, c := signal("a"), signal("b"), signal("c")
	complete(write(wire.EvaluateSensorActivity, a), written)
	complete(write(wire.TakeEventsActivity, b), wire.EvaluateSensorResult{Gone: "there is no such sensor"})
	write(wire.EvaluateSensorActivity, c)
	complete(write(wire.TakeEventsActivity, signal("by hand")), "done")
	signal("a") // again, after the first was written
	var ids []string
	for _, event := range heard.unwritten() {
		ids = append(ids, event.ID)
	}
	require.Equal(t, []string{"b", "c", "by hand", "a"}, ids)
}
