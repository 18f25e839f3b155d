package starter

import (
	"context"
	"errors"
	"fmt"

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
// that Temporal had taken. What it has written is known there by the events' ids.
func (s *Starter) salvage(ctx context.Context, id metadata.SensorID, execution string) error {
	workflow := wire.SensorID(s.Deployment, id.Location, id.Sensor)
	sender := &EventSender{starter: s, id: id, silent: true}
	events := s.Temporal.GetWorkflowHistory(ctx, workflow, execution, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var first *history.WorkflowExecutionStartedEventAttributes
	heard := 0
	for events.HasNext() {
		event, err := events.Next()
		if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what was signalled to sensor %q before its workflow was closed: %w", id.Sensor, err)
		}
		if started := event.GetWorkflowExecutionStartedEventAttributes(); started != nil {
			first = started
			carried, err := carriedEvents(started)
			if err != nil {
				return fmt.Errorf("read what the workflow of sensor %q carried along: %w", id.Sensor, err)
			}
			heard = carried.Heard
			for _, event := range carried.Events {
				if err := sender.add(ctx, event); err != nil {
					return err
				}
			}
		}
		signal := event.GetWorkflowExecutionSignaledEventAttributes()
		if signal.GetSignalName() != wire.EventSignal || first == nil {
			continue
		}
		heard++
		sent := wire.Sent(signalled(signal.GetInput()), wire.SignalledID(first.GetFirstExecutionRunId(), heard), event.GetEventTime().AsTime())
		if err := sender.add(ctx, sent); err != nil {
			return err
		}
	}
	return sender.write(ctx)
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
