package starter

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// ListenSensor has a sensor listen to what it watches in the event log, while it runs; stopped, it goes on later where it was. A sensor
// of runs that has read nothing yet begins with what is committed from now on.
func (s *Starter) ListenSensor(ctx context.Context, row metadata.Trigger) error {
	id := wire.SensorID(s.Deployment, row.Location, row.Name)
	var sensor plan.Sensor
	if err := json.Unmarshal(row.Definition, &sensor); err != nil {
		return fmt.Errorf("read the definition of %s: %w", row.TriggerID, err)
	}
	subscriptions := metadata.SensorSubscriptions(row.Location, sensor)
	if row.Status != wire.TriggerRunning || len(subscriptions) == 0 {
		return s.Store.Unsubscribe(ctx, id)
	}
	_, err := s.Store.Subscribe(ctx, metadata.Listener{
		Wake:     metadata.Wake{ID: id, Workflow: wire.SensorWorkflow, Queue: wire.Queue(s.Deployment, row.Location)},
		Location: row.Location, Kind: string(row.Kind), Name: row.Name, FromEnd: sensor.Kind == plan.SensorOfRuns, Subscriptions: subscriptions,
	})
	return err
}
