package metadata

import (
	"context"
	"fmt"
	"time"
)

// Build is one build of a code location.
type Build struct {
	Location string `json:"location"`
	Build    string `json:"build"`
	Hash     string `json:"hash"`
	// Active says whether runs are planned by its definitions.
	Active bool `json:"active"`
	// FirstSeen and LastSeen are when a worker of it was heard of; ActivatedAt is since when, or when last, it was the
	// active one, the zero time when it never was.
	FirstSeen   time.Time `json:"first_seen"`
	LastSeen    time.Time `json:"last_seen"`
	ActivatedAt time.Time `json:"activated_at,omitzero"`
}

// Builds lists the builds of a location, the one that was first seen last first, at most 1,000.
func (s *Store) Builds(ctx context.Context, location string) ([]Build, error) {
	return rows[Build](ctx, s, fmt.Sprintf("list the builds of location %q", location), `
		select to_jsonb(b) from (
			select location, build, snapshot_hash as hash, state = 'active' as active, first_seen, last_seen, activated_at
			from builds where location = $1 order by first_seen desc, build limit $2) b`, location, maxLimit)
}
