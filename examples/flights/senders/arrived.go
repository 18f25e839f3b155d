// Command senders tells the sensor "arrivals" that flights have arrived, by Temporal's Go SDK, and by nothing of Perdure:
//
//	go run ./examples/flights/senders delivery-2 '{"file":"in/2001-02-15.csv"}'
//
// TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and SENSOR say where, when it is elsewhere than in the local stack.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"go.temporal.io/sdk/client"
)

// event is what a sensor takes. The payload is the sensor's own.
type event struct {
	ID      string          `json:"id"`
	Payload json.RawMessage `json:"payload"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: senders ID PAYLOAD: an id of your own, and JSON")
		os.Exit(2)
	}
	if err := send(event{os.Args[1], json.RawMessage(os.Args[2])}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// send returns when Temporal has the signal. The SDK tries again what Temporal refuses for a moment; the event's id keeps the sensor
// from hearing it twice when a program is started again because it could not know.
func send(e event) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{
		HostPort:  cmp.Or(os.Getenv("TEMPORAL_ADDRESS"), "127.0.0.1:7233"),
		Namespace: cmp.Or(os.Getenv("TEMPORAL_NAMESPACE"), "default"),
	})
	if err != nil {
		return fmt.Errorf("reach Temporal: %w", err)
	}
	defer c.Close()
	if err := c.SignalWorkflow(ctx, cmp.Or(os.Getenv("SENSOR"), "sensor:flights:arrivals"), "", "event", e); err != nil {
		return fmt.Errorf("signal event %q: %w", e.ID, err)
	}
	return nil
}
