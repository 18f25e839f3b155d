package daemon

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhichScheduleAWorkflowWorksOn(t *testing.T) {
	t.Parallel()
	const id = "schedule-tick:shop:night"
	for workflow, works := range map[string]bool{
		id: true, id + "-2001-01-01T06:00:00Z": true, id + ":manual:1a2b": true, id + ":resumed": true,
		id + "ly-2001-01-01T06:00:00Z": false, id + "-shift-2001-01-01T06:00:00Z": false, id + "ly:resumed": false, id + "-2001": false,
		"pr42:" + id: false, "by-temporal": false,
	} {
		require.Equal(t, works, worksOn(workflow, id), workflow)
	}
}
