package starter

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// When a run that failed is started again by itself: its tags go before the instance's settings.
func TestHowOftenAFailedRunIsStartedAgain(t *testing.T) {
	t.Parallel()
	failed := wire.StepCounts{Failed: 1}
	for name, test := range map[string]struct {
		settings RetrySettings
		tags     map[string]string
		steps    wire.StepCounts
		reason   string
		most     int
		from     wire.RetryFrom
	}{
		"nothing says so":                        {RetrySettings{OnStepFailure: true}, nil, failed, "", 0, wire.RetryFailure},
		"the instance says so":                   {RetrySettings{MaxRetries: 2, OnStepFailure: true}, nil, failed, "", 2, wire.RetryFailure},
		"a tag says so":                          {RetrySettings{OnStepFailure: true}, map[string]string{plan.TagMaxRetries: "3"}, failed, "", 3, wire.RetryFailure},
		"a tag forbids it":                       {RetrySettings{MaxRetries: 2, OnStepFailure: true}, map[string]string{plan.TagMaxRetries: "0"}, failed, "", 0, wire.RetryFailure},
		"a tag says what of it":                  {RetrySettings{MaxRetries: 2, OnStepFailure: true}, map[string]string{plan.TagRetryStrategy: "all"}, failed, "", 2, wire.RetryAll},
		"not for a failed step":                  {RetrySettings{MaxRetries: 2}, nil, failed, "", 0, wire.RetryFailure},
		"but when it was terminated":             {RetrySettings{MaxRetries: 2}, nil, wire.StepCounts{Canceled: 1}, "terminated by ann", 2, wire.RetryFailure},
		"and had a failed step":                  {RetrySettings{MaxRetries: 2}, nil, failed, "terminated by ann", 2, wire.RetryFailure},
		"a tag allows it for a failed step":      {RetrySettings{MaxRetries: 2}, map[string]string{plan.TagRetryOnStepFailure: "true"}, failed, "", 2, wire.RetryFailure},
		"a tag forbids it for a failed step":     {RetrySettings{MaxRetries: 2, OnStepFailure: true}, map[string]string{plan.TagRetryOnStepFailure: "false"}, failed, "", 0, wire.RetryFailure},
		"a tag for failed steps, but terminated": {RetrySettings{MaxRetries: 2, OnStepFailure: true}, map[string]string{plan.TagRetryOnStepFailure: "false"}, failed, "it took too long", 2, wire.RetryFailure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			most, from, err := mostRetries(metadata.Run{ID: "r1", Status: wire.RunFailure, Tags: test.tags, Steps: test.steps, Reason: test.reason}, test.settings)
			require.NoError(t, err)
			require.Equal(t, test.most, most)
			require.Equal(t, test.from, from)
		})
	}
	_, _, err := mostRetries(metadata.Run{ID: "r1", Tags: map[string]string{plan.TagMaxRetries: "many"}}, RetrySettings{})
	require.ErrorContains(t, err, `tag perdure/max_retries of run "r1"`)
}
