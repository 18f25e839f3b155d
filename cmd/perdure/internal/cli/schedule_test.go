package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// clockwork is a location with schedules.
func clockwork(name string) *definitions.Definitions {
	days := definitions.Daily("2001-01-01")
	prices := definitions.Asset("prices", definitions.Bind0(func(definitions.Context) (int, error) { return 100, nil }), definitions.PartitionedBy(days))
	job := definitions.AssetJob("price_job", definitions.Assets(prices))
	nightly := definitions.Schedule("nightly", job, definitions.Cron{Expr: "0 6 * * *", Zone: "Europe/Berlin"},
		definitions.Description("What traders read."), definitions.BufferOne, definitions.PauseOnFailure{}, definitions.Owners{"team:prices"},
		definitions.Evaluate(definitions.Bind1(func(ctx definitions.Context, at time.Time) (definitions.Requests, error) {
			ctx.Log().Info("looking", "day", at.Format(time.DateOnly))
			switch at.Day() {
			case 13:
				panic("an unlucky day")
			case 14:
				return definitions.Requests{Skip: "nothing was traded"}, nil
			}
			return definitions.Requests{Runs: []definitions.RunRequest{job.Request(definitions.RunKey("k"), definitions.ForPartition(at.AddDate(0, 0, -1).Format(time.DateOnly)))}}, nil
		}, definitions.ScheduledTime)))
	return definitions.New(name, prices, job, nightly, definitions.PartitionedSchedule("each_day", job, definitions.DefaultRunning{}))
}

