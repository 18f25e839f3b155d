package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/wire"
)

// NewBackfill is a backfill that begins.
type NewBackfill struct {
	// ID is Temporal's workflow id, FirstRunID as in [NewRun].
	ID                string               `json:"backfill_id"`
	FirstRunID        string               `json:"first_run_id"`
	Location          string               `json:"location"`
	Queue             string               `json:"queue"`
	MaxConcurrentRuns int                  `json:"max_concurrent_runs"`
	Request           wire.BackfillRequest `json:"request"`
	Title             string               `json:"title"`
	Note              string               `json:"note"`
	Tags              map[string]string    `json:"tags,omitempty"`
	Cause             string               `json:"cause"`
	// RetryOf is the backfill that it makes again, or what failed of it, Root the first of that chain; both "" without one.
	RetryOf string `json:"retry_of"`
	Root    string `json:"root"`
	// AsOf is when the partitions existed.
	AsOf time.Time `json:"as_of"`
	// Target is a stored partition.Subset of each asset.
	Target map[string]json.RawMessage `json:"target"`
	// Again are runs that it executes again.
	Again []AgainRun `json:"again"`
	// Progress is a [BackfillCounts] of what is targeted.
	Progress BackfillCounts `json:"progress"`
}

// AgainRun is an earlier run that a backfill executes again instead of making its partitions anew.
type AgainRun struct {
	RunID string `json:"run_id"`
	BackfillUnit
}

// BackfillUnit is what a run of a backfill makes.
type BackfillUnit struct {
	Assets     []string            `json:"assets"`
	Partitions backfill.Partitions `json:"partitions"`
}

// BackfillCounts is how far a backfill is, for people.
type BackfillCounts struct {
	Assets   []wire.BackfillAsset   `json:"assets"`
	Runs     wire.BackfillRuns      `json:"runs"`
	Failures []wire.BackfillFailure `json:"failures,omitempty"`
	// RunsPerMinute and PartitionsPerMinute are how many have ended in the last minutes.
	RunsPerMinute       float64 `json:"runs_per_minute,omitempty"`
	PartitionsPerMinute float64 `json:"partitions_per_minute,omitempty"`
	// Waiting says what it waits for, besides its runs.
	Waiting string `json:"waiting,omitempty"`
}

// BegunBackfill is the answer of [Store.BeginBackfill].
type BegunBackfill struct {
	// Exists says that another backfill has the id; nothing was changed then. Status and CreatedAt are of that one.
	Exists    bool
	Status    wire.BackfillStatus
	CreatedAt time.Time
}

// Problems are what keeps the backfill from beginning; nil when it has begun.
func (b BegunBackfill) Problems(id string) wire.Problems {
	if !b.Exists {
		return nil
	}
	return wire.Problems{BackfillExists(id, b.Status, b.CreatedAt)}
}

// BackfillExists is the problem of a backfill whose id another one has.
func BackfillExists(id string, status wire.BackfillStatus, createdAt time.Time) wire.Problem {
	return wire.Problem{
		Code:    wire.CodeExists,
		Message: fmt.Sprintf("%s exists (%s, %s): choose another id, or retry it", id, status, createdAt.UTC().Format(time.DateOnly)),
	}
}

// BeginBackfill makes the row of a backfill, once: also for one that asks again.
func (s *Store) BeginBackfill(ctx context.Context, begun NewBackfill) (BegunBackfill, error) {
	begun.Again = orEmpty(begun.Again)
	answer, err := call[struct {
		Outcome   string              `json:"outcome"`
		Status    wire.BackfillStatus `json:"status"`
		CreatedAt time.Time           `json:"created_at"`
	}](ctx, s, fmt.Sprintf("begin backfill %q", begun.ID), "begin_backfill_v1", begun)
	return BegunBackfill{Exists: answer.Outcome == "exists", Status: answer.Status, CreatedAt: answer.CreatedAt}, err
}

// AdvancedBackfill is how far a backfill is, and what it starts next.
type AdvancedBackfill struct {
	ID string `json:"backfill_id"`
	// Version is that of the state that it was worked out from.
	Version  int64           `json:"version"`
	State    json.RawMessage `json:"state"`
	Progress BackfillCounts  `json:"progress"`
	// Position is that of the last end of a run that is in the state.
	Position int64 `json:"position"`
	// Ended are runs that have ended for good, Start those to start.
	Ended []EndedBackfillRun `json:"ended"`
	Start []BackfillRun      `json:"start"`
}

// EndedBackfillRun is how a run of a backfill ended.
type EndedBackfillRun struct {
	RunID string `json:"run_id"`
	// Status is SUCCESS or FAILURE: a run that was cancelled has failed. It may be that of the run that executed it again.
	Status  wire.RunStatus `json:"status"`
	Message string         `json:"message,omitempty"`
	// Unbegun says that it has ended because it never began: should it have begun meanwhile, nothing is written.
	Unbegun bool `json:"unbegun,omitempty"`
}

