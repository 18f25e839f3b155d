package definitions_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

type (
	siteConfig struct {
		Pages int
		Site  string
	}
	pageConfig struct{ Count int }
	siteOnly   struct{ Site string }
)

func pagesOf(c siteConfig) pageConfig { return pageConfig{c.Pages} }
func siteOf(c siteConfig) siteOnly    { return siteOnly{c.Site} }

func count(_ d.Context, c pageConfig) (int, error) { return c.Count, nil }
func visit(_ d.Context, n int, c siteOnly) (string, error) {
	return fmt.Sprintf("%s:%d", c.Site, n), nil
}

// crawl is a graph whose config is made into those of its two ops.
func crawl(name string, outer *d.ConfigOf[siteConfig]) *d.Value[string] {
	inner, site := d.Config(pageConfig{7}), d.Config(siteOnly{"none"})
	return d.GraphOf(name, func() *d.Value[string] {
		pages := d.Op("count", d.Bind1(count, inner))
		return d.Op("visit", d.Bind2(visit, pages, site))
	}, d.MapConfig(outer, inner, pagesOf), d.MapConfig(outer, site, siteOf))
}

func TestConfigOfAGraphIsMappedToItsOps(t *testing.T) {
	t.Parallel()
	outer := d.Config(siteConfig{Pages: 2, Site: "a.example"})
	visited := crawl("crawl", outer)
	job := d.OpJob("job", []d.AnyValue{visited})
	asset := d.GraphAsset("asset", visited)
	location := d.New("x", job, asset)

	snapshot, err := location.Snapshot()
	require.NoError(t, err)
	require.Equal(t, []string{"asset.crawl", "crawl"}, []string{snapshot.Graphs[0].Name, snapshot.Graphs[1].Name})
	for _, c := range snapshot.Computes {
		require.Nil(t, c.Config, c.Name)
	}
	require.Equal(t, "asset.crawl", snapshot.Computes[0].ConfigUnder)
	require.Equal(t, "crawl", snapshot.Computes[3].ConfigUnder)

	run := d.RunJob(t.Context(), location, job)
	require.NoError(t, run.Err())
	require.Equal(t, "a.example:2", valueOf(t, run, visited))

	run = d.RunJob(t.Context(), location, job, d.RunConfig(`{"ops":{"crawl":{"pages":5}}}`))
	require.NoError(t, run.Err())
	require.Equal(t, "a.example:5", valueOf(t, run, visited))

	run = d.RunJob(t.Context(), location, job, d.Configure(outer, siteConfig{3, "b.example"}))
	require.NoError(t, run.Err())
	require.Equal(t, "b.example:3", valueOf(t, run, visited))

	run = d.Materialize(t.Context(), location, d.Configure(outer, siteConfig{4, "c.example"}))
	require.NoError(t, run.Err())
	require.Equal(t, "c.example:4", valueOf(t, run, asset))

	run = d.RunJob(t.Context(), location, job, d.Given(outer, siteConfig{9, "d.example"}))
	require.NoError(t, run.Err())
	require.Equal(t, "d.example:9", valueOf(t, run, visited))

	run = d.RunJob(t.Context(), location, job, d.RunConfig(`{"ops":{"crawl.count":{"count":5}}}`))
	require.ErrorContains(t, run.Err(), "crawl.count")
	run = d.RunJob(t.Context(), location, job, d.RunConfig(`{"ops":{"crawl":{"pages":"many"}}}`))
	require.ErrorContains(t, run.Err(), "config.ops.crawl.pages: must be a whole number")
}

func TestConfigIsMappedThroughNestedGraphs(t *testing.T) {
	t.Parallel()
	type all struct{ Pages int }
	whole, site := d.Config(all{11}), d.Config(siteConfig{Pages: 1, Site: "x"})
	visited := d.GraphOf("outer", func() *d.Value[string] { return crawl("crawl", site) },
		d.MapConfig(whole, site, func(c all) siteConfig { return siteConfig{c.Pages, "mapped"} }))
	run := runOf(t, visited)
	require.NoError(t, run.Err())
	require.Equal(t, "mapped:11", valueOf(t, run, visited))
	snapshot, err := d.New("x", d.OpJob("job", []d.AnyValue{visited})).Snapshot()
	require.NoError(t, err)
	require.Len(t, snapshot.Graphs, 1, "the inner graph takes none any more")
	require.Equal(t, "outer", snapshot.Graphs[0].Name)
}

func TestPanicOfAConfigMappingFailsTheStep(t *testing.T) {
	t.Parallel()
	outer, inner := d.Config(siteConfig{}), d.Config(pageConfig{})
	pages := d.GraphOf("crawl", func() *d.Value[int] { return d.Op("count", d.Bind1(count, inner)) },
		d.MapConfig(outer, inner, func(siteConfig) pageConfig { panic("no pages") }))
	require.ErrorContains(t, runOf(t, pages).Err(), `crawl.count failed (attempt 1): load config: make it of the config of graph "crawl": panic: no pages`)
}

func TestConfigOfOps(t *testing.T) {
	t.Parallel()
	config := d.Config(pageConfig{1})
	first := d.Op("first", d.Bind1(count, config))
	second := d.Op("second", d.Bind2(func(_ d.Context, n int, c pageConfig) (int, error) { return n + c.Count, nil }, first, config))
	job := d.OpJob("job", []d.AnyValue{second}, d.Configure(config, pageConfig{10}))
	location := d.New("x", job)
	run := d.RunJob(t.Context(), location, job)
	require.NoError(t, run.Err())
	require.Equal(t, 20, valueOf(t, run, second))
	run = d.RunJob(t.Context(), location, job, d.RunConfig(`{"ops":{"first":{"count":1}}}`))
	require.NoError(t, run.Err())
	require.Equal(t, 11, valueOf(t, run, second), "what a run gives lies over the job's")
	run = d.RunJob(t.Context(), location, job, d.Configure(config, pageConfig{3}))
	require.NoError(t, run.Err())
	require.Equal(t, 6, valueOf(t, run, second))
	run = d.RunJob(t.Context(), location, job, d.RunConfig(`{"ops":{"furst":{"count":1}}}`))
	require.ErrorContains(t, run.Err(), "furst")
}
