package definitions_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

func TestATestOfATickReplacesOnlyWhatIsBound(t *testing.T) {
	t.Parallel()
	asset := constant("a")
	job := d.AssetJob("job", d.Assets(asset))
	opened, closed := 0, 0
	inner := d.Resource("inner", d.Bind0(func(d.Context) (int, error) {
		opened++
		return 7, nil
	}), func(int) error {
		closed++
		return nil
	})
	store := d.Resource("store", d.Bind1(plusOne, inner), d.NoClose)
	other := d.Resource("other", d.Bind0(one), d.NoClose)
	got := 0
	sensor := d.Sensor("s", []*d.Job{job}, d.Bind1(func(_ d.Context, n int) (d.Tick[int], error) {
		got = n
		return d.Tick[int]{Cursor: n}, nil
	}, store))
	schedule := d.Schedule("t", job, d.Cron{Expr: "@daily"}, d.Evaluate(noRunsOf(d.TheTick)))
	runs := d.RunFailureSensor("r", hears(d.TheRun))
	location := d.New("x", asset, job, inner, store, other, sensor, schedule, runs)

	ticked, err := d.EvaluateSensor(t.Context(), location, sensor)
	require.NoError(t, err)
	require.Equal(t, []int{8, 8, 1, 1}, []int{got, ticked.Cursor, opened, closed})
	ticked, err = d.EvaluateSensor(t.Context(), location, sensor, d.Given(inner, 1))
	require.NoError(t, err)
	require.Equal(t, []int{2, 2, 1, 1}, []int{got, ticked.Cursor, opened, closed}, "what is given is not opened")

	var never *d.SensorOf[int]
	for want, err := range map[string]error{
		`Given replaces resource "other", which sensor "s" does not bind`:                        second(d.EvaluateSensor(t.Context(), location, sensor, d.Given(other, 1))),
		`Given replaces CursorOf[int], which sensor "s" does not bind`:                           second(d.EvaluateSensor(t.Context(), location, sensor, d.Given(d.CursorOf[int](), 1))),
		`sensor "s" receives no events: leave Signal out`:                                        second(d.EvaluateSensor(t.Context(), location, sensor, d.Signal("e", "1"))),
		`schedule "t" receives no events: leave Signal out`:                                      second(d.EvaluateSchedule(t.Context(), location, schedule, atSix, d.Signal("e", "1"))),
		`EvaluateSensor is given a nil option: leave it out`:                                     second(d.EvaluateSensor(t.Context(), location, sensor, nil)),
		`Given is to replace a source that was never declared: declare it with Config`:           second(d.EvaluateSensor(t.Context(), location, sensor, d.Given((*d.ConfigOf[int])(nil), 1))),
		`DynamicKeys is given a set that was never declared: declare it with Dynamic`:            second(d.EvaluateSensor(t.Context(), location, sensor, d.DynamicKeys(nil, "a"))),
		`EvaluateSensor is given a sensor that was never declared: declare it with Sensor`:       second(d.EvaluateSensor(t.Context(), location, never)),
		`EvaluateSchedule is given a schedule that was never declared: declare it with Schedule`: second(d.EvaluateSchedule(t.Context(), location, nil, atSix)),
		`sensor "r" is called for a run: give it with Given(TheRun, …)`:                          second(d.EvaluateSensor(t.Context(), location, runs)),
		`which is not among the definitions: add it to New("y", …)`:                              second(d.EvaluateSensor(t.Context(), d.New("y", asset, job), d.Sensor("s", []*d.Job{job}, noTick(d.TheTick)))),
		`its definitions are nil`: second(d.EvaluateSensor(t.Context(), nil, sensor)),
		`schedule "t" (definitions/trigger_in_process_test.go:32), which is not among the definitions`: second(d.EvaluateSchedule(t.Context(), d.New("y"), schedule, atSix)),
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestATestOfATickFindsPartitionsThatDoNotExist(t *testing.T) {
	t.Parallel()
	names := d.Dynamic("names")
	daily, named := constant("daily", d.PartitionedBy(d.Daily("2001-01-01"))), constant("named", d.PartitionedBy(names))
	ofDaily, ofNames := d.AssetJob("of_daily", d.Assets(daily)), d.AssetJob("of_names", d.Assets(named))
	schedule := d.Schedule("t", ofDaily, d.Cron{Expr: "@daily"}, d.Evaluate(d.Bind1(func(_ d.Context, at time.Time) ([]d.RunRequest, error) {
		return []d.RunRequest{ofDaily.Request(d.ForPartition(at.Format(time.DateOnly))), ofDaily.Request(d.ForRange("2000-01-01", "2001-01-01"))}, nil
	}, d.ScheduledTime)))
	sensor := d.Sensor("s", []*d.Job{ofNames}, always(d.Tick[d.Nothing]{
		Runs:       []d.RunRequest{ofNames.Request(d.ForPartition("new")), ofNames.Request(d.ForPartition("old")), ofNames.Request(d.ForPartition("gone")), ofNames.Request(d.ForPartition("never"))},
		Partitions: []d.PartitionChange{names.Add("new"), names.Remove("gone")},
	}))
	location := d.New("x", daily, named, ofDaily, ofNames, schedule, sensor)
	_, err := d.EvaluateSchedule(t.Context(), location, schedule, atSix)
	require.ErrorContains(t, err, `runs[0] (of_daily [2001-02-03]).partition: `)
	require.ErrorContains(t, err, `runs[1] (of_daily [2000-01-01 to 2001-01-01]).range`)
	_, err = d.EvaluateSchedule(t.Context(), location, schedule, atSix, d.AsOf(atSix.AddDate(0, 0, 1)))
	require.NotContains(t, err.Error(), `runs[0]`)
	_, err = d.EvaluateSensor(t.Context(), location, sensor, d.DynamicKeys(names, "old", "gone"))
	require.ErrorContains(t, err, `runs[2] (of_names [gone]).partition: `)
	require.ErrorContains(t, err, `runs[3] (of_names [never]).partition: `)
	require.NotContains(t, err.Error(), "runs[0]")
	require.NotContains(t, err.Error(), "runs[1]")
}

func TestATestOfATickThatFails(t *testing.T) {
	t.Parallel()
	job := d.AssetJob("job", d.Assets(constantA))
	broken := errors.New("broken")
	sensor := d.Sensor("s", []*d.Job{job}, d.Bind0(func(d.Context) (d.Tick[int], error) { return d.Tick[int]{Cursor: 3}, broken }))
	ticked, err := d.EvaluateSensor(t.Context(), d.New("x", constantA, job, sensor), sensor)
	require.ErrorIs(t, err, broken)
	require.Zero(t, ticked)
}

func TestMaterializeKnowsNoTicks(t *testing.T) {
	t.Parallel()
	run := d.Materialize(t.Context(), d.New("x", constantA), d.Given(d.ScheduledTime, atSix))
	require.ErrorContains(t, run.Err(), `Given replaces ScheduledTime, which nothing in location "x" binds`)
}
