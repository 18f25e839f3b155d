package activities

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/schedule"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func TestWhatAScheduleWasWokenFor(t *testing.T) {
	t.Parallel()
	definition := plan.Schedule{Name: "early", Crons: []string{"30 1 * * *"}, Zone: "America/New_York"}
	times, err := schedule.Of(definition)
	require.NoError(t, err)
	paused, rested := true, false
	// At rest is what people have stopped and Temporal was told so, unheard what Temporal was not told yet.
	const tick, before, after = "2027-06-01T01:30:00-04:00", "2027-05-31T01:30:00-04:00", "2027-06-01T01:30:01-04:00"
	for name, test := range map[string]struct {
		at string
		// last is the last tick that was taken care of; switched is when it was stopped, "" of one that runs.
		last, switched string
		late, unheard  bool
		other          bool // it wakes by another definition's times
		want           wakeReason
	}{
		"in time":                               {at: tick, last: before},
		"late, while nobody was there":          {at: tick, last: before, late: true},
		"again":                                 {at: tick, last: tick, want: wokenForPast},
		"filled in":                             {at: tick, last: "2027-07-01T01:30:00-04:00", late: true, want: wokenForPast},
		"filled in, with the clocks back":       {at: "2027-11-07T01:30:00-05:00", last: "2027-12-01T01:30:00-05:00", late: true, want: wokenForPast},
		"the first of two such times":           {at: "2027-11-07T01:30:00-04:00", last: before},
		"the same, filled in":                   {at: "2027-11-07T01:30:00-04:00", last: "2027-12-01T01:30:00-05:00", late: true},
		"by hand":                               {at: "2027-06-01T14:05:37-04:00", last: tick, want: wokenByHand},
		"by hand, at a full minute":             {at: "2027-06-01T14:05:00-04:00", last: tick, want: wokenByHand},
		"by an older definition":                {at: "2027-06-01T14:05:00-04:00", last: tick, other: true},
		"by hand, as the definition changes":    {at: "2027-06-01T14:05:37-04:00", last: tick, other: true, want: wokenByHand},
		"stopped while Temporal was away":       {at: tick, last: before, switched: after, unheard: true, late: true},
		"stopped a moment after":                {at: tick, last: before, switched: after},
		"stopped, and filled in":                {at: tick, last: before, switched: after, late: true, want: wokenForPast},
		"unpaused in Temporal a moment ago":     {at: tick, last: before, switched: before, want: wokenForPast},
		"unpaused, and that is written down":    {at: tick, last: after, want: wokenForPast},
		"filled in before Temporal was told of": {at: before, last: tick, switched: after, unheard: true, late: true, want: wokenForPast},
	} {
		w := &scheduleWork{times: times, definition: definition, trigger: metadata.Trigger{Status: wire.TriggerRunning, AppliedPaused: &rested}}
		w.input.Times = schedule.Hash(definition)
		if test.other {
			w.input.Times = "other"
		}
		moment := func(text string) time.Time {
			at, err := time.Parse(time.RFC3339, text)
			require.NoError(t, err)
			return at
		}
		w.trigger.LastNominal = moment(test.last)
		if test.switched != "" {
			w.trigger.Status, w.trigger.SwitchedAt = wire.TriggerStopped, moment(test.switched)
			if !test.unheard {
				w.trigger.AppliedPaused = &paused
			}
		}
		started := moment(test.at).Add(2 * time.Second)
		if test.late {
			started = started.Add(time.Hour)
		}
		require.Equal(t, test.want, w.reason(moment(test.at), started), name)
	}
}

func TestDefinitionsThatEvaluateAlike(t *testing.T) {
	t.Parallel()
	one := plan.Schedule{Name: "nightly", Job: "j", Crons: []string{"@daily"}, Computed: true, At: "a.go:1", Description: "x", Running: true}
	other := one
	other.At, other.Description, other.Running = "b.go:2", "y", false
	require.True(t, sameSchedule(one, other))
	other.Crons = []string{"@hourly"}
	require.False(t, sameSchedule(one, other))
	require.Equal(t, "a.go:1", one.At, "what is compared stays as it is")
}

// Nothing but the requests is looked at.
func TestARequestThatTemporalDoesNotTakeFailsItsTick(t *testing.T) {
	t.Parallel()
	small := wire.TickRun{Request: wire.RunRequest{Config: json.RawMessage(`{}`)}}
	large := wire.TickRun{Request: wire.RunRequest{Config: json.RawMessage(`"` + strings.Repeat("x", maxRequest) + `"`)}}
	_, _, err := (&Activities{}).checkRuns(t.Context(), starter.Definitions{}, "j", time.Now(), wire.RunTrigger{}, []wire.TickRun{small, large})
	var failed *evaluationError
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "runs[1]: its request has 10485")
	require.ErrorContains(t, err, "configure it with less")
	require.NotContains(t, err.Error(), "runs[0]")
}
