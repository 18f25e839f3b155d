package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.temporal.io/sdk/activity"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// maxBackfillEvents is from how many history events on a backfill continues as new where the instance's runs do so later.
const maxBackfillEvents = 2000

// PlanBackfill works out what a backfill is for, by the location's active snapshot and what exists now, and begins it: one
// row. Called again for the same execution it changes nothing. A request with problems is refused with all of them.
func (a *Activities) PlanBackfill(ctx context.Context, input wire.PlanBackfillInput) (wire.PlanBackfillResult, error) {
	defer keepAlive(ctx)()
	// An earlier attempt may have begun it, by definitions that are no longer the active ones.
	if begun, err := a.begunBackfill(ctx, input); begun != nil || err != nil {
		return orNothing(begun), err
	}
	definitions, _, err := a.definitions(ctx)
	if err != nil {
		return wire.PlanBackfillResult{}, err
	}
	planned, err := a.Starter.PlanBackfill(ctx, definitions, input.BackfillID, input.Request)
	if problems := wire.ProblemsOf(err); problems != nil {
		if err := a.lacks(problems, activity.GetInfo(ctx).ScheduledTime); err != nil {
			return wire.PlanBackfillResult{}, err
		}
		return wire.PlanBackfillResult{}, a.refuseBackfill(ctx, input, problems)
	}
	if err != nil {
		return wire.PlanBackfillResult{}, planFailure(fmt.Errorf("plan backfill %q: %w", input.BackfillID, err))
	}
	if input.Request.DryRun {
		dryRun, err := planned.DryRun()
		if err != nil {
			return wire.PlanBackfillResult{}, err
		}
		return wire.PlanBackfillResult{DryRun: dryRun}, nil
	}
	row := planned.Row
	row.ID, row.FirstRunID, row.Location, row.Queue = input.BackfillID, input.FirstRunID, a.Location, input.Queue
	begun, err := a.Store.BeginBackfill(ctx, row)
	if err != nil {
		return wire.PlanBackfillResult{}, planFailure(err)
	}
	if problems := begun.Problems(input.BackfillID); len(problems) > 0 {
		return wire.PlanBackfillResult{}, a.refuseBackfill(ctx, input, problems)
	}
	result, err := a.begunBackfill(ctx, input)
	return orNothing(result), err
}

func orNothing(result *wire.PlanBackfillResult) wire.PlanBackfillResult {
	if result == nil {
		return wire.PlanBackfillResult{}
	}
	return *result
}

// begunBackfill is the answer of a backfill that has begun; nil of one that has not. Another one with its id refuses it.
func (a *Activities) begunBackfill(ctx context.Context, input wire.PlanBackfillInput) (*wire.PlanBackfillResult, error) {
	row, err := a.Store.Backfill(ctx, input.BackfillID)
	if errors.Is(err, metadata.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, planFailure(err)
	}
	if row.FirstRunID != input.FirstRunID {
		return nil, a.refuseBackfill(ctx, input, wire.Problems{metadata.BackfillExists(row.ID, row.Status, row.CreatedAt)})
	}
	return &wire.PlanBackfillResult{Progress: starter.ProgressOf(row), ContinueAfter: min(a.Starter.Limits.ContinueAfter, maxBackfillEvents)}, nil
}

func (a *Activities) refuseBackfill(ctx context.Context, input wire.PlanBackfillInput, problems wire.Problems) error {
	request, err := json.Marshal(input.Request)
	if err != nil {
		return fmt.Errorf("remember the refused request of %q: %w", input.BackfillID, err)
	}
	return a.refused(ctx, wire.RefuseInput{
		WorkflowID: input.BackfillID, FirstRunID: input.FirstRunID, WorkflowType: wire.BackfillWorkflow, Input: string(request), Problems: problems,
	})
}

// definitions are the location's active ones, with the hash of their snapshot.
func (a *Activities) definitions(ctx context.Context) (starter.Definitions, string, error) {
	snapshot, hash, _, err := a.Store.ActiveSnapshot(ctx, a.Location)
	if err != nil {
		return starter.Definitions{}, "", planFailure(fmt.Errorf("read the definitions of location %q: %w", a.Location, err))
	}
	planner, err := a.planners.of(hash, snapshot, a.Runtime)
	if err != nil {
		return starter.Definitions{}, "", planFailure(err)
	}
	return starter.Definitions{Snapshot: snapshot, Planner: planner}, hash, nil
}
