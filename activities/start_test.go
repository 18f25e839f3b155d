package activities

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/internal/devstack"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// attributesOf are the values of ours that a workflow has, as JSON.
func attributesOf(t *testing.T, connected client.Client, workflow string) map[string]string {
	t.Helper()
	described, err := connected.DescribeWorkflowExecution(t.Context(), workflow, "")
	require.NoError(t, err)
	found := map[string]string{}
	for name, value := range described.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields() {
		found[name] = string(value.GetData())
	}
	return found
}

func TestARunIsStartedWithTheSearchAttributesThatItsRequestTells(t *testing.T) {
	t.Parallel()
	connected := dial(t)
	a := Activities{Client: connected, Namespace: devstack.Namespace, Log: slog.New(slog.DiscardHandler), Starter: &starter.Starter{}}
	start := func(id string, request wire.RunRequest) error {
		return a.startRun(t.Context(), id, "flights", "nobody-polls", "a line", request)
	}
	id := t.Name()
	require.NoError(t, start(id, wire.RunRequest{
		Assets: wire.AssetSelection{Keys: []string{"b", "a"}}, Partition: "2001-01-01", Backfill: "bf1", Cause: "c1",
	}))
	require.Equal(t, map[string]string{
		wire.SearchStatus: `"STARTED"`, wire.SearchAssets: `["b","a"]`, wire.SearchPartition: `"2001-01-01"`, wire.SearchBackfill: `"bf1"`, wire.SearchCause: `"c1"`,
	}, attributesOf(t, connected, id))
	require.ErrorAs(t, start(id, wire.RunRequest{Job: "nightly"}), new(*serviceerror.WorkflowExecutionAlreadyStarted))

	require.NoError(t, start(id+"-job", wire.RunRequest{Job: "nightly"}))
	require.Equal(t, map[string]string{wire.SearchStatus: `"STARTED"`, wire.SearchJob: `"nightly"`}, attributesOf(t, connected, id+"-job"))
}

func TestARunIsStartedWithoutSearchAttributesThatTheNamespaceHasLost(t *testing.T) {
	t.Parallel()
	bare := namespace(t, dial(t))
	connected, err := client.DialContext(t.Context(), client.Options{HostPort: testenv.Temporal(t).Address, Namespace: bare})
	require.NoError(t, err)
	t.Cleanup(connected.Close)
	a := Activities{Client: connected, Namespace: bare, Log: slog.New(slog.DiscardHandler), Starter: &starter.Starter{}}
	a.attributes.at, a.attributes.names = time.Now(), []string{wire.SearchJob}
	require.NoError(t, a.startRun(t.Context(), "r1", "flights", "nobody-polls", "a line", wire.RunRequest{Job: "nightly"}))
	require.Empty(t, attributesOf(t, connected, "r1"))
}
