package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

type assetList struct {
	selection, location string
}

func (a *app) assetListCommand() *cobra.Command {
	var options assetList
	cmd := &cobra.Command{
		Use: "list", Short: "List assets and what is current of each",
		Long: "List the assets of all code locations: how many of its partitions are materialized, when it was last, how many rows it\n" +
			"has, where it lies, and how the last run that set out to make it fared. `perdure asset partitions ASSET` says more of\n" +
			"one that is partitioned.",
		Example: "  perdure asset list\n  perdure asset list --select 'group:delays or +report'",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listAssets(cmd.Context(), options) },
	}
	cmd.Flags().StringVar(&options.selection, "select", "", "a selection expression; default: every asset, external ones too")
	cmd.Flags().StringVar(&options.location, "location", "", "only those of this code location")
	return cmd
}

// listedAsset is one line of `asset list`, and its JSON.
type listedAsset struct {
	Asset       string   `json:"asset"`
	Location    string   `json:"location"`
	Group       string   `json:"group"`
	Kinds       []string `json:"kinds"`
	Description string   `json:"description,omitempty"`
	External    bool     `json:"external"`
	// Partitions are absent of an asset that has none.
	Partitions *assetstatus.Counts `json:"partitions,omitempty"`
	// Partition is the one that was materialized last, which the next three are about.
	Partition string `json:"partition,omitempty"`
	// Materialized is absent while nobody has made the asset.
	Materialized *time.Time `json:"materialized,omitempty"`
	Rows         *int64     `json:"rows,omitempty"`
	Where        string     `json:"where,omitempty"`
	// LastRun is the last run that set out to make it, LastStatus what came of it there.
	LastRun    string          `json:"last_run,omitempty"`
	LastStatus wire.StepStatus `json:"last_status,omitempty"`
}

func (a *app) listAssets(ctx context.Context, options assetList) error {
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	listed, several, err := collectAssets(ctx, store, options, a.env.Now())
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(listed)
	}
	if len(listed) == 0 {
		return a.print("no asset matches\n")
	}
	return a.print(a.assetTable(listed, several))
}

func collectAssets(ctx context.Context, store *metadata.Store, options assetList, now time.Time) (listed []listedAsset, several bool, err error) {
	found, err := locations(ctx, store, options.location)
	if err != nil {
		return nil, false, err
	}
	listed = []listedAsset{}
	var refused []error
	for _, location := range found {
		states, err := store.Assets(ctx, location.Location)
		if err != nil {
			return nil, false, err
		}
		if options.selection != "" {
			states, err = selectAssets(ctx, store, location.Hash, options.selection, states)
			// A name that one location does not have may be another's.
			if problems := wire.ProblemsOf(err); len(problems) > 0 && problems[0].Code == wire.CodeUnknown {
				refused = append(refused, err)
				continue
			}
			if err != nil {
				return nil, false, err
			}
		}
		counts, err := partitionCounts(ctx, store, location.Hash, states, now)
		if err != nil {
			return nil, false, err
		}
		for _, state := range states {
			one := listedAssetOf(location.Location, state)
			if count, partitioned := counts[one.Asset]; partitioned {
				one.Partitions = &count
			}
			listed = append(listed, one)
		}
	}
	if len(refused) == len(found) {
		return nil, false, refused[0]
	}
	return listed, len(found) > 1, addLastRuns(ctx, store, listed)
}

// selectAssets keeps those assets of a location that the expression selects.
func selectAssets(ctx context.Context, store *metadata.Store, hash, expression string, states []metadata.AssetState) ([]metadata.AssetState, error) {
	snapshot, err := store.Snapshot(ctx, hash)
	if err != nil {
		return nil, err
	}
	planner, err := plan.NewPlanner(snapshot, nil)
	if err != nil {
		return nil, err
	}
	keys, err := planner.Select(wire.AssetSelection{Expression: expression})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(states, func(state metadata.AssetState) bool {
		_, selected := slices.BinarySearch(keys, state.Asset.Key)
		return !selected
	}), nil
}

