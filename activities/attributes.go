package activities

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/wire"
)

// attributesKept is how long the answer is believed: a namespace gets its attributes once.
const attributesKept = time.Minute

// searchAttributes are those that a run sets, with the type each must have.
var searchAttributes = []struct {
	name string
	kind enums.IndexedValueType
}{
	{wire.SearchJob, enums.INDEXED_VALUE_TYPE_KEYWORD},
	{wire.SearchStatus, enums.INDEXED_VALUE_TYPE_KEYWORD},
	{wire.SearchCause, enums.INDEXED_VALUE_TYPE_KEYWORD},
	{wire.SearchAssets, enums.INDEXED_VALUE_TYPE_KEYWORD_LIST},
	{wire.SearchPartition, enums.INDEXED_VALUE_TYPE_KEYWORD},
	{wire.SearchBackfill, enums.INDEXED_VALUE_TYPE_KEYWORD},
}

// attributeCache knows which of our search attributes the namespace has. They are optional: a workflow
// that sets one which does not exist hangs for ever, so only those found here are set.
type attributeCache struct {
	mu    sync.Mutex
	at    time.Time
	names []string
}

func (c *attributeCache) of(ctx context.Context, temporal client.Client, namespace string, log *slog.Logger) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && time.Since(c.at) < attributesKept {
		return slices.Clone(c.names)
	}
	answer, err := temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		// Without leave to ask, runs simply carry no search attributes.
		log.Warn("search attributes are not used: they cannot be listed", "error", err)
		c.at, c.names = time.Now(), nil
		return nil
	}
	c.at, c.names = time.Now(), nil
	for _, attribute := range searchAttributes {
		if answer.GetCustomAttributes()[attribute.name] == attribute.kind {
			c.names = append(c.names, attribute.name)
		}
	}
	return slices.Clone(c.names)
}
