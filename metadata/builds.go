package metadata

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure-io/perdure/plan"
)

// BuildState says how a build stands in its location.
type BuildState struct {
	// Active says whether this build's definitions are those that runs are planned by.
	Active bool `json:"active"`
	// ActiveBuild and ActiveHash are the active build and its snapshot's hash.
	ActiveBuild string `json:"active_build"`
	ActiveHash  string `json:"active_hash"`
}

type buildAnswer struct {
	BuildState
	Known bool `json:"known"`
}

// RegisterBuild stores a location's definitions under the build that brings them. A build never seen
// becomes active; one that was superseded only when activate is set, or as [Store.TouchBuild] says. It counts as a
// sign of life of the build's workers. A build id that comes with other definitions takes them.
func (s *Store) RegisterBuild(ctx context.Context, build string, snapshot *plan.Snapshot, activate bool) (BuildState, error) {
	operation := fmt.Sprintf("register build %q of location %q", build, snapshot.Location)
	body, err := snapshot.Encode()
	if err != nil {
		return BuildState{}, fmt.Errorf("%s: %w", operation, err)
	}
	hash, err := snapshot.Hash()
	if err != nil {
		return BuildState{}, fmt.Errorf("%s: %w", operation, err)
	}
	answer, err := call[buildAnswer](ctx, s, operation, "register_build_v1", struct {
		Location string `json:"location"`
		Build    string `json:"build"`
		Hash     string `json:"hash"`
		Body     string `json:"body"` // as text: its hash is that of these bytes
		Activate bool   `json:"activate"`
	}{snapshot.Location, build, hash, string(body), activate})
	return answer.BuildState, err
}

// TouchBuild says that a worker of the build is alive; each does so every 15 seconds or so. A
// superseded build becomes active by it when for 60 s its workers were seen and none of the active build.
// [ErrNotFound] says that the build is not registered.
func (s *Store) TouchBuild(ctx context.Context, location, build string) (BuildState, error) {
	return s.ofBuild(ctx, fmt.Sprintf("report build %q of location %q alive", build, location), "touch_build_v1", location, build)
}

// ActivateBuild makes a build the active one because a person wants it so. It stays so for 60 s at least, and then until
// [Store.TouchBuild] finds that only workers of another build live. [ErrNotFound] says that the build is not registered.
func (s *Store) ActivateBuild(ctx context.Context, location, build string) (BuildState, error) {
	return s.ofBuild(ctx, fmt.Sprintf("activate build %q of location %q", build, location), "activate_build_v1", location, build)
}

func (s *Store) ofBuild(ctx context.Context, operation, function, location, build string) (BuildState, error) {
	answer, err := call[buildAnswer](ctx, s, operation, function, struct {
		Location string `json:"location"`
		Build    string `json:"build"`
	}{location, build})
	if err == nil && !answer.Known {
		err = fmt.Errorf("%s: it is not registered: %w", operation, ErrNotFound)
	}
	return answer.BuildState, err
}

// ActiveSnapshot returns a location's active definitions, their hash and the build that brought them.
// The snapshot is shared: do not change it. [ErrNotFound] says that no worker of the location was ever
// started; the message names the locations there are.
func (s *Store) ActiveSnapshot(ctx context.Context, location string) (snapshot *plan.Snapshot, hash, build string, err error) {
	operation := fmt.Sprintf("read the definitions of location %q", location)
	found, err := rows[struct {
		Build string `json:"build"`
		Hash  string `json:"hash"`
	}](ctx, s, operation, `select json_build_object('build', build, 'hash', snapshot_hash) from builds where location = $1 and state = 'active'`, location)
	if err != nil {
		return nil, "", "", err
	}
	if len(found) == 0 {
		return nil, "", "", s.unknownLocation(ctx, operation)
	}
	snapshot, err = s.Snapshot(ctx, found[0].Hash)
	return snapshot, found[0].Hash, found[0].Build, err
}

func (s *Store) unknownLocation(ctx context.Context, operation string) error {
	locations, err := s.Locations(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(locations))
	for i, location := range locations {
		names[i] = location.Location
	}
	known := "no worker of any location was started yet"
	if len(names) > 0 {
		known = "known are " + strings.Join(names, ", ")
	}
	return fmt.Errorf("%s: %w: %s; start a worker of it", operation, ErrNotFound, known)
}

// cachedSnapshots is how many snapshots are kept decoded.
const cachedSnapshots = 32

// Snapshot returns the definitions of that hash. It is shared: do not change it.
func (s *Store) Snapshot(ctx context.Context, hash string) (*plan.Snapshot, error) {
	s.snapshotsMu.Lock()
	snapshot := s.snapshots[hash]
	s.snapshotsMu.Unlock()
	if snapshot != nil {
		return snapshot, nil
	}
	operation := fmt.Sprintf("read snapshot %q", hash)
	var body []byte
	if err := s.try(ctx, operation, func(ctx context.Context) error {
		return s.db.GetContext(ctx, &body, "select body from snapshots where hash = $1", hash)
	}); err != nil {
		return nil, err
	}
	snapshot, err := plan.DecodeSnapshot(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	s.snapshotsMu.Lock()
	defer s.snapshotsMu.Unlock()
	if len(s.snapshots) >= cachedSnapshots {
		clear(s.snapshots)
	}
	s.snapshots[hash] = snapshot
	return snapshot, nil
}

// Location is a code location and its active build.
type Location struct {
	Location string `json:"location"`
	Build    string `json:"build"`
	Hash     string `json:"hash"`
	// ActivatedAt is since when the build is active, LastSeen when a worker of it was heard of last.
	ActivatedAt time.Time `json:"activated_at"`
	LastSeen    time.Time `json:"last_seen"`
}

// Locations lists the code locations by name.
func (s *Store) Locations(ctx context.Context) ([]Location, error) {
	locations, err := rows[Location](ctx, s, "list the locations", `
		select json_build_object('location', location, 'build', build, 'hash', snapshot_hash,
		                         'activated_at', activated_at, 'last_seen', last_seen)
		from builds where state = 'active'`)
	slices.SortFunc(locations, func(a, b Location) int { return strings.Compare(a.Location, b.Location) })
	return locations, err
}
