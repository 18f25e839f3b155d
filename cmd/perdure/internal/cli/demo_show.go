package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// show prints what the run made, and how to look at it.
func (d *demonstration) show(ctx context.Context, run string, killed bool) error {
	store := d.session.Store
	states, err := store.Assets(ctx, d.location)
	if err != nil {
		return err
	}
	steps, err := allSteps(ctx, store, run)
	if err != nil {
		return err
	}
	made, err := materializations(ctx, store, run)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("\n" + d.assets(states, steps, made))
	tables, err := d.tables(made)
	if err != nil {
		return err
	}
	b.WriteString(tables)
	wrong := checkOnce(steps, made)
	if killed && len(wrong) == 0 {
		fmt.Fprintf(&b, "\n%s each of the %d assets has exactly one materialization of this run\n", d.app.style().Green("✓"), len(made))
	}
	dev := "dev --state " + demoState + " " + d.dir
	fmt.Fprintf(&b, "\nTo open this run in Temporal's Web UI, start the stack again and follow the link:\n\n  %s %s\n  %s\n", d.app.env.Program, dev, link(d.settings, run))
	if err := d.app.print(b.String()); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("assets were not materialized exactly once:\n  %s", strings.Join(wrong, "\n  "))
	}
	return nil
}

// assets is the table of what was made: by group, with rows, the time of the step that made it, and where it lies.
func (d *demonstration) assets(states []metadata.AssetState, steps []metadata.Step, made []metadata.Materialization) string {
	clock, style := d.app.clock(), d.app.style()
	durations := map[string]string{}
	for _, step := range steps {
		for _, asset := range step.Assets {
			durations[asset] = render.StepDuration(step, clock)
		}
	}
	groups := map[string]string{}
	for _, state := range states {
		groups[state.Asset.Key] = state.Asset.Group
	}
	made = slices.Clone(made)
	slices.SortFunc(made, func(a, b metadata.Materialization) int {
		if byGroup := strings.Compare(groups[a.Asset], groups[b.Asset]); byGroup != 0 {
			return byGroup
		}
		return strings.Compare(a.Asset, b.Asset)
	})
	rows := make([][]string, len(made))
	for i, one := range made {
		rows[i] = []string{groups[one.Asset], one.Asset, "", durations[one.Asset], d.where(one.Location)}
		if count, ok := one.Rows(); ok {
			rows[i][2] = render.Number(count)
		}
	}
	return style.Table([]render.Column{{Title: "group"}, {Title: "asset"}, {Title: "rows", Right: true}, {Title: "time", Right: true}, {Title: "where"}}, rows)
}

// where is a place as people in this folder would open it.
func (d *demonstration) where(location string) string {
	if path, isFile := strings.CutPrefix(location, "file://"); isFile {
		return d.app.env.shown(path)
	}
	return location
}

// tables are those that assets report as metadata.
func (d *demonstration) tables(made []metadata.Materialization) (string, error) {
	style := d.app.style()
	var b strings.Builder
	for _, one := range slices.Backward(made) {
		for _, fact := range one.Metadata {
			if fact.Type != wire.MetadataTable {
				continue
			}
			table, err := style.MetadataTable(fact)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "\n%s: %s\n\n%s", style.Bold(one.Asset), fact.Label, table)
		}
	}
	return b.String(), nil
}

// queue is the location's task queue.
func (l *local) queue() string { return wire.Queue(l.settings.Deployment, l.location) }
