package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) partitionCommand() *cobra.Command {
	cmd := group("partition", "List, add and remove keys of dynamic partition sets",
		"List, add and remove the keys of dynamic partition sets, which grow and shrink while the system runs. A set belongs to\n"+
			"the deployment: every asset that names it has its keys, in the order in which they were added. What has changed counts\n"+
			"for the next run. `perdure asset partitions ASSET` shows the partitions of an asset of any kind.")
	cmd.AddCommand(a.partitionListCommand(), a.partitionAddCommand(), a.partitionRemoveCommand())
	return cmd
}

type partitionList struct {
	set, cursor string
	limit       int
}

func (a *app) partitionListCommand() *cobra.Command {
	var options partitionList
	cmd := &cobra.Command{
		Use: "list [SET]", Short: "List the dynamic sets, or the keys of one", Args: arguments(cobra.MaximumNArgs(1)),
		Long:    "List the dynamic sets that code locations have or that have keys, or the keys of one in the order in which they were added.",
		Example: "  perdure partition list\n  perdure partition list airports --limit 10",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.set = strings.Join(args, "")
			return a.listPartitions(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&options.limit, "limit", 100, "how many keys, at most 1000")
	flags.StringVar(&options.cursor, "cursor", "", "go on where a list ended, by what it printed as next")
	return cmd
}

func (a *app) listPartitions(ctx context.Context, options partitionList) error {
	if options.limit < 1 || options.limit > stepPage {
		return usagef("--limit is %d and must be 1 to %d", options.limit, stepPage)
	}
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	if options.set == "" {
		return a.listSets(ctx, store)
	}
	page, err := store.DynamicPartitions(ctx, options.set, options.cursor, options.limit)
	if err != nil {
		return err
	}
	nothing := ""
	if len(page.Rows) == 0 {
		if nothing, err = a.nothingOf(ctx, store, options.set); err != nil {
			return err
		}
	}
	switch {
	case a.output == jsonFormat:
		return a.printJSON(page)
	case nothing != "":
		return a.print(nothing)
	}
	rows := make([][]string, len(page.Rows))
	for i, row := range page.Rows {
		rows[i] = []string{render.OneLine(row.Key), a.clock().Moment(row.AddedAt)}
	}
	text := a.style().Table([]render.Column{{Title: "key"}, {Title: "added"}}, rows)
	if page.Next != "" {
		text += "\nnext: --cursor " + page.Next + "\n"
	}
	return a.print(text)
}

func (a *app) listSets(ctx context.Context, store *metadata.Store) error {
	sets, err := dynamicSets(ctx, store)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(sets)
	}
	if len(sets) == 0 {
		return a.print("no code location has a dynamic partition set\n")
	}
	rows := make([][]string, len(sets))
	for i, set := range sets {
		rows[i] = []string{set.Name, render.Number(int64(set.Count))}
	}
	return a.print(a.style().Table([]render.Column{{Title: "set"}, {Title: "keys", Right: true}}, rows))
}

// dynamicSets are those that an active definition names, and those that have keys.
func dynamicSets(ctx context.Context, store *metadata.Store) ([]metadata.DynamicSet, error) {
	sets, err := store.DynamicSets(ctx)
	if err != nil {
		return nil, err
	}
	all, err := store.Locations(ctx)
	if err != nil {
		return nil, err
	}
	sets = append([]metadata.DynamicSet{}, sets...)
	for _, location := range all {
		snapshot, err := store.Snapshot(ctx, location.Hash)
		if err != nil {
			return nil, err
		}
		planner, err := plan.NewPlanner(snapshot, nil)
		if err != nil {
			return nil, err
		}
		for _, name := range planner.DynamicSets() {
			if !slices.ContainsFunc(sets, func(set metadata.DynamicSet) bool { return set.Name == name }) {
				sets = append(sets, metadata.DynamicSet{Name: name})
			}
		}
	}
	slices.SortFunc(sets, func(a, b metadata.DynamicSet) int { return strings.Compare(a.Name, b.Name) })
	return sets, nil
}

// nothingOf says why no keys of a set are listed. One that there is not is an error.
func (a *app) nothingOf(ctx context.Context, store *metadata.Store, set string) (string, error) {
	sets, err := dynamicSets(ctx, store)
	if err != nil {
		return "", err
	}
	names := make([]string, len(sets))
	for i, known := range sets {
		names[i] = known.Name
		if known.Name == set && known.Count > 0 {
			return "there are no more keys\n", nil
		}
	}
	if !slices.Contains(names, set) {
		return "", fmt.Errorf("there is no dynamic partition set %q (%s)", set, wire.FixUnknown(set, names))
	}
	return a.noKeys(set), nil
}

// noKeys says that a set has no keys, and how it gets some.
func (a *app) noKeys(set string) string {
	return fmt.Sprintf("the set %q has no keys: `%s partition add %s KEY` adds one\n", set, a.env.Program, set)
}

func (a *app) partitionAddCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "add SET KEY...", Short: "Add keys to a dynamic set", Args: arguments(cobra.MinimumNArgs(2)),
		Long: "Add keys to a dynamic set, behind those that it has. A key that it has already stays where it is. Who called this, and\n" +
			"--why, are recorded.",
		Example: "  perdure partition add airports RNO SMF --why 'new routes'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changePartitions(cmd.Context(), a.partitionChange(args, why), (*starter.Starter).AddPartitions, "added", "there already")
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "why, for people")
	return cmd
}

func (a *app) partitionRemoveCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "remove SET KEY...", Short: "Remove keys from a dynamic set", Args: arguments(cobra.MinimumNArgs(2)),
		Long: "Remove keys from a dynamic set: their partitions exist no more. What was made of them stays recorded, and counts again\n" +
			"when they are added again; `perdure asset wipe` removes it. Who called this, and --why, are recorded.",
		Example: "  perdure partition remove airports RNO --why 'closed'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changePartitions(cmd.Context(), a.partitionChange(args, why), (*starter.Starter).RemovePartitions, "removed", "not there")
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "why, for people")
	return cmd
}

func (a *app) partitionChange(args []string, why string) metadata.PartitionChange {
	return metadata.PartitionChange{Name: args[0], Keys: args[1:], Who: a.env.User, Why: why}
}

type changePartitions func(*starter.Starter, context.Context, metadata.PartitionChange) (metadata.PartitionsChanged, error)

func (a *app) changePartitions(ctx context.Context, change metadata.PartitionChange, do changePartitions, done, undone string) error {
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	changed, err := do(&starter.Starter{Store: store, Deployment: settings.Deployment}, ctx, change)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(changed)
	}
	text := fmt.Sprintf("%s: %s %s", change.Name, render.Count(len(changed.Changed), "key"), done)
	if len(changed.Unchanged) > 0 {
		text += fmt.Sprintf(", %s %s: %s", render.Number(int64(len(changed.Unchanged))), undone, strings.Join(changed.Unchanged, ", "))
	}
	return a.print(text + "\n")
}
