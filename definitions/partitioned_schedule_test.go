package definitions_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

func TestWhatAPartitionedScheduleRuns(t *testing.T) {
	t.Parallel()
	regions, names := d.Static("east", "west"), d.Dynamic("names")
	newYork := d.Daily("2001-01-01").InZone("America/New_York")
	everyday := d.Cron{Expr: "30 6 * * *", Zone: "Europe/Berlin"}
	for name, test := range map[string]struct {
		by      d.Partitions
		options []d.PartitionedScheduleOption
		cron    string
		at      string
		want    string
		skip    string
	}{
		"days":                    {by: newYork, cron: "0 0 * * * America/New_York", at: "2001-02-03T05:00:00Z", want: "[2001-02-02]"},
		"days, a second before":   {by: newYork, cron: "0 0 * * * America/New_York", at: "2001-02-03T04:59:59Z", want: "[2001-02-01]"},
		"days, later":             {by: newYork, options: []d.PartitionedScheduleOption{d.AtHour(6), d.AtMinute(15)}, cron: "15 6 * * * America/New_York", at: "2001-02-03T11:15:00Z", want: "[2001-02-02]"},
		"days that begin late":    {by: d.Daily("2001-01-01").AtHour(4), options: []d.PartitionedScheduleOption{d.AtMinute(5)}, cron: "5 4 * * * ", at: "2001-02-03T04:05:00Z", want: "[2001-02-02]"},
		"the first day":           {by: newYork, cron: "0 0 * * * America/New_York", at: "2001-01-02T05:00:00Z", want: "[2001-01-01]"},
		"before the first day":    {by: newYork, cron: "0 0 * * * America/New_York", at: "2001-01-01T05:00:00Z", skip: "no partition exists yet of daily partitions from 2001-01-01T00:00:00 (America/New_York)"},
		"the day that runs":       {by: d.Daily("2001-01-01").EndOffset(1), cron: "0 0 * * * ", at: "2001-02-03T00:00:00Z", want: "[2001-02-03]"},
		"the day before the last": {by: d.Daily("2001-01-01").EndOffset(-1), cron: "0 0 * * * ", at: "2001-02-03T00:00:00Z", want: "[2001-02-01]"},
		"a day that is excluded":  {by: d.Daily("2001-01-01").ExcludingKeys("2001-02-02"), cron: "0 0 * * * ", at: "2001-02-03T00:00:00Z", skip: `there is no partition "2001-02-02"`},
		"a Saturday":              {by: d.Daily("2001-01-01").ExcludingCrons("0 0 * * SAT,SUN"), cron: "0 0 * * * ", at: "2001-02-04T00:00:00Z", skip: `there is no partition "2001-02-03"`},
		"after a weekend":         {by: d.Daily("2001-01-01").ExcludingCrons("0 0 * * SAT,SUN"), cron: "0 0 * * * ", at: "2001-02-06T00:00:00Z", want: "[2001-02-05]"},
		"the last day":            {by: d.Daily("2001-01-01").Ending("2001-02-03"), cron: "0 0 * * * ", at: "2001-02-03T00:00:00Z", want: "[2001-02-02]"},
		"after the last day":      {by: d.Daily("2001-01-01").Ending("2001-02-03"), cron: "0 0 * * * ", at: "2001-02-04T00:00:00Z", skip: `there is no partition "2001-02-03"`},
		"a day without 2:30":      {by: newYork, options: []d.PartitionedScheduleOption{d.AtHour(2), d.AtMinute(30)}, cron: "30 2 * * * America/New_York", at: "2001-04-01T07:00:00Z", want: "[2001-03-31]"},
		"an hour twice":           {by: d.Hourly("2001-01-01").InZone("America/New_York"), cron: "0 * * * * America/New_York", at: "2001-10-28T07:00:00Z", want: "[2001-10-28-01:00-0500]"},
		"hours":                   {by: d.Hourly("2001-01-01"), options: []d.PartitionedScheduleOption{d.AtMinute(10)}, cron: "10 * * * * ", at: "2001-02-03T06:10:00Z", want: "[2001-02-03-05:00]"},
		"weeks":                   {by: d.Weekly("2001-01-07"), options: []d.PartitionedScheduleOption{d.OnWeekday(time.Tuesday), d.AtHour(3)}, cron: "0 3 * * 2 ", at: "2001-02-06T03:00:00Z", want: "[2001-01-28]"},
		"months":                  {by: d.Monthly("2001-01-01"), options: []d.PartitionedScheduleOption{d.OnDay(5)}, cron: "0 0 5 * * ", at: "2001-03-05T00:00:00Z", want: "[2001-02-01]"},
		"a cron":                  {by: d.CronPartitions("0 6 * * MON-FRI", "2001-01-01"), cron: "0 6 * * 1-5 ", at: "2001-02-05T06:00:00Z", want: "[2001-02-02]"},
		"keys":                    {by: regions, options: []d.PartitionedScheduleOption{everyday}, cron: "30 6 * * * Europe/Berlin", at: "2001-02-03T05:30:00Z", want: "[east west]"},
		"names":                   {by: names, options: []d.PartitionedScheduleOption{everyday}, cron: "30 6 * * * Europe/Berlin", at: "2001-02-03T05:30:00Z", want: "[zoe ann]"},
		"no names":                {by: d.Dynamic("nobody"), options: []d.PartitionedScheduleOption{everyday}, cron: "30 6 * * * Europe/Berlin", at: "2001-02-03T05:30:00Z", skip: `no partition exists yet of the dynamic partitions "nobody"`},
		"a grid, time first":      {by: d.GridOf("day", newYork, "region", regions), options: []d.PartitionedScheduleOption{d.AtHour(6)}, cron: "0 6 * * * America/New_York", at: "2001-02-03T11:00:00Z", want: "[2001-02-02|east 2001-02-02|west]"},
		"a grid, time second":     {by: d.GridOf("name", names, "when", newYork), cron: "0 0 * * * America/New_York", at: "2001-02-03T05:00:00Z", want: "[zoe|2001-02-02 ann|2001-02-02]"},
		"a grid on a day off":     {by: d.GridOf("day", d.Daily("2001-01-01").ExcludingKeys("2001-02-02"), "region", regions), cron: "0 0 * * * ", at: "2001-02-03T00:00:00Z", skip: `there is no partition "2001-02-02"`},
		"a grid without keys":     {by: d.GridOf("day", newYork, "name", d.Dynamic("nobody")), cron: "0 0 * * * America/New_York", at: "2001-02-03T05:00:00Z", skip: `no partition exists yet of the grid day|name`},
		"a grid without time":     {by: d.GridOf("a", regions, "b", names), options: []d.PartitionedScheduleOption{everyday}, cron: "30 6 * * * Europe/Berlin", at: "2001-02-03T05:30:00Z", want: "[east|zoe east|ann west|zoe west|ann]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asset := constant("a", d.PartitionedBy(test.by))
			job := d.AssetJob("job", d.Assets(asset))
			schedule := d.PartitionedSchedule("s", job, test.options...)
			runtime := runtimeOf(t, asset, job, schedule)
			lowered := runtime.Snapshot().Schedules[0]
			require.True(t, lowered.Partitioned)
			require.Equal(t, 5, lowered.CatchUp)
			require.Len(t, lowered.Crons, 1)
			require.Equal(t, test.cron, lowered.Crons[0]+" "+lowered.Zone)
			at, err := time.Parse(time.RFC3339, test.at)
			require.NoError(t, err)
			dynamic := map[string][]string{"names": {"zoe", "ann"}}
			evaluated, err := runtime.EvaluateSchedule(t.Context(), "s", d.Evaluation{ScheduledAt: at, Dynamic: dynamic})
			require.NoError(t, err)
			var keys []string
			for _, run := range evaluated.Runs {
				require.Equal(t, run.RunKey, run.Request.Partition)
				require.Equal(t, "job", run.Request.Job)
				keys = append(keys, run.RunKey)
			}
			if test.want != "" {
				require.Equal(t, test.want, fmt.Sprint(keys))
				require.Empty(t, evaluated.Skip)
			} else {
				require.Empty(t, keys)
				require.Contains(t, evaluated.Skip, test.skip)
			}
			ticked, err := d.EvaluateSchedule(t.Context(), d.New("x", asset, job, schedule), schedule, at, d.DynamicKeys(names, "zoe", "ann"))
			require.NoError(t, err, "what it runs exists then")
			require.Len(t, ticked.Runs, len(keys))
		})
	}
}

