package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/schedule"
)

func TestWhatAScheduleWasWokenFor(t *testing.T) {
	t.Parallel()
	times, err := schedule.Of(plan.Schedule{Name: "early", Crons: []string{"30 1 * * *"}, Zone: "America/New_York"})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		at   string
		wake wake
		want wakeReason
	}{
		"in time":                            {at: "2027-06-01T01:30:00-04:00", wake: wake{ours: true, ahead: true}},
		"late, while nobody was there":       {at: "2027-06-01T01:30:00-04:00", wake: wake{ours: true, ahead: true, late: true}},
		"again, in time":                     {at: "2027-06-01T01:30:00-04:00", wake: wake{ours: true}},
		"filled in":                          {at: "2027-06-01T01:30:00-04:00", wake: wake{ours: true, late: true}, want: wokenForPast},
		"filled in, with the clocks back":    {at: "2027-11-07T01:30:00-05:00", wake: wake{ours: true, late: true}, want: wokenForPast},
		"the first of two such times":        {at: "2027-11-07T01:30:00-04:00", wake: wake{ours: true, ahead: true}},
		"the same, filled in":                {at: "2027-11-07T01:30:00-04:00", wake: wake{ours: true, late: true}},
		"by hand":                            {at: "2027-06-01T14:05:37-04:00", wake: wake{ours: true, ahead: true}, want: wokenByHand},
		"by hand, at a full minute":          {at: "2027-06-01T14:05:00-04:00", wake: wake{ours: true, ahead: true}, want: wokenByHand},
		"by an older definition":             {at: "2027-06-01T14:05:00-04:00", wake: wake{ahead: true}},
		"by hand, as the definition changes": {at: "2027-06-01T14:05:37-04:00", wake: wake{ahead: true}, want: wokenByHand},
	} {
		test.wake.at, err = time.Parse(time.RFC3339, test.at)
		require.NoError(t, err)
		require.Equal(t, test.want, reasonOf(times, test.wake), name)
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
