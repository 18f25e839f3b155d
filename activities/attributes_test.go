package activities

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/perdure-io/perdure/internal/devstack"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/wire"
)

func dial(t *testing.T) client.Client {
	t.Helper()
	connected, err := client.DialContext(t.Context(), client.Options{HostPort: testenv.Temporal(t).Address})
	require.NoError(t, err)
	t.Cleanup(connected.Close)
	return connected
}

// namespace makes one without search attributes.
func namespace(t *testing.T, connected client.Client) string {
	t.Helper()
	name := fmt.Sprintf("%s-%d", strings.ToLower(t.Name()), time.Now().UnixNano())
	_, err := connected.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := connected.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: name})
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	return name
}

func TestSearchAttributesAreThoseOfTheNamespace(t *testing.T) {
	t.Parallel()
	connected := dial(t)
	log := slog.New(slog.DiscardHandler)
	var cache attributeCache
	require.Equal(t, []string{wire.SearchJob, wire.SearchStatus, wire.SearchCause, wire.SearchAssets, wire.SearchPartition, wire.SearchBackfill},
		cache.of(t.Context(), connected, devstack.Namespace, log))

	bare := namespace(t, connected)
	var empty attributeCache
	require.Empty(t, empty.of(t.Context(), connected, bare, log))
	_, err := connected.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace: bare, SearchAttributes: map[string]enums.IndexedValueType{
			wire.SearchJob: enums.INDEXED_VALUE_TYPE_KEYWORD,
			// Somebody has it with another type: setting it would hang the run.
			wire.SearchStatus: enums.INDEXED_VALUE_TYPE_TEXT,
		},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		var fresh attributeCache
		found := fresh.of(t.Context(), connected, bare, log)
		return len(found) == 1 && found[0] == wire.SearchJob
	}, time.Minute, 50*time.Millisecond)

	require.Empty(t, empty.of(t.Context(), connected, bare, log), "the answer is kept for a minute")
	empty.at = empty.at.Add(-attributesKept)
	require.Equal(t, []string{wire.SearchJob}, empty.of(t.Context(), connected, bare, log), "and asked for again then")
}

func TestWithoutLeaveToAskThereAreNoSearchAttributes(t *testing.T) {
	t.Parallel()
	connected := dial(t)
	var written strings.Builder
	log := slog.New(slog.NewTextHandler(&written, nil))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var cache attributeCache
	require.Nil(t, cache.of(ended, connected, devstack.Namespace, log))
	require.Contains(t, written.String(), "search attributes are not used")
	require.Nil(t, cache.of(t.Context(), connected, devstack.Namespace, log), "nor is it asked at every run")
}

func TestWhatIsReturnedIsNotTheCachesOwn(t *testing.T) {
	t.Parallel()
	connected := dial(t)
	var cache attributeCache
	first := cache.of(t.Context(), connected, devstack.Namespace, slog.New(slog.DiscardHandler))
	first[0] = "changed"
	require.Equal(t, wire.SearchJob, cache.of(t.Context(), connected, devstack.Namespace, slog.New(slog.DiscardHandler))[0])
}
