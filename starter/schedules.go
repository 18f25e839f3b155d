package starter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/schedule"
	"github.com/perdure-io/perdure/wire"
)

const (
	// wakeCatchup is how long after its time Temporal still wakes a schedule: one wake makes up for all that was missed.
	wakeCatchup = 10 * 365 * 24 * time.Hour
	// momentEvery is the interval of a moment: it fires once in the time that matters. The server reckons with intervals that have
	// passed at least once since 1970.
	momentEvery = 30 * 365 * 24 * time.Hour
	// byToggle is who switches a schedule by Temporal's own means, byPerdure who does so by a rule of its own.
	byToggle  = "temporal schedule toggle"
	byPerdure = "perdure"
)

// wanted is the Temporal Schedule that a schedule is to have.
type wanted struct {
	id     string
	spec   client.ScheduleSpec
	action *client.ScheduleWorkflowAction
	// hash stands for all of it.
	hash string
}

// wantedSchedule is the Temporal Schedule of a schedule, as of now.
func (s *Starter) wantedSchedule(location string, definition plan.Schedule, now time.Time) (wanted, error) {
	times, err := schedule.Of(definition)
	if err != nil {
		return wanted{}, err
	}
	wakes := times.Wakes(now)
	w := wanted{
		id: wire.ScheduleID(s.Deployment, location, definition.Name), spec: specOf(wakes),
		action: &client.ScheduleWorkflowAction{
			ID: wire.ScheduleTickID(s.Deployment, location, definition.Name), Workflow: wire.ScheduleTickWorkflow,
			Args:      []any{wire.ScheduleTickRequest{Schedule: definition.Name, Times: schedule.Hash(definition)}},
			TaskQueue: wire.Queue(s.Deployment, location), StaticSummary: wire.Summary("schedule " + definition.Name),
			Priority: temporal.Priority{PriorityKey: int(wire.PriorityHigh)},
		},
	}
	data, err := json.Marshal([]any{wakes, w.id, w.action.ID, w.action.Args, w.action.TaskQueue})
	if err != nil {
		return wanted{}, fmt.Errorf("the Temporal schedule of %q: %w", definition.Name, err)
	}
	sum := sha256.Sum256(data)
	w.hash = hex.EncodeToString(sum[:8])
	return w, nil
}

// specOf is when Temporal wakes, in its own words.
func specOf(wakes schedule.Wakes) client.ScheduleSpec {
	spec := client.ScheduleSpec{TimeZoneName: wakes.Zone}
	ranges := func(given []schedule.Range) []client.ScheduleRange {
		var found []client.ScheduleRange
		for _, r := range given {
			found = append(found, client.ScheduleRange{Start: r.Start, End: r.End})
		}
		return found
	}
	for _, c := range wakes.Calendars {
		spec.Calendars = append(spec.Calendars, client.ScheduleCalendarSpec{
			Second: []client.ScheduleRange{{}}, Minute: ranges(c.Minute), Hour: ranges(c.Hour), DayOfMonth: ranges(c.DayOfMonth),
			Month: ranges(c.Month), DayOfWeek: ranges(c.DayOfWeek), Year: ranges(c.Year), Comment: c.Comment,
		})
	}
	for _, moment := range wakes.Moments {
		spec.Intervals = append(spec.Intervals, client.ScheduleIntervalSpec{
			Every: momentEvery, Offset: time.Duration(moment.Unix()) * time.Second % momentEvery,
		})
	}
	return spec
}

// temporalSchedule is what Temporal says of a schedule.
type temporalSchedule struct {
	found, paused bool
	note          string
}

func (s *Starter) describeSchedule(ctx context.Context, id string) (temporalSchedule, error) {
	described, err := s.Temporal.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
	if isNotFound(err) {
		return temporalSchedule{}, nil
	}
	if err != nil {
		return temporalSchedule{}, fmt.Errorf("look at the Temporal schedule %q: %w", id, err)
	}
	state := described.Schedule.State
	return temporalSchedule{found: true, paused: state.Paused, note: state.Note}, nil
}

func isNotFound(err error) bool {
	_, is := errors.AsType[*serviceerror.NotFound](err)
	return is
}

