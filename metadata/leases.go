package metadata

import (
	"context"
	"fmt"
	"time"
)

// Lease is who does a piece of work that one process at a time does.
type Lease struct {
	// Held says that the caller has it.
	Held bool `json:"held"`
	// Holder has it, until Until unless it asks again.
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

// TakeLease takes the lease of that name for duration, or prolongs it, when nobody else has it. A holder that dies loses
// it when the time is over; it asks again well before.
func (s *Store) TakeLease(ctx context.Context, name, holder string, duration time.Duration) (Lease, error) {
	return call[Lease](ctx, s, fmt.Sprintf("take the lease %q", name), "take_lease_v1", struct {
		Name     string        `json:"name"`
		Holder   string        `json:"holder"`
		Duration time.Duration `json:"duration"`
	}{name, holder, duration})
}

// ReleaseLease gives a lease back, so that another takes it at once. It changes nothing when holder does not have it.
func (s *Store) ReleaseLease(ctx context.Context, name, holder string) error {
	return s.try(ctx, fmt.Sprintf("release the lease %q", name), func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, "delete from leases where name = $1 and holder = $2", name, holder)
		return err
	})
}