func TestAPartitionedScheduleFollowsTheRoots(t *testing.T) {
	t.Parallel()
	days := d.Daily("2001-01-01")
	first := constant("first", d.PartitionedBy(days))
	second := d.Asset("second", d.Bind1(func(_ d.Context, values map[string]int) (int, error) { return len(values), nil }, d.ByKey(first)), d.PartitionedBy(d.Weekly("2001-01-07")))
	third := constant("third")
	job := d.AssetJob("job", d.Assets(first, second, third))
	ops := d.OpJob("ops", []d.AnyValue{d.Op("op", d.Bind0(one))}, d.PartitionedBy(d.Hourly("2001-01-01")))
	runtime := runtimeOf(t, first, second, third, job, ops, d.PartitionedSchedule("of_assets", job), d.PartitionedSchedule("of_ops", ops, d.CatchUp(2)))
	at := time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC)
	for name, want := range map[string]string{"of_assets": "2001-02-02", "of_ops": "2001-02-02-23:00"} {
		evaluated, err := runtime.EvaluateSchedule(t.Context(), name, d.Evaluation{ScheduledAt: at})
		require.NoError(t, err)
		require.Len(t, evaluated.Runs, 1)
		require.Equal(t, want, evaluated.Runs[0].Request.Partition)
	}
	require.Equal(t, 2, runtime.Snapshot().Schedules[1].CatchUp)
}