// syncSchedule brings the Temporal Schedule of one schedule in step with its row. listed is what Temporal's list says of it; changed
// that its definition may have.
func (s *Starter) syncSchedule(ctx context.Context, row metadata.Trigger, listed temporalSchedule) error {
	var definition plan.Schedule
	if err := json.Unmarshal(row.Definition, &definition); err != nil {
		return fmt.Errorf("read the definition of %s: %w", row.TriggerID, err)
	}
	if !row.RemovedAt.IsZero() {
		return s.retireSchedule(ctx, row, listed)
	}
	want, err := s.wantedSchedule(row.Location, definition, time.Now())
	if err != nil {
		return err
	}
	rests := row.Status != wire.TriggerRunning
	if listed.found && row.Applied == want.hash && row.AppliedPaused != nil && *row.AppliedPaused == rests && listed.paused == rests {
		return nil
	}
	// What is listed may be old. What is written down is, too, where somebody has switched it since: it would look like what a
	// person does by Temporal's own means.
	stands, err := s.describeSchedule(ctx, want.id)
	if err != nil {
		return err
	}
	if row, err = s.Store.Trigger(ctx, row.TriggerID); err != nil || !row.RemovedAt.IsZero() {
		return err
	}
	rests = row.Status != wire.TriggerRunning
	if stands.found && row.AppliedPaused != nil && stands.paused != *row.AppliedPaused && rests == *row.AppliedPaused {
		if row, err = s.adopt(ctx, row, stands); err != nil {
			return err
		}
		rests = stands.paused
	}
	switch {
	case !stands.found:
		var made bool
		if made, err = s.createSchedule(ctx, want, rests, pauseNote(row)); err == nil && !made {
			return nil // another process was faster: what it has made is compared by the next look
		}
	case row.Applied != want.hash:
		err = s.updateSchedule(ctx, want)
	}
	if err != nil {
		return err
	}
	if stands.found && stands.paused != rests {
		if err := s.pauseSchedule(ctx, want.id, rests, pauseNote(row)); err != nil {
			return err
		}
	}
	return s.Store.NoteApplied(ctx, row.TriggerID, want.hash, rests)
}

// adopt takes over what a person has done by Temporal's own means.
func (s *Starter) adopt(ctx context.Context, row metadata.Trigger, stands temporalSchedule) (metadata.Trigger, error) {
	to := metadata.TriggerSwitch{TriggerID: row.TriggerID, Status: wire.TriggerRunning, Who: byToggle, Why: stands.note}
	if stands.paused {
		to.Status = wire.TriggerStopped
	}
	adopted, _, err := s.Store.SwitchTrigger(ctx, to)
	return adopted, err
}

// pauseNote says who stopped or started a schedule, as Temporal shows it.
func pauseNote(row metadata.Trigger) string {
	verb := "runs"
	if row.Status != wire.TriggerRunning {
		verb = "stopped"
	}
	switch {
	case !row.RemovedAt.IsZero():
		return "Perdure: the active build has lost it"
	case row.Switched == "":
		return "Perdure: " + verb + " as it is declared"
	case row.SwitchedWhy != "":
		return "Perdure: " + verb + ", by " + row.SwitchedBy + ": " + row.SwitchedWhy
	default:
		return "Perdure: " + verb + ", by " + row.SwitchedBy
	}
}

// createSchedule makes a Temporal Schedule. made is false when there is one already.
func (s *Starter) createSchedule(ctx context.Context, want wanted, rests bool, note string) (made bool, err error) {
	_, err = s.Temporal.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: want.id, Spec: want.spec, Action: want.action, Overlap: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE, CatchupWindow: wakeCatchup,
		Paused: rests, Note: note, Memo: map[string]any{"perdure": "made by Perdure, which keeps it as the active build defines it: only pause, trigger and backfill it, with --overlap-policy BufferAll"},
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("make the Temporal schedule %q: %w", want.id, err)
	}
	return true, nil
}

// updateSchedule changes when Temporal wakes and what it starts, and leaves the rest: whether it is paused, and what a person noted.
func (s *Starter) updateSchedule(ctx context.Context, want wanted) error {
	err := s.Temporal.ScheduleClient().GetHandle(ctx, want.id).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(input client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			changed := input.Description.Schedule
			changed.Spec, changed.Action = &want.spec, want.action
			changed.Policy = &client.SchedulePolicies{Overlap: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE, CatchupWindow: wakeCatchup}
			return &client.ScheduleUpdate{Schedule: &changed}, nil
		},
	})
	if err != nil {
		return fmt.Errorf("change the Temporal schedule %q: %w", want.id, err)
	}
	return nil
}

func (s *Starter) pauseSchedule(ctx context.Context, id string, rests bool, note string) (err error) {
	handle := s.Temporal.ScheduleClient().GetHandle(ctx, id)
	if rests {
		err = handle.Pause(ctx, client.SchedulePauseOptions{Note: note})
	} else {
		err = handle.Unpause(ctx, client.ScheduleUnpauseOptions{Note: note})
	}
	if err != nil {
		return fmt.Errorf("pause or unpause the Temporal schedule %q: %w", id, err)
	}
	return nil
}

// retireSchedule pauses the Temporal Schedule of a schedule that the active build has lost, and deletes it when it does not come back.
func (s *Starter) retireSchedule(ctx context.Context, row metadata.Trigger, listed temporalSchedule) error {
	id := wire.ScheduleID(s.Deployment, row.Location, row.Name)
	if !listed.found {
		return nil
	}
	if time.Since(row.RemovedAt) > removedGrace {
		if err := s.Temporal.ScheduleClient().GetHandle(ctx, id).Delete(ctx); err != nil && !isNotFound(err) {
			return fmt.Errorf("delete the Temporal schedule %q, which the active build has lost: %w", id, err)
		}
		return nil
	}
	if row.AppliedPaused != nil && *row.AppliedPaused && listed.paused {
		return nil
	}
	if err := s.pauseSchedule(ctx, id, true, pauseNote(row)); err != nil {
		return err
	}
	return s.Store.NoteApplied(ctx, row.TriggerID, row.Applied, true)
}
