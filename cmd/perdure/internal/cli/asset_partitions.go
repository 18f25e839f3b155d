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
	limit           int
	cursor          string
}

func (a *app) assetPartitionsCommand() *cobra.Command {
	var options assetPartitions
	cmd := &cobra.Command{
		Use: "partitions ASSET", Short: "Show where the partitions of an asset stand", Args: arguments(cobra.ExactArgs(1)),
		Long: "Show how many partitions of an asset are materialized, running, failed and missing, and which; on a terminal also as a\n" +
			"strip in the order of the partitions, or of a grid as a matrix. --status lists single ones, with what made them or why not.",
		Example: "  perdure asset partitions route_delays\n  perdure asset partitions route_delays --status failed --limit 10",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.asset = args[0]
			return a.showPartitions(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&options.states, "status", nil, "list those that are "+strings.Join(stateNames(), ", "))
	flags.IntVar(&options.limit, "limit", 20, "with --status: how many, at most 1000")
	flags.StringVar(&options.cursor, "cursor", "", "with --status: go on where a list ended, by what it printed as next")
	flags.StringVar(&options.location, "location", "", "the code location; needed when several have an asset of this key")
	return cmd
}

func stateNames() []string {
	names := make([]string, len(assetstatus.States()))
	for i, state := range assetstatus.States() {
		names[i] = string(state)
	}
	return names
}

// read checks the flags; every problem at once.
func (o assetPartitions) read() (states []assetstatus.State, offset int, err error) {
	var problems []error
	for _, text := range o.states {
		state := assetstatus.State(strings.ReplaceAll(strings.ToLower(text), "-", "_"))
		if !slices.Contains(assetstatus.States(), state) {
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
	if len(states) > 0 {
		return a.listOfStates(ctx, reader, status, states, offset, options.limit)
	}
	if a.output == jsonFormat {
		return a.printJSON(shownPartitions(found.location, status))
	}
	return a.print(a.partitionsText(status))
}

// shownStatus is the JSON of `asset partitions`.
type shownStatus struct {
	Asset    string             `json:"asset"`
	Location string             `json:"location"`
	Counts   assetstatus.Counts `json:"counts"`
	// States are the ranges of partitions in each state that some are in.
	States map[assetstatus.State]partition.KeyRanges `json:"states"`
}

func shownPartitions(location string, status assetstatus.Status) shownStatus {
	shown := shownStatus{Asset: status.Asset, Location: location, Counts: status.Counts(), States: map[assetstatus.State]partition.KeyRanges{}}
	for _, state := range assetstatus.States() {
		if ranges := slices.Collect(status.In(state).Ranges()); len(ranges) > 0 {
			shown.States[state] = ranges
		}
	}
	return shown
}

func (a *app) partitionsText(status assetstatus.Status) string {
	style := a.style()
	view := render.PartitionsView{
		Set: status.Set, Running: status.Running, Failed: status.In(assetstatus.Failed), UpstreamFailed: status.In(assetstatus.UpstreamFailed),
		Materialized: status.In(assetstatus.Materialized).Union(status.In(assetstatus.MaterializedFailed)),
		LastFailed:   status.In(assetstatus.MaterializedFailed),
	}
	text := style.Bold(status.Asset) + ": " + style.PartitionCounts(view) + "\n"
	if width, _, isTerminal := a.env.Terminal(a.env.Stdout); isTerminal && status.Set.Count() > 0 {
		text += "\n" + style.PartitionStrip(view, width)
	}
	var rows [][]string
	for _, state := range assetstatus.States() {
		if subset := status.In(state); !subset.IsEmpty() {
			rows = append(rows, []string{string(state), render.Number(int64(subset.Count())), render.OneLine(partition.KeyRanges(slices.Collect(subset.Ranges())).String())})
		}
	}
	if len(rows) > 0 {
		text += "\n" + style.Table([]render.Column{{Title: "status"}, {Title: "count", Right: true}, {Title: "partitions"}}, rows)
	}
	return text
}

// listedPartitions is the JSON of `asset partitions --status`.
type listedPartitions struct {
	Asset string                  `json:"asset"`
	Rows  []assetstatus.Partition `json:"rows"`
	// Next is the cursor of the next page; "" after the last one.
	Next string `json:"next,omitempty"`
}

func (a *app) listOfStates(ctx context.Context, reader *assetstatus.Reader, status assetstatus.Status, states []assetstatus.State, offset, limit int) error {
	wanted := status.Set.None()
	for _, state := range states {
		wanted = wanted.Union(status.In(state))
	}
	page, err := reader.Page(ctx, status, wanted, offset, limit)
	if err != nil {
		return err
	}
	listed := listedPartitions{Asset: status.Asset, Rows: append([]assetstatus.Partition{}, page...)}
	if next := offset + len(page); next < wanted.Count() {
		listed.Next = strconv.Itoa(next)
	}
	if a.output == jsonFormat {
		return a.printJSON(listed)
	}
	if len(page) == 0 {
		return a.print("no partition matches\n")
	}
	rows := make([][]string, len(page))
	for i, one := range page {
		rows[i] = append([]string{render.OneLine(one.Partition), string(one.State)}, a.partitionRemarks(one.PartitionDetail)...)
	}
	text := a.style().Table([]render.Column{
		{Title: "partition"},
		{Title: "status"},
		{Title: "materialized"},
		{Title: "rows", Right: true},
		{Title: "run"},
		{Title: "remark"},
	}, rows)
	if listed.Next != "" {
		text += fmt.Sprintf("\n%s of %s; next: --cursor %s\n", render.Number(int64(len(page))), render.Number(int64(wanted.Count())), listed.Next)
	}
	return a.print(text)
}

// partitionRemarks are the cells of what made a partition, and of what went wrong since.
func (a *app) partitionRemarks(detail metadata.PartitionDetail) []string {
	at, rows, run, remark := "", "", "", ""
	if current := detail.Current; current != nil {
		at, run = a.clock().Moment(current.At), current.Run
		if count, ok := current.Rows(); ok {
			rows = render.Number(count)
		}
		if run == "" {
			remark = "reported"
		}
	}
	if failure := detail.Failure; failure != nil {
		run = failure.Run
		if remark = a.style().Red(render.OneLine(failure.Message)); failure.Upstream {
			remark = fmt.Sprintf("%s failed: %s", failure.Step, render.OneLine(failure.Message))
		}
	}
	return []string{at, rows, run, remark}
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
