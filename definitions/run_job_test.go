package definitions_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

func TestGivenReplacesOps(t *testing.T) {
	t.Parallel()
	bad := d.Op("bad", d.Bind0(fail))
	pages := d.FanOut("pages", d.Bind1(func(d.Context, int) ([]d.Keyed[int], error) { return nil, errors.New("not called") }, bad))
	counts := doubled("count", pages)
	sum := d.Op("sum", d.Bind1(total, d.Collect(counts)))
	last := d.Op("last", d.Bind1(plusOne, sum))
	job := d.OpJob("job", []d.AnyValue{last})
	location := d.New("x", job)

	run := d.RunJob(t.Context(), location, job, d.GivenFan(pages, d.Keyed[int]{Key: "x", Value: 5}, d.Keyed[int]{Key: "y", Value: 6}))
	require.NoError(t, run.Err())
	require.Equal(t, 23, valueOf(t, run, last))
	require.Empty(t, run.OpStatus(bad), "what only the given op needs does not run")

	run = d.RunJob(t.Context(), location, job, d.Given(sum, 1))
	require.NoError(t, run.Err())
	require.Equal(t, 2, valueOf(t, run, last))
	require.Empty(t, run.OpStatus(pages))

	run = d.RunJob(t.Context(), location, job, d.Given(d.Collect(counts), []int{7}))
	require.NoError(t, run.Err())
	require.Equal(t, 8, valueOf(t, run, last))

	run = d.RunJob(t.Context(), location, job, d.GivenFan(counts))
	require.ErrorContains(t, run.Err(), `GivenFan is to replace what a Map makes of "pages"`)
	run = d.RunJob(t.Context(), location, job, d.Given(d.Op("other", d.Bind0(one)), 1))
	require.ErrorContains(t, run.Err(), `Given replaces op "other", which nothing in location "x" binds`)
	run = d.RunJob(t.Context(), d.New("x"), job)
	require.ErrorContains(t, run.Err(), `RunJob is given job "job"`)
	run = d.RunJob(t.Context(), location, job, d.Only())
	require.ErrorContains(t, run.Err(), "RunJob is given Only")
	run = d.RunJob(t.Context(), location, nil)
	require.ErrorContains(t, run.Err(), "RunJob is given a job that was never declared")
}

func TestRunJobRunsAssetJobs(t *testing.T) {
	t.Parallel()
	a := constant("a")
	b := d.Asset("b", d.Bind1(plusOne, a))
	c := d.Asset("c", d.Bind1(plusOne, b))
	job := d.AssetJob("job", d.Assets(b).Downstream())
	location := d.New("x", a, b, c, job)
	run := d.RunJob(t.Context(), location, job, d.Given(a, 5))
	require.NoError(t, run.Err())
	require.Equal(t, []string{"b", "c"}, run.Materialized())
	require.Equal(t, 7, valueOf(t, run, c))
	run = d.RunJob(t.Context(), location, job, d.Given(b, 5))
	require.NoError(t, run.Err())
	require.Equal(t, []string{"c"}, run.Materialized())
	run = d.RunJob(t.Context(), location, job)
	require.ErrorContains(t, run.Err(), `asset "b" loads asset "a"`)
}
