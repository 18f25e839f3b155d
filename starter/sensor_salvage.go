package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// RestoreSensor is for an execution of a sensor's workflow that was closed: what was signalled to it is written into the inbox, and a
// workflow started when there is none.
func (s *Starter) RestoreSensor(ctx context.Context, row metadata.Trigger, execution string) (started bool, err error) {
	if err := s.salvage(ctx, metadata.SensorID{Location: row.Location, Sensor: row.Name}, execution); err != nil {
		return false, err
	}
	return s.EnsureSensor(ctx, row)
}

// salvage writes into the inbox what was signalled to a workflow that is closed: one that was terminated may not have written all
// that Temporal had taken. What its history shows as written is left out: the inbox may have forgotten it since, or be a new one.
func (s *Starter) salvage(ctx context.Context, id metadata.SensorID, execution string) error {
	workflow := wire.SensorID(s.Deployment, id.Location, id.Sensor)
	events := s.Temporal.GetWorkflowHistory(ctx, workflow, execution, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	heard := heardEvents{writing: map[int64][]wire.SentEvent{}, written: map[string]int{}}
	for events.HasNext() {
		event, err := events.Next()
		if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
			return nil
		}
		if err == nil {
			err = heard.take(event)
		}
		if err != nil {
			return fmt.Errorf("read what was signalled to sensor %q before its workflow was closed: %w", id.Sensor, err)
		}
	}
	sender := &EventSender{starter: s, id: id, silent: true}
	for _, event := range heard.unwritten() {
		if err := sender.add(ctx, event); err != nil {
			return err
		}
	}
	return sender.write(ctx)
}

// heardEvents are what was signalled to an execution, by its history.
type heardEvents struct {
	firstRunID string
	count      int
	events     []wire.SentEvent
	// writing are what activities were given to write, by the event that scheduled each, written how often an id was written.
	writing map[int64][]wire.SentEvent
	written map[string]int
}

func (h *heardEvents) take(event *history.HistoryEvent) error {
	if started := event.GetWorkflowExecutionStartedEventAttributes(); started != nil {
		carried, err := carriedEvents(started)
		h.firstRunID, h.count, h.events = started.GetFirstExecutionRunId(), carried.Heard, carried.Events
		return err
	}
	if signal := event.GetWorkflowExecutionSignaledEventAttributes(); signal.GetSignalName() == wire.EventSignal {
		h.count++
		h.events = append(h.events, wire.Sent(signalled(signal.GetInput()), wire.SignalledID(h.firstRunID, h.count), event.GetEventTime().AsTime()))
	}
	if scheduled := event.GetActivityTaskScheduledEventAttributes(); len(scheduled.GetInput().GetPayloads()) > 0 {
		switch scheduled.GetActivityType().GetName() {
		case wire.EvaluateSensorActivity, wire.TakeEventsActivity:
			var input wire.EvaluateSensorInput // both call what they are to write alike
			err := converter.GetDefaultDataConverter().FromPayload(scheduled.GetInput().GetPayloads()[0], &input)
			h.writing[event.GetEventId()] = input.Events
			return err
		}
	}
	if completed := event.GetActivityTaskCompletedEventAttributes(); len(h.writing[completed.GetScheduledEventId()]) > 0 {
		var result wire.EvaluateSensorResult
		err := converter.GetDefaultDataConverter().FromPayloads(completed.GetResult(), &result)
		if err != nil || result.State.Sensor == "" {
			return nil //nolint:nilerr // a person completed it, or the sensor was not there: nothing was written
		}
		for _, event := range h.writing[completed.GetScheduledEventId()] {
			h.written[event.ID]++
		}
	}
	return nil
}

// unwritten are those that no activity has returned from writing. An id that was sent several times was written in that order.
func (h *heardEvents) unwritten() []wire.SentEvent {
	return slices.DeleteFunc(h.events, func(event wire.SentEvent) bool {
		h.written[event.ID]--
		return h.written[event.ID] >= 0
	})
}

// signalled is the JSON that a signal brought; nil when it brought none.
func signalled(input *common.Payloads) []byte {
	if len(input.GetPayloads()) == 0 {
		return nil
	}
	payload := input.GetPayloads()[0]
	if string(payload.GetMetadata()[converter.MetadataEncoding]) == converter.MetadataEncodingNil {
		return []byte("null")
	}
	return payload.GetData()
}

// carriedEvents are those that an execution was given by the one before it.
func carriedEvents(started *history.WorkflowExecutionStartedEventAttributes) (wire.CarriedEvents, error) {
	var carried wire.CarriedEvents
	if payloads := started.GetInput().GetPayloads(); len(payloads) > 1 && started.GetContinuedExecutionRunId() != "" {
		return carried, converter.GetDefaultDataConverter().FromPayload(payloads[1], &carried)
	}
	return carried, nil
}
