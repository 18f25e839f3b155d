package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestSearchAttributesThatARunWasStartedWith(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 200)
	walk := plan.Walk{
		Attributes: []string{wire.SearchJob, wire.SearchStatus, wire.SearchCause, wire.SearchAssets, wire.SearchPartition},
		Job:        "nightly", Cause: long, Assets: []string{"b", "a"}, Backfill: "bf1",
	}
	require.Equal(t, map[string]any{
		wire.SearchJob: "nightly", wire.SearchStatus: "QUEUED", wire.SearchCause: wire.Keyword(long), wire.SearchAssets: []string{"b", "a"}, wire.SearchBackfill: "bf1",
	}, walk.SearchAttributes(wire.RunQueued))
	for name, test := range map[string]struct {
		had  string
		want []string
	}{
		"nothing":                {`{}`, nil},
		"all":                    {`{"PerdureJob":"nightly","PerdureStatus":"STARTED","PerdureCause":"` + wire.Keyword(long) + `","PerdureAssets":["a","b"]}`, walk.Attributes[:4]},
		"others":                 {`{"PerdureJob":"daily","PerdureStatus":"QUEUED","PerdureCause":"` + long + `","PerdureAssets":["a"]}`, nil},
		"what is not set":        {`{"PerdurePartition":"","PerdureBackfill":"bf1","PerdureX":"x"}`, nil},
		"a list in a keyword":    {`{"PerdureJob":["nightly"],"PerdureAssets":"a","PerdureStatus":"STARTED"}`, []string{wire.SearchStatus}},
		"more than is to be":     {`{"PerdureAssets":["a","b","c"]}`, nil},
		"null, in the SDK's way": {`{"PerdureJob":null,"PerdureAssets":null}`, nil},
	} {
		var had map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(test.had), &had))
		require.Equal(t, test.want, walk.StartedWith(had), name)
	}
	empty := plan.Walk{Attributes: []string{wire.SearchAssets}}
	require.Nil(t, empty.StartedWith(nil))
}
