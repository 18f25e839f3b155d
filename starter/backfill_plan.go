package starter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/wire"
)

// Definitions are a location's, ready to be planned with.
type Definitions struct {
	Snapshot *plan.Snapshot
	Planner  *plan.Planner
}

// PlannedBackfill is a backfill that has been worked out and has not begun.
type PlannedBackfill struct {
	// Row is what is to be stored of it: all but its ids, location and queue.
	Row   metadata.NewBackfill
	graph backfill.Graph
	job   string
	id    string
}

// PlanBackfill works out what a backfill is for, from definitions and what exists now. Its error is wire.Problems with
// everything that is wrong with the request; nothing is changed.
func (s *Starter) PlanBackfill(ctx context.Context, definitions Definitions, id string, request wire.BackfillRequest) (*PlannedBackfill, error) {
	planned := &PlannedBackfill{id: id}
	problems := backfillProblems(request)
	var parent *metadata.BackfillState
	if request.RetryOf != nil {
		found, more, err := s.parentBackfill(ctx, request)
		if err != nil {
			return nil, err
		}
		problems = append(problems, more...)
		if len(problems) > 0 {
			return nil, problems.Err()
		}
		parent, request = found, inherited(found.Request, request)
	}
	at, more := plan.AsOf(request.Run(), time.Now().UTC())
	problems = append(problems, more...)
	if parent != nil {
		at = parent.AsOf
	}
	existing, err := s.Existing(ctx, definitions.Planner, at)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		more, err = s.target(ctx, definitions, request, existing, planned)
	} else {
		more, err = s.retryTarget(ctx, definitions, *parent, request, existing, planned)
	}
	if err != nil {
		return nil, err
	}
	if problems = append(problems, more...); len(problems) > 0 {
		return nil, problems.Err()
	}
	return planned, s.complete(ctx, definitions, request, parent, at, planned)
}

// complete checks that the first run could be planned, and fills in the row.
func (s *Starter) complete(ctx context.Context, definitions Definitions, request wire.BackfillRequest, parent *metadata.BackfillState, at time.Time, planned *PlannedBackfill) error {
	engine, err := backfill.New(planned.graph)
	if err != nil {
		return err
	}
	row := &planned.Row
	row.Request, row.Title, row.Note, row.Tags = request, request.Title, request.Note, request.Tags
	row.MaxConcurrentRuns = cmp.Or(request.MaxConcurrentRuns, wire.DefaultConcurrentRuns)
	row.AsOf, row.Cause = at, cmp.Or(request.Cause, planned.id)
	if parent != nil {
		row.RetryOf, row.Root = parent.ID, cmp.Or(parent.Root, parent.ID)
	}
	row.Progress.Assets = BackfillAssets(engine.Counts())
	row.Target = map[string]json.RawMessage{}
	for _, asset := range planned.graph.Assets {
		if row.Target[asset.Key], err = json.Marshal(asset.Target); err != nil {
			return fmt.Errorf("store the target of backfill %q: %w", planned.id, err)
		}
	}
	first, err := engine.Next(1)
	if err != nil {
		return err
	}
	if len(first) == 0 {
		return wire.Problems{{Path: "assets", Code: wire.CodeInvalid, Message: "no run can start: what is targeted needs itself by way of other partitions", Fix: "select fewer assets"}}
	}
	return s.tryPlan(ctx, definitions, RunOfBackfill(planned.id, request, at, planned.job, first[0]))
}

// tryPlan says what of a run's request is wrong: config, tags, texts.
func (s *Starter) tryPlan(ctx context.Context, definitions Definitions, request wire.RunRequest) error {
	facts := plan.Facts{RunID: "backfill", Limits: s.Limits, Executor: s.Executor, MaxRuntime: s.MaxRuntime}
	if request.RetryOf != nil {
		var err error
		facts.Parent, err = s.Store.ParentRun(ctx, request.RetryOf.RunID)
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return err
		}
	}
	if err := assetstatus.Facts(ctx, s.Store, definitions.Planner, request, time.Now(), &facts); err != nil {
		return err
	}
	_, err := definitions.Planner.Plan(request, facts)
	return err
}

func backfillProblems(request wire.BackfillRequest) wire.Problems {
	var problems wire.Problems
	if request.MaxConcurrentRuns < 0 || request.MaxConcurrentRuns > wire.MaxConcurrentRuns {
		problems = append(problems, wire.ConcurrencyProblem(request.MaxConcurrentRuns))
	}
	if request.RetryOf == nil {
		return problems
	}
	add := func(path, message, fix string) {
		problems = append(problems, wire.Problem{Path: path, Code: wire.CodeConflict, Message: message, Fix: fix})
	}
	if !request.Assets.IsZero() || request.Job != "" || request.Ops != "" {
		add("retry_of", "assets or a job are given, and those of the earlier backfill are made again", `leave "assets", "job" and "ops" out`)
	}
	if request.Partition != "" || request.Partitions != nil || request.Range != nil || request.AllPartitions || request.Only != "" || request.AsOf != "" {
		add("retry_of", "partitions are given, and those of the earlier backfill are made again", "leave them out")
	}
	if from := request.RetryOf.From; from != "" && from != wire.RetryFailure && from != wire.RetryAll {
		problems = append(problems, wire.Problem{Path: "retry_of.from", Code: wire.CodeInvalid, Message: fmt.Sprintf("%q is nothing to begin from", from), Fix: "give failure or all"})
	}
	return problems
}

