package metadata

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Wake is a workflow that has something to read in the event log, or a run that has got what it waits for.
type Wake struct {
	// ID is the workflow's.
	ID string `json:"id"`
	// Workflow is what is started under the id when it is not there, on Queue; "" starts nothing.
	Workflow string `json:"workflow"`
	Queue    string `json:"queue"`
	// Admitted is set of a run that was let out of the queue, or whose steps have got slots.
	Admitted *wire.AdmittedInput `json:"-"`
}

// OnWake has wake called with those that a call has to wake: listeners that were clean until it appended an event that they
// listen for, and runs that got what it freed. It must not wait for anything. Without it nobody wakes them but the daemon, seconds
// later.
func (s *Store) OnWake(wake func([]Wake)) { s.wake.Store(&wake) }

// wakes has those woken that an answer names.
func (s *Store) wakes(answer []byte) {
	wake := s.wake.Load()
	if wake == nil || !slices.ContainsFunc(wakeWords, func(word []byte) bool { return bytes.Contains(answer, word) }) {
		return
	}
	var named struct {
		Wakes    []Wake             `json:"wakes"`
		Admitted json.RawMessage    `json:"admitted"`
		Others   []wire.AdmittedRun `json:"others"`
	}
	// It may be the word of somebody else, somewhere in the answer.
	if json.Unmarshal(answer, &named) != nil {
		return
	}
	var admitted []wire.AdmittedRun
	if bytes.HasPrefix(named.Admitted, []byte("[")) && json.Unmarshal(named.Admitted, &admitted) != nil {
		admitted = nil
	}
	for _, run := range append(admitted, named.Others...) {
		named.Wakes = append(named.Wakes, Wake{ID: run.RunID, Admitted: &wire.AdmittedInput{Steps: run.Steps}})
	}
	if len(named.Wakes) > 0 {
		(*wake)(named.Wakes)
	}
}

// wakeWords stand in an answer that names somebody to wake, as Postgres writes jsonb.
var wakeWords = [][]byte{[]byte(`"wakes"`), []byte(`"admitted": [{`), []byte(`"others": [{`)}

// Subscription is what a listener listens for: events of a type. The other fields are "" for any.
type Subscription struct {
	Type EventType `json:"type"`
	// Asset is the event's; the rest is about its run.
	Asset    string `json:"asset,omitempty"`
	Run      string `json:"run_id,omitempty"`
	Location string `json:"location,omitempty"`
	Job      string `json:"job,omitempty"`
}

// Listener is a workflow that is woken when certain events are committed.
type Listener struct {
	Wake
	// Location, Kind and Name say what listens: of a trigger these are its own.
	Location string `json:"location"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	// FromEnd begins to read at the log's present end, of a sensor that has read nothing yet.
	FromEnd       bool           `json:"from_end"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Subscribe has a listener listen for its subscriptions, and for nothing else, from now on. One that begins to listen, or
// listens for something new, is woken: there may be something for it already. The same again changes nothing.
func (s *Store) Subscribe(ctx context.Context, listener Listener) (changed bool, err error) {
	listener.Subscriptions = orEmpty(listener.Subscriptions)
	answer, err := call[struct {
		Changed bool `json:"changed"`
	}](ctx, s, fmt.Sprintf("have %q listen to the event log", listener.ID), "subscribe_v1", listener)
	return answer.Changed, err
}

// Unsubscribe has listeners listen no more.
func (s *Store) Unsubscribe(ctx context.Context, ids ...string) error {
	_, err := call[struct{}](ctx, s, fmt.Sprintf("have %q listen no more", ids), "unsubscribe_v1", struct {
		IDs []string `json:"ids"`
	}{orEmpty(ids)})
	return err
}

// CleanListener says that a listener is about to read the log: what is committed from now on wakes it again. It comes before the
// reading. dirty says whether something was committed for it since the last time. One that does not listen is not dirty.
func (s *Store) CleanListener(ctx context.Context, id string) (dirty bool, err error) {
	answer, err := call[struct {
		Dirty bool `json:"dirty"`
	}](ctx, s, fmt.Sprintf("have %q read the event log", id), "clean_listener_v1", struct {
		ID string `json:"id"`
	}{id})
	return answer.Dirty, err
}

// Unheard are listeners that have been dirty for longer than after, the longest first, limit at most: their wake was lost, or they
// are busy. A listener is returned again only when again has passed, or after [Store.Unwoken].
func (s *Store) Unheard(ctx context.Context, after, again time.Duration, limit int) ([]Wake, error) {
	answer, err := call[struct {
		Unheard []Wake `json:"unheard"`
	}](ctx, s, "look who was not woken", "unheard_v1", struct {
		After time.Duration `json:"after"`
		Again time.Duration `json:"again"`
		Limit int           `json:"limit"`
	}{after, again, limit})
	return answer.Unheard, err
}

// Unwoken says of listeners that [Store.Unheard] returned that they could not be woken.
func (s *Store) Unwoken(ctx context.Context, ids []string) error {
	_, err := call[struct{}](ctx, s, "note who was not woken", "unwoken_v1", struct {
		IDs []string `json:"ids"`
	}{orEmpty(ids)})
	return err
}

// statusEvents are the events by which a run's status is known.
var statusEvents = map[wire.RunStatus]EventType{
	wire.RunQueued: EventRunEnqueued, wire.RunStarting: EventRunStarting, wire.RunStarted: EventRunStart, wire.RunCanceling: EventRunCanceling,
	wire.RunSuccess: EventRunSuccess, wire.RunFailure: EventRunFailure, wire.RunCanceled: EventRunCanceled,
}

// SensorSubscriptions are what a sensor of a location listens for; none of one that does not read the log.
func SensorSubscriptions(location string, sensor plan.Sensor) []Subscription {
	var subscriptions []Subscription
	switch sensor.Kind {
	case plan.SensorOfAssets:
		for _, asset := range sensor.Assets {
			subscriptions = append(subscriptions, Subscription{Type: EventMaterialization, Asset: asset})
		}
	case plan.SensorOfRuns:
		for _, status := range sensor.Statuses {
			event := statusEvents[status]
			switch {
			case sensor.AllLocations:
				subscriptions = append(subscriptions, Subscription{Type: event})
			case len(sensor.MonitoredLocations) > 0:
				for _, monitored := range sensor.MonitoredLocations {
					subscriptions = append(subscriptions, Subscription{Type: event, Location: monitored})
				}
			case len(sensor.MonitoredJobs) > 0:
				for _, job := range sensor.MonitoredJobs {
					subscriptions = append(subscriptions, Subscription{Type: event, Location: location, Job: job})
				}
			default:
				subscriptions = append(subscriptions, Subscription{Type: event, Location: location})
			}
		}
	case plan.SensorOfEvents:
	}
	return subscriptions
}
