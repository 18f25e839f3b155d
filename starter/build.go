package starter

import (
	"context"
	"fmt"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// ActivateBuild makes runs of the location be planned by this build's definitions from now on. It stays so while a
// worker of it is alive: when for 60 s from now on, or since the last one was seen, there were only workers of another
// build, that one takes over. Temporal may be nil. The error is wire.Problems when there is no such location or build.
func (s *Starter) ActivateBuild(ctx context.Context, location, build string) (metadata.BuildState, error) {
	builds, err := s.Store.Builds(ctx, location)
	if err != nil {
		return metadata.BuildState{}, err
	}
	if len(builds) == 0 {
		return metadata.BuildState{}, s.unknownLocation(ctx, location)
	}
	names := make([]string, len(builds))
	for i, known := range builds {
		names[i] = known.Build
		if known.Build == build {
			return s.Store.ActivateBuild(ctx, location, build)
		}
	}
	return metadata.BuildState{}, wire.Problems{{
		Path: "build", Code: wire.CodeUnknown, Message: fmt.Sprintf("location %q has no build %q", location, build),
		Fix: wire.FixUnknown(build, names),
	}}
}
