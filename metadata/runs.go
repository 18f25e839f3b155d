package metadata

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
	// Location, Build and SnapshotHash say by which definitions it was planned; Queue is where it runs.
	Location, Build, SnapshotHash, Queue string
	Request                              wire.RunRequest
	Plan                                 *plan.Plan
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
)

// PlannedRun is the answer of [Store.PlanRun].
type PlannedRun struct {
	Outcome PlanOutcome `json:"outcome"`
	// Walk is the walk to take, when Planned or Replanned.
	Walk []byte `json:"walk"`
	// Status and CreatedAt are of the run that has the id, when RunExists.
	Status    wire.RunStatus `json:"status"`
	CreatedAt time.Time      `json:"created_at"`
	// Missing are the assets that steps load but nobody has made, sorted, when InputsMissing.
	Missing []string `json:"missing"`
}

// Problems are what keeps the run from beginning; nil when it has begun.
func (p PlannedRun) Problems(id string) wire.Problems {
	switch p.Outcome {
	case RunExists:
		return wire.Problems{{
			Path: "", Code: wire.CodeExists,
			Message: fmt.Sprintf("%s exists (%s, %s): choose another id, or re-execute it", id, p.Status, p.CreatedAt.UTC().Format(time.DateOnly)),
		}}
	case InputsMissing:
		return MissingInputs(p.Missing)
	default:
		return nil
	}
}

// MissingInputs are the problems of assets that a run loads but nobody has made.
func MissingInputs(keys []string) wire.Problems {
	problems := make(wire.Problems, len(keys))
	for i, key := range keys {
		problems[i] = wire.Problem{
			Path: "assets", Code: wire.CodeMissing,
			Message: fmt.Sprintf("%s is an input of the selected assets and has no materialization", key),
			Fix:     fmt.Sprintf("select it too, as in %q, or materialize it first", key),
		}
	}
	return problems
}

type planRunStep struct {
	Step  string `json:"step"`
	Index int    `json:"idx"`
	Type  string `json:"type"`
	Shape string `json:"shape"`
	// Assets and Partitions are what it writes, in the order in which every claim locks it.
	Assets     []string         `json:"assets"`
	Partitions []string         `json:"partitions"`
	Inputs     []plan.StepInput `json:"inputs,omitempty"`
	MaxLost    int              `json:"max_lost"`
	Body       plan.Step        `json:"body"`
}

func rowOf(index int, step plan.Step) planRunStep {
	outputs := slices.Clone(step.Outputs)
	slices.SortFunc(outputs, func(a, b plan.Output) int {
		return cmp.Or(strings.Compare(a.Asset, b.Asset), strings.Compare(a.Partition, b.Partition))
	})
	row := planRunStep{
		Step: step.Key, Index: index, Type: step.Type, Shape: step.Shape, Assets: make([]string, len(outputs)),
		Partitions: make([]string, len(outputs)), Inputs: step.Inputs, MaxLost: max(step.MaxLostWorkers, 1), Body: step,
	}
	for i, output := range outputs {
		row.Assets[i], row.Partitions[i] = output.Asset, output.Partition
	}
	return row
}

// PlanRun begins a run: its row, plan, planned assets and first events, all or nothing. For a run that
// had begun before it returns the walk as it was then; one that had ended before it was scheduled is reopened.
func (s *Store) PlanRun(ctx context.Context, run NewRun) (PlannedRun, error) {
	steps := make([]planRunStep, len(run.Plan.Steps))
	for i, step := range run.Plan.Steps {
		steps[i] = rowOf(i, step)
	}
	request := run.Request
	selection := request.Assets.String()
	planned, err := call[PlannedRun](ctx, s, fmt.Sprintf("record the plan of run %q", run.ID), "plan_run_v1", struct {
		RunID        string            `json:"run_id"`
		FirstRunID   string            `json:"first_run_id"`
		Scheduled    int64             `json:"scheduled"`
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
		Steps        []planRunStep     `json:"steps"`
		Assets       []string          `json:"assets"`
		Outside      []string          `json:"outside"`
	}{
		run.ID, run.FirstRunID, nanoseconds(run.Scheduled), run.Location, run.Build, run.SnapshotHash, run.Queue, run.Plan.Job, selection,
		request.Title, request.Note, run.Plan.Tags, request.Config, run.Plan.Priority, run.Plan.Walk.Cause, request,
		run.Walk, steps, orEmpty(run.Plan.Assets), orEmpty(run.Plan.Outside),
	})
	if err == nil && planned.Outcome == Planned {
		planned.Walk = run.Walk
	}
	return planned, err
}

