package cli

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// show prints what was made, and how to look at it.
func (d *demonstration) show(ctx context.Context, made demonstrated, killed bool) error {
	states, err := d.session.Store.Assets(ctx, d.location)
	if err != nil {
		return err
	}
	all, err := d.summarize(ctx, made, states)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("\n" + d.assets(all))
	tables, err := d.tables(all)
	if err != nil {
		return err
	}
	b.WriteString(tables)
	wrong := checkOnce(all, made)
	if killed && len(wrong) == 0 {
		what := fmt.Sprintf("each of the %d assets has", len(all))
		if made.targeted != nil {
			what = fmt.Sprintf("each of the %s of %d assets has", render.Count(materializedIn(all), "partition"), len(all))
		}
		fmt.Fprintf(&b, "\n%s %s exactly one materialization of this %s\n", d.app.style().Green("✓"), what, made.kind())
	}
	dev := "dev --state " + demoState + " " + d.dir
	fmt.Fprintf(&b, "\nTo open this %s in Temporal's Web UI, start the stack again and follow the link:\n\n  %s %s\n  %s\n",
		made.kind(), d.app.env.Program, dev, link(d.settings, made.id))
	if err := d.app.print(b.String()); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("assets were not materialized exactly once:\n  %s", strings.Join(wrong, "\n  "))
	}
	return nil
}

// kind is what was started, in a message.
func (m demonstrated) kind() string {
	if m.targeted != nil {
		return "backfill"
	}
	return "run"
}

// madeAsset is what became of an asset.
type madeAsset struct {
	key, group string
	// times says how often each of its partitions was materialized, "" of one that is not partitioned.
	times map[string]int
	rows  int64
	// counted is whether any of its materializations tells its rows.
	counted  bool
	duration time.Duration
	// last was materialized last.
	last metadata.Materialization
}

// summarize adds up what the runs made, by group and key.
func (d *demonstration) summarize(ctx context.Context, made demonstrated, states []metadata.AssetState) ([]madeAsset, error) {
	groups := map[string]string{}
	for _, state := range states {
		groups[state.Asset.Key] = state.Asset.Group
	}
	byKey := map[string]*madeAsset{}
	asset := func(key string) *madeAsset {
		if byKey[key] == nil {
			byKey[key] = &madeAsset{key: key, group: groups[key], times: map[string]int{}}
		}
		return byKey[key]
	}
	for _, run := range made.runs {
		steps, err := allSteps(ctx, d.session.Store, run)
		if err != nil {
			return nil, err
		}
		for _, step := range steps {
			for _, key := range step.Assets {
				asset(key).duration += step.EndedAt.Sub(step.StartedAt)
			}
		}
		found, err := materializations(ctx, d.session.Store, run)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			sum := asset(one.Asset)
			sum.times[one.Partition]++
			if count, ok := one.Rows(); ok {
				sum.rows, sum.counted = sum.rows+count, true
			}
			if one.Position > sum.last.Position {
				sum.last = one
			}
		}
	}
	all := make([]madeAsset, 0, len(byKey))
	for _, one := range byKey {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b madeAsset) int {
		if byGroup := strings.Compare(a.group, b.group); byGroup != 0 {
			return byGroup
		}
		return strings.Compare(a.key, b.key)
	})
	return all, nil
}

// materializations are all of a run's.
func materializations(ctx context.Context, store *metadata.Store, run string) ([]metadata.Materialization, error) {
	var all []metadata.Materialization
	for cursor := ""; ; {
		page, err := store.Materializations(ctx, metadata.MaterializationFilter{Run: run}, cursor, stepPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Rows...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// runsOf are the runs of a backfill.
func runsOf(ctx context.Context, store *metadata.Store, backfill string) ([]string, error) {
	var ids []string
	for cursor := ""; ; {
		page, err := store.Runs(ctx, metadata.RunFilter{Backfill: backfill}, cursor, stepPage)
		if err != nil {
			return nil, err
		}
		for _, run := range page.Rows {
			ids = append(ids, run.ID)
		}
		if cursor = page.Next; cursor == "" {
			return ids, nil
		}
	}
}

// checkOnce says what is wrong with the materializations: there must be exactly one of each asset and partition.
func checkOnce(all []madeAsset, made demonstrated) []string {
	var wrong []string
	for _, asset := range all {
		switch {
		case made.targeted != nil && len(asset.times) != made.targeted[asset.key]:
			wrong = append(wrong, fmt.Sprintf("%d of %d partitions of %s have a materialization of this backfill", len(asset.times), made.targeted[asset.key], asset.key))
		case len(asset.times) == 0:
			wrong = append(wrong, fmt.Sprintf("%s has no materialization of this run", asset.key))
		}
		for partition, times := range asset.times {
			if times != 1 {
				wrong = append(wrong, fmt.Sprintf("%s %s has %d materializations of this %s", asset.key, partition, times, made.kind()))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func materializedIn(all []madeAsset) int {
	count := 0
	for _, asset := range all {
		count += len(asset.times)
	}
	return count
}

// assets is the table of what was made: by group, with partitions, rows, the time of the steps that made it, and where it lies.
func (d *demonstration) assets(all []madeAsset) string {
	sliced := slices.ContainsFunc(all, func(a madeAsset) bool { return a.last.Partition != "" })
	columns := []render.Column{{Title: "group"}, {Title: "asset"}}
	if sliced {
		columns = append(columns, render.Column{Title: "partitions", Right: true})
	}
	columns = append(columns, render.Column{Title: "rows", Right: true}, render.Column{Title: "time", Right: true}, render.Column{Title: "where"})
	rows := make([][]string, len(all))
	for i, asset := range all {
		rows[i] = []string{asset.group, asset.key}
		partitions, count := "", ""
		if asset.last.Partition != "" {
			partitions = render.Number(int64(len(asset.times)))
		}
		if asset.counted {
			count = render.Number(asset.rows)
		}
		if sliced {
			rows[i] = append(rows[i], partitions)
		}
		rows[i] = append(rows[i], count, render.Duration(asset.duration), d.where(asset.last))
	}
	return d.app.style().Table(columns, rows)
}

// where is a place as people in this folder would open it; of a partition, the place of them all.
func (d *demonstration) where(made metadata.Materialization) string {
	if file, isFile := strings.CutPrefix(made.Location, "file://"); isFile {
		if made.Partition != "" {
			return d.app.env.shown(path.Dir(path.Dir(file))) + "/"
		}
		return d.app.env.shown(file)
	}
	place, err := url.Parse(made.Location)
	if err != nil {
		return made.Location
	}
	query := place.Query()
	query.Del("partition")
	place.RawQuery = query.Encode()
	return place.String()
}

// tables are those that assets report as metadata.
func (d *demonstration) tables(all []madeAsset) (string, error) {
	style := d.app.style()
	var b strings.Builder
	for _, asset := range all {
		for _, fact := range asset.last.Metadata {
			if fact.Type != wire.MetadataTable {
				continue
			}
			table, err := style.MetadataTable(fact)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "\n%s: %s\n\n%s", style.Bold(asset.key), fact.Label, table)
		}
	}
	return b.String(), nil
}

// queue is the location's task queue.
func (l *local) queue() string { return wire.Queue(l.settings.Deployment, l.location) }
