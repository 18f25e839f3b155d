package cli

import (
	"context"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/wire"
)

// searchAttributes are Perdure's, all optional.
var searchAttributes = map[string]enums.IndexedValueType{
	wire.SearchJob:       enums.INDEXED_VALUE_TYPE_KEYWORD,
	wire.SearchStatus:    enums.INDEXED_VALUE_TYPE_KEYWORD,
	wire.SearchCause:     enums.INDEXED_VALUE_TYPE_KEYWORD,
	wire.SearchPartition: enums.INDEXED_VALUE_TYPE_KEYWORD,
	wire.SearchBackfill:  enums.INDEXED_VALUE_TYPE_KEYWORD,
	wire.SearchAssets:    enums.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}

// registerSearchAttributes registers those that the namespace lacks and returns their names.
func registerSearchAttributes(ctx context.Context, temporal client.Client, namespace string) ([]string, error) {
	service := temporal.OperatorService()
	present, err := service.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, fmt.Errorf("list the search attributes of namespace %q: %w", namespace, err)
	}
	missing := map[string]enums.IndexedValueType{}
	for name, kind := range searchAttributes {
		found, there := present.GetCustomAttributes()[name]
		if there && found != kind {
			return nil, fmt.Errorf("search attribute %s of namespace %q is a %s and would have to be a %s", name, namespace, found, kind)
		}
		if !there {
			missing[name] = kind
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	_, err = service.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	if err != nil {
		return nil, fmt.Errorf("register search attributes in namespace %q: %w", namespace, err)
	}
	return sortedKeys(missing), nil
}