// target finds what a request is for.
func (s *Starter) target(ctx context.Context, definitions Definitions, request wire.BackfillRequest, existing *plan.Existing, planned *PlannedBackfill) (wire.Problems, error) {
	found, problems := definitions.Planner.Target(request.Run(), existing)
	if len(problems) == 0 && request.Only != "" {
		states, err := s.states(ctx, definitions.Planner, request.Run(), existing.At())
		if err != nil {
			return nil, err
		}
		found, problems = definitions.Planner.Narrow(found, request.Only, states, existing)
	}
	if len(problems) > 0 {
		return problems, nil
	}
	planned.job = found.Job
	planned.graph = backfill.GraphOf(definitions.Snapshot, definitions.Planner, existing, found.Job, backfill.Targets(found))
	return nil, nil
}

// parentBackfill reads the backfill that a request makes again.
func (s *Starter) parentBackfill(ctx context.Context, request wire.BackfillRequest) (*metadata.BackfillState, wire.Problems, error) {
	parent, err := s.Store.BackfillState(ctx, request.RetryOf.RunID)
	switch {
	case errors.Is(err, metadata.ErrNotFound):
		return nil, wire.Problems{unknownBackfill(request.RetryOf.RunID)}, nil
	case err != nil:
		return nil, nil, err
	case !parent.Status.Ended():
		return nil, wire.Problems{{
			Path: "retry_of.run_id", Code: wire.CodeConflict, Message: fmt.Sprintf("backfill %q has not ended (%s)", parent.ID, parent.Status), Fix: "wait for its end, or cancel it",
		}}, nil
	}
	return &parent, nil, nil
}

// inherited is a request that makes an earlier backfill again, laid over that one's.
func inherited(earlier, request wire.BackfillRequest) wire.BackfillRequest {
	merged := earlier
	merged.RetryOf, merged.DryRun = request.RetryOf, request.DryRun
	if request.Config != nil {
		merged.Config = request.Config
	}
	if request.Tags != nil {
		merged.Tags = request.Tags
	}
	merged.MaxConcurrentRuns = cmp.Or(request.MaxConcurrentRuns, earlier.MaxConcurrentRuns)
	merged.Priority = cmp.Or(request.Priority, earlier.Priority)
	merged.Title, merged.Note = cmp.Or(request.Title, earlier.Title), cmp.Or(request.Note, earlier.Note)
	merged.Cause = request.Cause
	return merged
}

// retryTarget is what of an earlier backfill is made again: all of it, or what it has not made. Of what failed, the last run
// is executed again from where it failed.
func (s *Starter) retryTarget(ctx context.Context, definitions Definitions, parent metadata.BackfillState, request wire.BackfillRequest, existing *plan.Existing, planned *PlannedBackfill) (wire.Problems, error) {
	planned.job = request.Job
	targets, problems, err := StoredTarget(definitions.Snapshot, existing, parent)
	if err != nil || len(problems) > 0 {
		return problems, err
	}
	graph := backfill.GraphOf(definitions.Snapshot, definitions.Planner, existing, request.Job, targets)
	if request.RetryOf.From == wire.RetryAll {
		planned.graph = graph
		return nil, nil
	}
	var state backfill.State
	if err := json.Unmarshal(parent.State, &state); err != nil {
		return nil, fmt.Errorf("read the state of backfill %q: %w", parent.ID, err)
	}
	left := map[string]partition.Subset{}
	for key, target := range targets {
		made := target.Set().None()
		if stored := state[key].Materialized; len(stored) > 0 {
			if made, err = backfill.Decode(key, target.Set(), stored); err != nil {
				return problemsOr(err)
			}
		}
		skipped := target.Set().None()
		if stored := state[key].Skipped; len(stored) > 0 {
			if skipped, err = backfill.Decode(key, target.Set(), stored); err != nil {
				return problemsOr(err)
			}
		}
		if rest := target.Difference(made).Difference(skipped); !rest.IsEmpty() {
			left[key] = rest
		}
	}
	if len(left) == 0 {
		return wire.Problems{{
			Path: "retry_of", Code: wire.CodeNothingLeft, Message: fmt.Sprintf("backfill %q has made all that it was for", parent.ID), Fix: `give "from": "all" to make it anew`,
		}}, nil
	}
	planned.graph = backfill.GraphOf(definitions.Snapshot, definitions.Planner, existing, request.Job, left)
	planned.graph.Again, planned.Row.Again, err = s.failedRuns(ctx, definitions.Snapshot, existing, parent, request.Job)
	return nil, err
}

