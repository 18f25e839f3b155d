package definitions_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/partition"
)

// TestAPartitionedScheduleRunsEachPartitionOnce follows a schedule from tick to tick over changes of the clocks: it runs every
// window that ends in that time, each once and in order, however much later than its end.
func TestAPartitionedScheduleRunsEachPartitionOnce(t *testing.T) {
	t.Parallel()
	type at = d.PartitionedScheduleOption
	for name, test := range map[string]struct {
		by      func(start string) *d.TimePartitions
		days    int
		options [][]at
	}{
		"hourly":            {d.Hourly, 20, [][]at{nil, {d.AtMinute(10)}}},
		"daily":             {d.Daily, 400, [][]at{nil, {d.AtHour(1)}, {d.AtHour(2), d.AtMinute(30)}, {d.AtHour(3)}}},
		"weekly":            {d.Weekly, 400, [][]at{nil, {d.OnWeekday(time.Sunday), d.AtHour(2)}, {d.OnWeekday(time.Tuesday)}}},
		"monthly":           {d.Monthly, 800, [][]at{nil, {d.OnDay(2), d.AtHour(2)}}},
		"every Sunday at 2": {func(start string) *d.TimePartitions { return d.CronPartitions("0 2 * * SUN", start) }, 400, [][]at{nil}},
	} {
		for _, zone := range []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Europe/Berlin"} {
			for i, options := range test.options {
				t.Run(name+" in "+zone, func(t *testing.T) {
					t.Parallel()
					location, err := time.LoadLocation(zone)
					require.NoError(t, err)
					// It begins before a change of the clocks in each of the zones.
					from := time.Date(2001, time.March, 20, 0, 0, 0, 0, location)
					if zone == "America/New_York" || name == "hourly" && i == 1 {
						from = time.Date(2001, time.October, 20, 0, 0, 0, 0, location)
					}
					by := test.by("2001-01-01").InZone(zone)
					asset := constant("a", d.PartitionedBy(by))
					job := d.AssetJob("job", d.Assets(asset))
					runtime := runtimeOf(t, asset, job, d.PartitionedSchedule("s", job, options...))
					schedule := runtime.Snapshot().Schedules[0]
					cron, err := partition.ParseCron(schedule.Crons[0])
					require.NoError(t, err)

					var ran []string
					until := from.AddDate(0, 0, test.days)
					for tick, ok := cron.Next(from, location); ok && tick.Before(until); tick, ok = cron.Next(tick, location) {
						evaluated, err := runtime.EvaluateSchedule(t.Context(), "s", d.Evaluation{ScheduledAt: tick})
						require.NoError(t, err)
						require.Len(t, evaluated.Runs, 1, "%s: %s", tick, evaluated.Skip)
						ran = append(ran, evaluated.Runs[0].RunKey)
					}
					compiled, err := partition.New(*runtime.Snapshot().Assets[0].Partitions)
					require.NoError(t, err)
					all := slices.Collect(compiled.At(until, nil).All().Keys())
					first := slices.Index(all, ran[0])
					require.GreaterOrEqual(t, first, 0)
					require.Equal(t, all[first:first+len(ran)], ran)
					require.GreaterOrEqual(t, first+len(ran), len(all)-1, "the last one may be run after the time that is looked at")
				})
			}
		}
	}
}