// BackfillRun is a run that a backfill has asked for.
type BackfillRun struct {
	RunID string `json:"run_id"`
	BackfillUnit
	// RetryOf is the run that it executes again; "" is none.
	RetryOf string `json:"retry_of,omitempty"`
	// Status is "" while it is open, and Message why it failed.
	Status  wire.RunStatus `json:"status,omitempty"`
	Message string         `json:"message,omitempty"`
}

// AdvanceBackfill writes how far a backfill is and which runs it starts next, before any of them is started. [ErrConflict]
// says that nothing was written: somebody else has written meanwhile, or it was paused, stopped or ended.
func (s *Store) AdvanceBackfill(ctx context.Context, advanced AdvancedBackfill) error {
	operation := fmt.Sprintf("write how far backfill %q is", advanced.ID)
	advanced.Ended, advanced.Start = orEmpty(advanced.Ended), orEmpty(advanced.Start)
	answer, err := call[struct {
		Found bool `json:"found"`
		Stale bool `json:"stale"`
	}](ctx, s, operation, "advance_backfill_v1", advanced)
	switch {
	case err != nil:
		return err
	case !answer.Found:
		return fmt.Errorf("%s: there is no such backfill: %w", operation, ErrNotFound)
	case answer.Stale:
		return fmt.Errorf("%s: it has changed meanwhile: %w", operation, ErrConflict)
	}
	return nil
}

// SteerBackfill changes what the input gives, of a backfill that has not ended, and returns its status. [ErrNotFound] says
// that no backfill has both ids.
func (s *Store) SteerBackfill(ctx context.Context, input wire.SteerBackfillInput) (wire.BackfillStatus, error) {
	operation := fmt.Sprintf("steer backfill %q", input.BackfillID)
	answer, err := call[struct {
		Found  bool                `json:"found"`
		Status wire.BackfillStatus `json:"status"`
	}](ctx, s, operation, "steer_backfill_v1", input)
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such backfill: %w", operation, ErrNotFound)
	}
	return answer.Status, err
}

// NoteBackfillTrouble writes down what keeps a backfill from going on, "" when nothing does any more, and returns how often
// that was tried in a row. [ErrNotFound] says that no backfill has both ids.
func (s *Store) NoteBackfillTrouble(ctx context.Context, id, firstRunID, trouble string) (tries int, err error) {
	operation := fmt.Sprintf("write down what keeps backfill %q from going on", id)
	answer, err := call[struct {
		Found bool `json:"found"`
		Tries int  `json:"tries"`
	}](ctx, s, operation, "note_backfill_trouble_v1", struct {
		BackfillID string `json:"backfill_id"`
		FirstRunID string `json:"first_run_id"`
		Trouble    string `json:"trouble"`
	}{id, firstRunID, trouble})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such backfill: %w", operation, ErrNotFound)
	}
	return answer.Tries, err
}

// EndBackfill ends a backfill. A second time it changes nothing. [ErrNotFound] says that no backfill has both ids.
func (s *Store) EndBackfill(ctx context.Context, input wire.EndBackfillInput) error {
	operation := fmt.Sprintf("record the end of backfill %q", input.BackfillID)
	answer, err := call[struct {
		Found bool `json:"found"`
	}](ctx, s, operation, "end_backfill_v1", input)
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such backfill: %w", operation, ErrNotFound)
	}
	return err
}

// BackfillTurn is what whoever works on a backfill looks at again and again.
type BackfillTurn struct {
	Version           int64               `json:"version"`
	Status            wire.BackfillStatus `json:"status"`
	Paused            bool                `json:"paused"`
	MaxConcurrentRuns int                 `json:"max_concurrent_runs"`
	// Refused are those of the open runs that were refused, with why.
	Refused []EndedBackfillRun `json:"refused"`
}

// BackfillTurn reads how a backfill stands, and which of its open runs were refused. [ErrNotFound] says that there is none.
func (s *Store) BackfillTurn(ctx context.Context, id string, open []string) (BackfillTurn, error) {
	operation := fmt.Sprintf("look at backfill %q", id)
	found, err := rows[BackfillTurn](ctx, s, operation, `
		select to_jsonb(b) from (
			select version, status, paused, max_concurrent_runs,
			       (select coalesce(jsonb_agg(jsonb_build_object('run_id', r.workflow_id, 'status', 'FAILURE',
			            'message', 'it was refused: ' || coalesce(r.problems->0->>'message', ''))), '[]')
			        from refused_requests r where r.workflow_id = any ($2)
			          and not exists (select 1 from runs where run_id = r.workflow_id)) as refused
			from backfills where backfill_id = $1) b`, id, pq.Array(orEmpty(open)))
	if err != nil {
		return BackfillTurn{}, err
	}
	if len(found) == 0 {
		return BackfillTurn{}, fmt.Errorf("%s: there is no such backfill: %w", operation, ErrNotFound)
	}
	return found[0], nil
}