func TestASchedulesCommands(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	require.Equal(t, "there are no schedules\n", s.ok(t, "schedule", "list"))
	require.Contains(t, s.fails(t, 1, "schedule", "show", "nightly"), `there is no schedule "nightly": there are none at all`)
	s.serveLocation(t, "cli_clock", clockwork("cli_clock"))
	require.Eventually(t, func() bool { return strings.Contains(s.run(t.Context(), "schedule", "list").stdout, "nightly") }, settle, look)

	table := s.ok(t, "schedule", "list")
	require.Regexp(t, `(?m)^each_day +RUNNING +price_job +0 0 \* \* \* +\d{4}-\d\d-\d\dT00:00:00Z +cli_clock$`, table)
	require.Regexp(t, `(?m)^nightly +STOPPED +price_job +0 6 \* \* \* Europe/Berlin +cli_clock$`, table)

	shown := s.ok(t, "schedule", "show", "nightly")
	require.Contains(t, shown, "STOPPED  nightly  as it is declared\n  What traders read.\n")
	for _, line := range []string{
		`due +0 6 \* \* \* Europe/Berlin`, "catch up +the last one of those that were missed", "overlap +buffer_one, pauses when a run has failed",
		"starts +what its function says", "owners +team:prices", "in temporal +schedule:cli_clock:nightly",
	} {
		require.Regexp(t, "(?m)^"+line+"$", shown)
	}
	require.Regexp(t, `(?m)^starts +the last partition of its job at the time$`, s.ok(t, "schedule", "show", "each_day"))

	// Stopped and started, with who and why.
	require.Equal(t, "schedule nightly is RUNNING\n", s.ok(t, "schedule", "start", "nightly", "--why", "it is time"))
	shown = s.ok(t, "schedule", "show", "nightly")
	require.Regexp(t, `^RUNNING  nightly  by \S+, .*: it is time\n`, shown)
	require.Regexp(t, `(?m)^next +\d{4}-\d\d-\d\dT06:00:00\+0[12]:00$`, shown)
	require.Equal(t, "schedule each_day is STOPPED\nschedule nightly is STOPPED\n", s.ok(t, "schedule", "stop", "each_day", "nightly"))
	require.Equal(t, "schedule each_day is RUNNING\n", s.ok(t, "schedule", "reset", "each_day"))
	require.Contains(t, s.ok(t, "schedule", "show", "each_day"), "as it is declared, by ")
	rows := parsed[[]struct {
		Name   string             `json:"name"`
		Status wire.TriggerStatus `json:"status"`
		Next   []string           `json:"next"`
	}](t, s.ok(t, "schedule", "list", "-o", "json"))
	require.Equal(t, "each_day", rows[0].Name)
	require.Len(t, rows[0].Next, 1)
	require.Equal(t, wire.TriggerStopped, rows[1].Status)
	require.Empty(t, rows[1].Next)

	// What it would start.
	previewed := s.ok(t, "schedule", "preview", "nightly", "--at", "2001-02-03T05:00:00Z")
	require.Contains(t, previewed, "at 2001-02-03T06:00:00+01:00:\n")
	require.Regexp(t, `(?m)^price_job +k +2001-02-02 +1 step$`, previewed)
	require.Contains(t, previewed, `looking {"day":"2001-02-03"}`)
	require.Contains(t, s.ok(t, "schedule", "preview", "nightly", "--at", "2001-02-14T05:00:00Z"), "starts nothing: nothing was traded\n")
	failed := s.run(t.Context(), "schedule", "preview", "nightly", "--at", "2001-02-13T05:00:00Z")
	require.Equal(t, 1, failed.code)
	require.Contains(t, failed.stdout, "panic: an unlucky day")
	require.Contains(t, failed.stdout, "schedule_test.go")
	require.Equal(t, "no tick matches\n", s.ok(t, "schedule", "ticks", "nightly"))

	// And what it does.
	triggered := s.ok(t, "schedule", "trigger", "nightly", "--at", "2001-02-03T05:00:00Z")
	require.Regexp(t, `^SUCCESS  2001-02-03T06:00:00\+01:00\n  nightly-20010203T050000-[0-9a-f]{6} 2001-02-02\n$`, triggered)
	again := s.ok(t, "schedule", "trigger", "nightly", "--at", "2001-02-03T05:00:00Z")
	require.Equal(t, "it was evaluated before\n"+triggered, again)
	failed = s.run(t.Context(), "schedule", "trigger", "nightly", "--at", "2001-02-13T05:00:00Z")
	require.Equal(t, 1, failed.code)
	require.Contains(t, failed.stdout, "FAILURE  2001-02-13T06:00:00+01:00  panic: an unlucky day\n")
	require.Equal(t, 1, s.run(t.Context(), "schedule", "trigger", "nightly", "--at", "2001-02-13T05:00:00Z", "-o", "json").code)
	require.Regexp(t, `(?m)^failing since .*: 1 tick$`, s.ok(t, "schedule", "show", "nightly"))
	require.Contains(t, s.ok(t, "schedule", "trigger", "nightly", "--at", "2001-02-14T05:00:00Z"), "SKIPPED  2001-02-14T06:00:00+01:00  ")

	ticks := s.ok(t, "schedule", "ticks", "nightly")
	require.Regexp(t, `(?m)^2001-02-03T05:00:00Z \(by hand\) +SUCCESS .* nightly-20010203T050000-[0-9a-f]{6}$`, ticks)
	require.Regexp(t, `(?m)^2001-02-13T05:00:00Z \(by hand\) +FAILURE .* panic: an unlucky day$`, ticks)
	logged := s.ok(t, "schedule", "ticks", "--status", "failure", "--log")
	require.Contains(t, logged, "schedule_test.go")
	require.NotContains(t, logged, "SUCCESS")
	page := parsed[metadata.Page[metadata.Tick]](t, s.ok(t, "schedule", "ticks", "nightly", "--limit", "2", "-o", "json"))
	require.Len(t, page.Rows, 2)
	require.NotEmpty(t, page.Next)
	require.Contains(t, s.ok(t, "schedule", "ticks", "nightly", "--limit", "2", "--cursor", page.Next), "2001-02-03T05:00:00Z")

	require.Contains(t, s.fails(t, 2, "schedule", "ticks", "--status", "late", "--limit", "0"), `there is no status "late"`)
	require.Contains(t, s.fails(t, 1, "schedule", "stop", "nightl", "each"), `there is no schedule "nightl" (did you mean "nightly"?`)
	require.Contains(t, s.fails(t, 2, "schedule", "trigger", "nightly", "--at", "today"), `"today" is no time of RFC 3339`)
	require.Contains(t, s.fails(t, 2, "schedule", "list-all"), `has no command "list-all"`)
}