func listedAssetOf(location string, state metadata.AssetState) listedAsset {
	listed := listedAsset{
		Asset: state.Asset.Key, Location: location, Group: state.Asset.Group, Kinds: append([]string{}, state.Asset.Kinds...),
		Description: state.Asset.Description, External: state.Asset.External(),
	}
	if current := state.Current; current != nil {
		listed.Materialized, listed.Where = &current.At, current.Location
		listed.Partition = current.Partition
		listed.LastRun, listed.LastStatus = current.Run, wire.StepSuccess
		if rows, ok := current.Rows(); ok {
			listed.Rows = &rows
		}
	}
	return listed
}

// addLastRuns looks up runs that set out to make an asset after it was materialized last.
func addLastRuns(ctx context.Context, store *metadata.Store, listed []listedAsset) error {
	var keys []string
	for _, asset := range listed {
		if !asset.External {
			keys = append(keys, asset.Asset)
		}
	}
	last, err := store.LastRuns(ctx, keys)
	if err != nil {
		return err
	}
	steps := map[string]map[string]wire.StepStatus{} // by run and asset
	for i := range listed {
		run := last[listed[i].Asset]
		if run == "" || run == listed[i].LastRun {
			continue
		}
		if steps[run] == nil {
			all, err := allSteps(ctx, store, run)
			if err != nil {
				return err
			}
			steps[run] = statuses(all)
		}
		listed[i].LastRun, listed[i].LastStatus = run, steps[run][listed[i].Asset]
	}
	return nil
}

// statuses says by asset how its steps fared: of several the worst.
func statuses(steps []metadata.Step) map[string]wire.StepStatus {
	worst := []wire.StepStatus{
		wire.StepSuccess, wire.StepSkipped, wire.StepCanceled, wire.StepWaiting, wire.StepUpstreamFailed, wire.StepRunning, wire.StepFailed,
	}
	byAsset := map[string]wire.StepStatus{}
	for _, step := range steps {
		for _, asset := range step.Assets {
			if known, isKnown := byAsset[asset]; !isKnown || slices.Index(worst, step.Status) > slices.Index(worst, known) {
				byAsset[asset] = step.Status
			}
		}
	}
	return byAsset
}

func (a *app) assetTable(listed []listedAsset, several bool) string {
	style, clock := a.style(), a.clock()
	rows := make([][]string, len(listed))
	for i, asset := range listed {
		rows[i] = []string{
			asset.Asset, "", asset.Group, strings.Join(asset.Kinds, ", "), partitionsCell(asset.Partitions, style),
			materialized(asset, style, clock), "", asset.LastRun, style.StepStatus(asset.LastStatus), "",
		}
		if several {
			rows[i][1] = asset.Location
		}
		// Those of one partition would be taken for the asset's.
		if asset.Partitions == nil {
			rows[i][9] = asset.Where
		}
		if asset.Rows != nil && asset.Partitions == nil {
			rows[i][6] = render.Number(*asset.Rows)
		}
	}
	return style.Table([]render.Column{
		{Title: "asset"},
		{Title: "location"},
		{Title: "group"},
		{Title: "kinds"},
		{Title: "partitions"},
		{Title: "materialized"},
		{Title: "rows", Right: true},
		{Title: "last run"},
		{Title: "status"},
		{Title: "where"},
	}, rows)
}

func materialized(asset listedAsset, style render.Style, clock render.Clock) string {
	switch {
	case asset.Materialized != nil:
		return clock.Moment(*asset.Materialized)
	case asset.External:
		return style.Faint("external")
	default:
		return style.Faint("never")
	}
}

// stepPage is how many steps one query reads.
const stepPage = 1000

// allSteps are a run's steps in the order of its plan.
func allSteps(ctx context.Context, store *metadata.Store, run string) ([]metadata.Step, error) {
	var steps []metadata.Step
	for cursor := ""; ; {
		page, err := store.Steps(ctx, run, cursor, stepPage)
		if err != nil {
			return nil, fmt.Errorf("follow run %q: %w", run, err)
		}
		steps = append(steps, page.Rows...)
		if cursor = page.Next; cursor == "" {
			return steps, nil
		}
	}
}