// problemsOr are the problems of a request that an error lists, or else the error.
func problemsOr(err error) (wire.Problems, error) {
	if problems := wire.ProblemsOf(err); problems != nil {
		return problems, nil
	}
	return nil, err
}

// failedRuns are the last runs of what failed in a backfill, those that have begun.
func (s *Starter) failedRuns(ctx context.Context, snapshot *plan.Snapshot, existing *plan.Existing, parent metadata.BackfillState, job string) ([]backfill.Again, []metadata.AgainRun, error) {
	var again []backfill.Again
	var rows []metadata.AgainRun
	for cursor := ""; ; {
		page, err := s.Store.BackfillRuns(ctx, parent.ID, []wire.RunStatus{wire.RunFailure}, cursor, 1000)
		if err != nil {
			return nil, nil, err
		}
		ids := make([]string, len(page.Rows))
		for i, run := range page.Rows {
			ids[i] = run.RunID
		}
		last, err := s.Store.LastRetries(ctx, ids)
		if err != nil {
			return nil, nil, err
		}
		for _, run := range page.Rows {
			id, begun := last[run.RunID]
			if !begun || len(run.Assets) == 0 {
				continue
			}
			set := backfill.SetOf(snapshot, existing, job, run.Assets[0])
			if set == nil {
				continue
			}
			subset, err := run.Partitions.Subset(set)
			if err != nil {
				continue // a key is gone, which the target has said
			}
			again = append(again, backfill.Again{RunID: id, Assets: run.Assets, Subset: subset})
			rows = append(rows, metadata.AgainRun{RunID: id, BackfillUnit: run.BackfillUnit})
		}
		if cursor = page.Next; cursor == "" {
			return again, rows, nil
		}
	}
}

// StoredTarget reads a backfill's target against the definitions: problems say what of them has changed so that it cannot be
// made any more.
func StoredTarget(snapshot *plan.Snapshot, existing *plan.Existing, stored metadata.BackfillState) (map[string]partition.Subset, wire.Problems, error) {
	targets := make(map[string]partition.Subset, len(stored.Target))
	var problems wire.Problems
	for key, data := range stored.Target {
		set := backfill.SetOf(snapshot, existing, stored.Request.Job, key)
		if set == nil {
			problems = append(problems, wire.Problem{Path: "assets", Code: wire.CodeUnknown, Message: fmt.Sprintf("%s is not made by the definitions any more", key)})
			continue
		}
		subset, err := backfill.Decode(key, set, data)
		if more := wire.ProblemsOf(err); more != nil {
			problems = append(problems, more...)
		} else if err != nil {
			return nil, nil, err
		}
		targets[key] = subset
	}
	slices.SortFunc(problems, func(x, y wire.Problem) int { return cmp.Compare(x.Message, y.Message) })
	return targets, problems, nil
}

// BackfillAssets are the counts of a backfill as its results have them. Of more than these take, those with failures are kept:
// by them is decided how the backfill ends.
func BackfillAssets(counts []backfill.AssetCounts) []wire.BackfillAsset {
	const most = 1000
	if len(counts) > most {
		counts = slices.Clone(counts)
		slices.SortStableFunc(counts, func(a, b backfill.AssetCounts) int {
			return cmp.Compare(min(b.Failed+b.Blocked, 1), min(a.Failed+a.Blocked, 1))
		})
	}
	assets := make([]wire.BackfillAsset, 0, min(len(counts), most))
	for _, one := range counts[:min(len(counts), most)] {
		assets = append(assets, wire.BackfillAsset{
			Asset: one.Asset, Targeted: one.Targeted, InProgress: one.InProgress, Materialized: one.Materialized,
			Failed: one.Failed, Blocked: one.Blocked, Skipped: one.Skipped,
		})
	}
	return assets
}

// RunOfBackfill is the request of a run that a backfill starts.
func RunOfBackfill(id string, request wire.BackfillRequest, at time.Time, job string, run backfill.Run) wire.RunRequest {
	started := wire.RunRequest{
		AsOf: at.UTC().Format(time.RFC3339Nano), Backfill: id, Config: request.Config, Tags: request.Tags,
		Priority: cmp.Or(request.Priority, wire.PriorityBackfill), Title: request.Title, Note: request.Note, Cause: cmp.Or(request.Cause, id),
	}
	if run.Again != "" {
		started.AsOf = ""
		started.RetryOf = &wire.RetryOf{RunID: run.Again, From: wire.RetryFailure}
		return started
	}
	partitions := run.Partitions()
	started.Partition, started.Range, started.Partitions = partitions.Partition, partitions.Range, partitions.Partitions
	started.Job, started.Ops = job, request.Ops
	if job == "" || run.Assets[0] != backfill.JobKey(job) {
		started.Assets = wire.AssetSelection{Keys: run.Assets}
	}
	return started
}