// ReplanRun returns the walk that an earlier planning of this very run has recorded, as [Store.PlanRun] does, without a
// plan: the definitions may have changed since. The outcome is Replanned, RunExists or NotPlanned. scheduled is as in
// [NewRun].
func (s *Store) ReplanRun(ctx context.Context, id, firstRunID string, scheduled time.Time) (PlannedRun, error) {
	return call[PlannedRun](ctx, s, fmt.Sprintf("look for the plan of run %q", id), "replan_run_v1", struct {
		RunID      string `json:"run_id"`
		FirstRunID string `json:"first_run_id"`
		Scheduled  int64  `json:"scheduled"`
	}{id, firstRunID, nanoseconds(scheduled)})
}

// orEmpty makes a nil slice an empty one: null and [] differ in JSON.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// nanoseconds is a time as the SQL functions take it; 0 for the zero time.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

type closingStep struct {
	Step   string          `json:"step"`
	Status wire.StepStatus `json:"status"`
	Error  *wire.ErrorInfo `json:"error,omitempty"`
}

// CloseSteps records the end of steps that no attempt records: failed, skipped, left behind or
// cancelled. scheduled is Temporal's ScheduledTime of the activity that closes them: attempts that
// were scheduled before it can neither claim nor commit any more, and a step that was scheduled later,
// by a reset, stays open; the zero time closes whatever is open. Steps that turn out to be committed stay so and are
// returned. Closed steps keep their first end; but one that is now skipped or left behind was never scheduled since, and
// loses the end that it had before a reset. [ErrNotFound] says that there is no such run.
func (s *Store) CloseSteps(ctx context.Context, run string, scheduled time.Time, steps []wire.ClosedStep) ([]wire.DoneStep, error) {
	operation := fmt.Sprintf("close %d steps of run %q", len(steps), run)
	closing := make([]closingStep, len(steps))
	for i, step := range steps {
		closing[i] = closingStep{Step: step.Step, Status: step.Status}
		if step.Error != "" {
			closing[i].Error = &wire.ErrorInfo{Message: step.Error}
		}
	}
	answer, err := call[struct {
		Found bool            `json:"found"`
		Done  []wire.DoneStep `json:"done"`
	}](ctx, s, operation, "close_steps_v1", struct {
		Run       string        `json:"run"`
		Scheduled int64         `json:"scheduled"`
		Steps     []closingStep `json:"steps"`
	}{run, nanoseconds(scheduled), closing})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such run: %w", operation, ErrNotFound)
	}
	return answer.Done, err
}

// RunEnd is how a run ended.
type RunEnd struct {
	// RunID and FirstRunID are as in [NewRun].
	RunID, FirstRunID string
	// Status is SUCCESS, FAILURE or CANCELED.
	Status wire.RunStatus
	// Reason says why, when the steps do not: "terminated by …". It is set by whoever finds a run whose workflow ended
	// without recording it, and "" in the workflow's own record. An end with a reason changes nothing on an ended run.
	Reason string
	// Scheduled is Temporal's time of the end: the ScheduledTime of the activity that records it, or the time the
	// execution was closed; zero is now. What Temporal scheduled later comes from a reset and reopens the run.
	Scheduled time.Time
}

// EndRun ends a run: closes as cancelled what is still open, frees what it writes, and sets its row.
// Counts, failures and what was materialized are those of the rows. A second time it changes nothing
// and returns the same. [ErrNotFound] says that no run has both ids, [ErrConflict] that a reset has
// begun steps anew since.
func (s *Store) EndRun(ctx context.Context, end RunEnd) (wire.RunResult, error) {
	operation := fmt.Sprintf("record the end of run %q", end.RunID)
	answer, err := call[struct {
		wire.RunResult
		Found      bool `json:"found"`
		Superseded bool `json:"superseded"`
	}](ctx, s, operation, "end_run_v1", struct {
		Run        string         `json:"run"`
		FirstRunID string         `json:"first_run_id"`
		Scheduled  int64          `json:"scheduled"`
		Status     wire.RunStatus `json:"status"`
		Reason     string         `json:"reason"`
	}{end.RunID, end.FirstRunID, nanoseconds(end.Scheduled), end.Status, end.Reason})
	switch {
	case err != nil:
		return wire.RunResult{}, err
	case !answer.Found:
		return wire.RunResult{}, fmt.Errorf("%s: there is no such run with first execution %q: %w", operation, end.FirstRunID, ErrNotFound)
	case answer.Superseded:
		return wire.RunResult{}, fmt.Errorf("%s: its steps were scheduled anew since: %w", operation, ErrConflict)
	}
	answer.RunID = end.RunID
	return answer.RunResult, nil
}

// Refuse remembers a refused request, once for each execution.
func (s *Store) Refuse(ctx context.Context, refusal wire.RefuseInput) error {
	refusal.Problems = orEmpty(refusal.Problems)
	_, err := call[struct{}](ctx, s, fmt.Sprintf("remember the refused request of %q", refusal.WorkflowID), "refuse_request_v1", refusal)
	return err
}
