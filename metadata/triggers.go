package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// TriggerID names a schedule or sensor.
type TriggerID struct {
	Location string           `json:"location"`
	Kind     wire.TriggerKind `json:"kind"`
	Name     string           `json:"name"`
}

func (t TriggerID) String() string {
	return fmt.Sprintf("%s %q of location %q", t.Kind, t.Name, t.Location)
}

// Trigger is what is known of a schedule or sensor.
type Trigger struct {
	TriggerID
	// Definition is a plan.Schedule or plan.Sensor, as the active build has it, or had it last.
	Definition json.RawMessage `json:"definition"`
	// Status follows from the rest: what a person decided, else what is declared; STOPPED once it is removed.
	Status   wire.TriggerStatus `json:"status"`
	Declared wire.TriggerStatus `json:"declared"`
	// Switched is what a person decided, or its own rule to stop after a failure, with who, why and when; "" is nothing.
	Switched    wire.TriggerStatus `json:"switched"`
	SwitchedBy  string             `json:"switched_by"`
	SwitchedWhy string             `json:"switched_why"`
	SwitchedAt  time.Time          `json:"switched_at"`
	// RemovedAt is when the active build lost it; zero while it has it.
	RemovedAt time.Time `json:"removed_at"`
	// Since is when it began to run: what was due before is not made up for.
	Since time.Time `json:"since"`
	// LastNominal is the last nominal time of a schedule that was taken care of; zero before the first.
	LastNominal time.Time `json:"last_nominal"`
	// Cursor and Position are how far a sensor is: as its last successful tick left it, and in the event log; nil before the
	// first.
	Cursor   json.RawMessage `json:"cursor"`
	Position *int64          `json:"position"`
	// LastTick is the newest tick's id, 0 before the first; LastSuccess the start of the last that did not fail.
	LastTick    int64     `json:"last_tick"`
	LastSuccess time.Time `json:"last_success"`
	LastRunKey  string    `json:"last_run_key"`
	// Failures is how many ticks in a row have failed until now, since FailingSince.
	Failures     int       `json:"failures"`
	FailingSince time.Time `json:"failing_since"`
	// Applied is a hash of how Temporal was told to wake it, AppliedPaused whether it was told to rest; "" and nil before that.
	Applied       string `json:"applied"`
	AppliedPaused *bool  `json:"applied_paused"`
	// Waiting is how many events of a sensor no tick has taken in.
	Waiting int `json:"events_waiting"`
}

const triggerColumns = `t.*, trigger_status_v1(t) as status`

// Trigger reads one schedule or sensor. [ErrNotFound] says that no build has ever had it.
func (s *Store) Trigger(ctx context.Context, id TriggerID) (Trigger, error) {
	operation := fmt.Sprintf("read %s", id)
	found, err := rows[Trigger](ctx, s, operation, `
		select to_jsonb(t) from (
			select `+triggerColumns+` from triggers t where t.location = $1 and t.kind = $2 and t.name = $3) t`,
		id.Location, id.Kind, id.Name)
	if err != nil {
		return Trigger{}, err
	}
	if len(found) == 0 {
		return Trigger{}, fmt.Errorf("%s: %w", operation, ErrNotFound)
	}
	return found[0], nil
}

// Triggers lists the schedules and sensors of a location by kind and name, also those that the active build has lost. "" is every
// location, or both kinds.
func (s *Store) Triggers(ctx context.Context, location string, kind wire.TriggerKind) ([]Trigger, error) {
	return rows[Trigger](ctx, s, "list schedules and sensors", `
		select to_jsonb(t) from (
			select `+triggerColumns+` from triggers t
			where ($1 = '' or t.location = $1) and ($2 = '' or t.kind = $2) order by t.location, t.kind, t.name) t`,
		location, kind)
}

// TriggerSwitch switches a schedule or sensor on or off.
type TriggerSwitch struct {
	TriggerID
	// Status is RUNNING or STOPPED, or "" for as it is declared.
	Status wire.TriggerStatus `json:"status"`
	// Who does it, and Why, for people.
	Who string `json:"who"`
	Why string `json:"why"`
}

// SwitchTrigger switches a schedule or sensor on or off, in its row: whoever keeps Temporal in step with the rows does the rest.
// changed says whether its status is another one now. [ErrNotFound] says that no build has ever had it.
func (s *Store) SwitchTrigger(ctx context.Context, to TriggerSwitch) (trigger Trigger, changed bool, err error) {
	operation := fmt.Sprintf("switch %s", to.TriggerID)
	answer, err := call[struct {
		Found   bool    `json:"found"`
		Changed bool    `json:"changed"`
		Trigger Trigger `json:"trigger"`
	}](ctx, s, operation, "switch_trigger_v1", to)
	if err != nil {
		return Trigger{}, false, err
	}
	if !answer.Found {
		return Trigger{}, false, fmt.Errorf("%s: %w", operation, ErrNotFound)
	}
	return answer.Trigger, answer.Changed, nil
}

// DefinedTrigger is a schedule or sensor as a build defines it.
type DefinedTrigger struct {
	Kind wire.TriggerKind `json:"kind"`
	Name string           `json:"name"`
	// Definition is a plan.Schedule or plan.Sensor.
	Definition json.RawMessage `json:"definition"`
	// Declared is its status until a person says otherwise.
	Declared wire.TriggerStatus `json:"declared"`
}

// SyncTriggers writes down which schedules and sensors the active build of a location has, and returns all that the location
// ever had. What the build has no longer is marked as removed; should it come back, what a person decided still holds.
func (s *Store) SyncTriggers(ctx context.Context, location string, defined []DefinedTrigger) ([]Trigger, error) {
	answer, err := call[struct {
		Triggers []Trigger `json:"triggers"`
	}](ctx, s, fmt.Sprintf("write down the schedules and sensors of location %q", location), "sync_triggers_v1", struct {
		Location string           `json:"location"`
		Triggers []DefinedTrigger `json:"triggers"`
	}{location, orEmpty(defined)})
	return answer.Triggers, err
}
