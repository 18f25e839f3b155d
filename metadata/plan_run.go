package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// NewRun is a run that begins, with its plan.
type NewRun struct {
	// ID is Temporal's workflow id, FirstRunID Temporal's id of the first execution in its chain.
	ID, FirstRunID string
	// Scheduled is Temporal's ScheduledTime of the activity that plans. Later than the run's end it comes from a reset.
	Scheduled time.Time
	// Execution is Temporal's id of the execution that has it planned: one that has recorded the run's end reopens nothing.
	Execution string
	// Location, Build and SnapshotHash say by which definitions it was planned; Queue is where it runs.
	Location, Build, SnapshotHash, Queue string
	// Request is what is planned: of a run that executes another one again, with that one's request in it.
	Request wire.RunRequest
	Plan    *plan.Plan
	// Walk is the encoded walk, which a second planning of the same run returns.
	Walk []byte
}

// PlanOutcome says what a planning found.
type PlanOutcome string

// The outcomes of planning.
const (
	Planned       PlanOutcome = "planned"        // the run has begun
	Replanned     PlanOutcome = "replanned"      // this very run had begun before: a retry, or a reset
	NotPlanned    PlanOutcome = "unknown"        // this run has not begun: an answer of [Store.ReplanRun] only
	RunExists     PlanOutcome = "exists"         // another run has the id; nothing was changed
	InputsMissing PlanOutcome = "missing_inputs" // nothing was changed
	NotAskedFor   PlanOutcome = "not_asked"      // its backfill does not wait for it any more; nothing was changed
)

// PlannedRun is the answer of [Store.PlanRun].
type PlannedRun struct {
	Outcome PlanOutcome `json:"outcome"`
	// Walk is the walk to take, when Planned or Replanned.
	Walk []byte `json:"walk"`
	// Queued says for what the run waits in the queue, which [Store.AdmitRun] lets it out of; "" says that it has begun.
	Queued string `json:"queued"`
	// Began is when a run that is Replanned began, if that was later than its planning: it had waited.
	Began time.Time `json:"began,omitzero"`
	// Status and CreatedAt are of the run that has the id, when RunExists; Status is its backfill's, or its own in it, when
	// NotAskedFor.
	Status    wire.RunStatus `json:"status"`
	CreatedAt time.Time      `json:"created_at"`
	// Missing is what steps load but nobody has made, when InputsMissing.
	Missing []MissingInput `json:"missing"`
}

// Problems are what keeps the run from beginning; nil when it has begun.
func (p PlannedRun) Problems(id string) wire.Problems {
	switch p.Outcome {
	case RunExists:
		return wire.Problems{{
			Path: "", Code: wire.CodeExists,
			Message: fmt.Sprintf("%s exists (%s, %s): choose another id, or re-execute it", id, p.Status, p.CreatedAt.UTC().Format(time.DateOnly)),
		}}
	case NotAskedFor:
		return wire.Problems{{
			Path: "backfill", Code: wire.CodeConflict, Message: fmt.Sprintf("the backfill that asked for %s does not wait for it any more (%s)", id, p.Status),
			Fix: "materialize the partition with a run of its own, or retry the backfill",
		}}
	case InputsMissing:
		return MissingProblems(p.Missing)
	default:
		return nil
	}
}

// PlanRun begins a run: its row, plan, planned assets and first events, all or nothing; or puts it in the queue, when a limit
// holds it back. For a run that
// had begun before it returns the walk as it was then; one that had ended before it was scheduled is reopened. One that
// [Store.NoteRun] noted is adopted.
func (s *Store) PlanRun(ctx context.Context, run NewRun) (PlannedRun, error) {
	operation := fmt.Sprintf("record the plan of run %q", run.ID)
	rows, err := plannedRows(run.Plan)
	if err != nil {
		return PlannedRun{}, fmt.Errorf("%s: %w", operation, err)
	}
	assets, err := plannedAssets(run.Plan)
	if err != nil {
		return PlannedRun{}, fmt.Errorf("%s: %w", operation, err)
	}
	partition, several := partitionOf(run.Plan)
	request := run.Request
	selection := request.Assets.String()
	planned, err := call[PlannedRun](ctx, s, operation, "plan_run_v1", struct {
		RunID        string            `json:"run_id"`
		FirstRunID   string            `json:"first_run_id"`
		Scheduled    int64             `json:"scheduled"`
		Execution    string            `json:"execution"`
		Location     string            `json:"location"`
		Build        string            `json:"build"`
		SnapshotHash string            `json:"snapshot_hash"`
		Queue        string            `json:"queue"`
		Job          string            `json:"job"`
		Selection    string            `json:"selection"`
		Title        string            `json:"title"`
		Note         string            `json:"note"`
		Tags         map[string]string `json:"tags,omitempty"`
		Config       json.RawMessage   `json:"config,omitempty"`
		Priority     wire.Priority     `json:"priority,omitzero"`
		Cause        string            `json:"cause"`
		Request      wire.RunRequest   `json:"request"`
		Walk         []byte            `json:"walk"`
		Steps        []plannedRow      `json:"steps"`
		Assets       []plannedAsset    `json:"assets"`
		Outside      []assetPartitions `json:"outside"`
		Partition    string            `json:"partition"`
		Several      bool              `json:"several"`
		Pools        []string          `json:"pools,omitempty"`
		Parent       string            `json:"parent_run_id"`
		Root         string            `json:"root_run_id"`
		Timeout      time.Duration     `json:"timeout"`
	}{
		run.ID, run.FirstRunID, nanoseconds(run.Scheduled), run.Execution, run.Location, run.Build, run.SnapshotHash, run.Queue, run.Plan.Job, selection,
		request.Title, request.Note, run.Plan.Tags, request.Config, run.Plan.Priority, run.Plan.Walk.Cause, request,
		run.Walk, rows, assets, listed(run.Plan.Outside), partition, several, poolsOf(rows),
		run.Plan.RetryOf, run.Plan.RootRunID, run.Plan.Walk.Timeout,
	})
	if err == nil && planned.Outcome == Planned {
		planned.Walk = run.Walk
	}
	return planned, err
}

// ReplanRun returns the walk that an earlier planning of this very run has recorded, as [Store.PlanRun] does, without a
// plan: the definitions may have changed since. The outcome is Replanned, RunExists or NotPlanned. scheduled and execution are
// as in [NewRun].
func (s *Store) ReplanRun(ctx context.Context, id, firstRunID string, scheduled time.Time, execution string) (PlannedRun, error) {
	return call[PlannedRun](ctx, s, fmt.Sprintf("look for the plan of run %q", id), "replan_run_v1", struct {
		RunID      string `json:"run_id"`
		FirstRunID string `json:"first_run_id"`
		Scheduled  int64  `json:"scheduled"`
		Execution  string `json:"execution"`
	}{id, firstRunID, nanoseconds(scheduled), execution})
}
