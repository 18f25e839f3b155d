package starter

import (
	"context"
	"errors"
	"fmt"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// WipeAsset forgets what was materialized of an asset that the location defines, so that it is missing again: of the wipe's
// partitions, or, without any, of all of it. Keys that do not exist any more can be wiped, too. It returns wire.Problems when
// the asset is not there, or its partitions are not what it has, or an open run is writing one of them. Of many partitions some
// may be wiped when it ends with an error: what it returns says how many, and another call goes on.
func (s *Starter) WipeAsset(ctx context.Context, location string, wipe metadata.Wipe) (metadata.Wiped, error) {
	snapshot, err := s.snapshot(ctx, location)
	if err != nil {
		return metadata.Wiped{}, err
	}
	asset, problems := definedAsset(snapshot, wipe.Asset)
	switch {
	case problems != nil:
		return metadata.Wiped{}, problems
	case asset.Partitions == nil && len(wipe.Partitions) > 0:
		return metadata.Wiped{}, wire.Problems{{
			Path: "partitions", Code: wire.CodeConflict, Message: fmt.Sprintf("asset %q is not partitioned", wipe.Asset), Fix: "leave the partitions out",
		}}
	}
	for i, key := range wipe.Partitions {
		if err := partition.CheckKey(key); err != nil {
			problems = append(problems, wire.Problem{Path: fmt.Sprintf("partitions[%d]", i), Code: wire.CodeInvalid, Message: fmt.Sprintf("%q is no key: %s", key, err)})
		}
	}
	if len(problems) > 0 {
		return metadata.Wiped{}, problems
	}
	wipe.CodeLocation = location
	if len(wipe.Partitions) == 0 {
		wipe.Partitions = nil
	}
	wiped, err := s.Store.WipeAsset(ctx, wipe)
	if written, ok := errors.AsType[*metadata.BeingWrittenError](err); ok {
		return wiped, wire.Problems{{Path: "partitions", Code: wire.CodeConflict, Message: written.Error()}}
	}
	return wiped, err
}

// definedAsset finds an asset of a snapshot.
func definedAsset(snapshot *plan.Snapshot, key string) (plan.Asset, wire.Problems) {
	keys := make([]string, len(snapshot.Assets))
	for i, asset := range snapshot.Assets {
		if asset.Key == key {
			return asset, nil
		}
		keys[i] = asset.Key
	}
	return plan.Asset{}, wire.Problems{{
		Path: "asset", Code: wire.CodeUnknown, Message: fmt.Sprintf("location %q has no asset %q", snapshot.Location, key), Fix: wire.FixUnknown(key, keys),
	}}
}
