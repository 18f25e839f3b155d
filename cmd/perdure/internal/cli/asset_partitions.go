package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

type assetPartitions struct {
	asset, location string
	states          []string
	stale           bool
	limit           int
	cursor          string
}

func (a *app) assetPartitionsCommand() *cobra.Command {
	var options assetPartitions
	cmd := &cobra.Command{
		Use: "partitions ASSET", Short: "Show where the partitions of an asset stand", Args: arguments(cobra.ExactArgs(1)),
		Long: "Show how many partitions of an asset are materialized, running, failed and missing, and which; on a terminal also as a\n" +
			"strip in the order of the partitions, or of a grid as a matrix. --status lists single ones, with what made them or why not.\n" +
			"Stale are those of the materialized that were made by older code or from inputs that have been made anew since; of more\n" +
			"than 10,000 they are looked for with --stale only.",
		Example: "  perdure asset partitions route_delays\n  perdure asset partitions route_delays --status failed --limit 10\n" +
			"  perdure asset partitions route_delays --status stale",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.asset = args[0]
			return a.showPartitions(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&options.states, "status", nil, "list those that are "+strings.Join(stateNames(), ", "))
	flags.BoolVar(&options.stale, "stale", false, "look for stale ones among however many")
	flags.IntVar(&options.limit, "limit", 20, "with --status: how many, at most 1000")
	flags.StringVar(&options.cursor, "cursor", "", "with --status: go on where a list ended, by what it printed as next")
	flags.StringVar(&options.location, "location", "", "the code location; needed when several have an asset of this key")
	return cmd
}

func stateNames() []string {
	names := make([]string, 0, len(assetstatus.States())+1)
	for _, state := range assetstatus.States() {
		names = append(names, string(state))
	}
	return append(names, string(stale))
}

const (
	// stale is no state of its own: what is stale is materialized.
	stale assetstatus.State = "stale"
	// manyStale is among how many materialized partitions stale ones are not looked for unasked: each is looked at.
	manyStale = 10_000
)

// read checks the flags; every problem at once.
func (o assetPartitions) read() (states []assetstatus.State, offset int, err error) {
	var problems []error
	for _, text := range o.states {
		state := assetstatus.State(strings.ReplaceAll(strings.ToLower(text), "-", "_"))
		if !slices.Contains(stateNames(), string(state)) {
			problems = append(problems, usagef("--status: there is no status %q (%s)", text, wire.FixUnknown(string(state), stateNames())))
		}
		states = append(states, state)
	}
	if o.limit < 1 || o.limit > stepPage {
		problems = append(problems, usagef("--limit is %d and must be 1 to %d", o.limit, stepPage))
	}
	if o.cursor != "" {
		if offset, err = strconv.Atoi(o.cursor); err != nil || offset < 0 {
			problems = append(problems, usagef("--cursor %q is not what a list printed as next", o.cursor))
		}
		if len(states) == 0 {
			problems = append(problems, usagef("--cursor goes with --status"))
		}
	}
	return states, offset, errors.Join(problems...)
}

func (a *app) showPartitions(ctx context.Context, options assetPartitions) error {
	states, offset, err := options.read()
	if err != nil {
		return err
	}
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	found, err := findPartitioned(ctx, store, options.asset, options.location)
	if err != nil {
		return err
	}
	reader, err := assetstatus.NewReader(ctx, store, found.planner, a.env.Now())
	if err != nil {
		return err
	}
	status, err := reader.Read(ctx, options.asset)
	if err != nil {
		return err
	}
	var outdated *partition.Subset // nil when nobody looked
	if few := status.Materialized.Count() <= manyStale; options.stale || slices.Contains(states, stale) || few && len(states) == 0 {
		found, err := reader.Stale(ctx, status)
		if err != nil {
			return err
		}
		outdated = &found
	}
	switch {
	case len(states) > 0:
		return a.listOfStates(ctx, reader, status, outdated, states, offset, options.limit)
	case a.output == jsonFormat:
		return a.printJSON(shownPartitions(found.location, status, outdated))
	}
	return a.print(a.partitionsText(status, outdated))
}

// shownStatus is the JSON of `asset partitions`.
type shownStatus struct {
	Asset    string             `json:"asset"`
	Location string             `json:"location"`
	Counts   assetstatus.Counts `json:"counts"`
	// States are the ranges of partitions in each state that some are in.
	States map[assetstatus.State]partition.KeyRanges `json:"states"`
	// Stale are those of the materialized that are stale; absent when nobody looked.
	Stale *shownStale `json:"stale,omitempty"`
}

type shownStale struct {
	Count      int                 `json:"count"`
	Partitions partition.KeyRanges `json:"partitions"`
}

func shownPartitions(location string, status assetstatus.Status, outdated *partition.Subset) shownStatus {
	shown := shownStatus{Asset: status.Asset, Location: location, Counts: status.Counts(), States: map[assetstatus.State]partition.KeyRanges{}}
	for _, state := range assetstatus.States() {
		if ranges := slices.Collect(status.In(state).Ranges()); len(ranges) > 0 {
			shown.States[state] = ranges
		}
	}
	if outdated != nil {
		shown.Stale = &shownStale{outdated.Count(), append(partition.KeyRanges{}, slices.Collect(outdated.Ranges())...)}
	}
	return shown
}

func (a *app) partitionsText(status assetstatus.Status, outdated *partition.Subset) string {
	style := a.style()
	if outdated == nil {
		none := status.Set.None()
		outdated = &none
	}
	view := render.PartitionsView{
		Set: status.Set, Running: status.Running, Failed: status.In(assetstatus.Failed), UpstreamFailed: status.In(assetstatus.UpstreamFailed),
		Materialized: status.In(assetstatus.Materialized).Union(status.In(assetstatus.MaterializedFailed)),
		LastFailed:   status.In(assetstatus.MaterializedFailed),
		Stale:        *outdated,
	}
	text := style.Bold(status.Asset) + ": " + style.PartitionCounts(view) + "\n"
	if width, _, isTerminal := a.env.Terminal(a.env.Stdout); isTerminal && status.Set.Count() > 0 {
		text += "\n" + style.PartitionStrip(view, width)
	}
	if status.Set.Count() == 0 {
		var empty strings.Builder
		for _, set := range status.Set.Partitions().Dynamic() {
			empty.WriteString(a.noKeys(set))
		}
		text += empty.String()
	}
	var rows [][]string
	addRow := func(name assetstatus.State, subset partition.Subset) {
		if !subset.IsEmpty() {
			rows = append(rows, []string{string(name), render.Number(int64(subset.Count())), render.OneLine(partition.KeyRanges(slices.Collect(subset.Ranges())).String())})
		}
	}
	for _, state := range assetstatus.States() {
		addRow(state, status.In(state))
	}
	addRow(stale, *outdated)
	if len(rows) > 0 {
		text += "\n" + style.Table([]render.Column{{Title: "status"}, {Title: "count", Right: true}, {Title: "partitions"}}, rows)
	}
	return text
}

// findPartitioned is the one location that has the asset, which must be partitioned.
func findPartitioned(ctx context.Context, store *metadata.Store, asset, location string) (locationPlanner, error) {
	found, err := findAsset(ctx, store, asset, location)
	if err != nil {
		return found, err
	}
	for _, defined := range found.planner.Snapshot().Assets {
		if defined.Key == asset && defined.Partitions == nil {
			return found, fmt.Errorf("asset %q has no partitions: `perdure asset list --select %s` shows it", asset, asset)
		}
	}
	return found, nil
}

// findAsset is the one location that has the asset.
func findAsset(ctx context.Context, store *metadata.Store, asset, location string) (locationPlanner, error) {
	all, err := planners(ctx, store, location)
	if err != nil {
		return locationPlanner{}, err
	}
	var having []locationPlanner
	var where, known []string
	for _, one := range all {
		for _, defined := range one.planner.Snapshot().Assets {
			known = append(known, defined.Key)
			if defined.Key == asset {
				having, where = append(having, one), append(where, one.location)
			}
		}
	}
	switch len(having) {
	case 0:
		slices.Sort(known)
		return locationPlanner{}, fmt.Errorf("there is no asset %q (%s)", asset, wire.FixUnknown(asset, slices.Compact(known)))
	case 1:
		return having[0], nil
	default:
		return locationPlanner{}, usagef("several code locations have an asset %q: name one of %s with --location", asset, strings.Join(where, ", "))
	}
}
