package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// SupersededValue is a stored value that nothing needs any more: a later materialization of the same asset and partition
// replaced it, its op was computed anew in the same run, or its run is forgotten.
type SupersededValue struct {
	ID int64 `json:"id"`
	// CodeLocation is the one whose workers can remove it.
	CodeLocation string `json:"code_location"`
	// Asset and Partition are set of an asset's value, Key of an element of an op's dynamic output. Run and Step made it.
	Asset     string `json:"asset"`
	Partition string `json:"partition"`
	Run       string `json:"run_id"`
	Step      string `json:"step"`
	Key       string `json:"key"`
	// Token names the stored value, Location is where it lies.
	Token        int64     `json:"slot_token"`
	Location     string    `json:"location"`
	SupersededAt time.Time `json:"superseded_at"`
	// Attempts counts how often it was taken, this time included.
	Attempts int `json:"attempts"`
}

// NoteSuperseded reads on through the materializations that are older than grace, at most limit of them, and notes for each the value
// that it replaced. It returns how many it read: fewer than limit, and there is no more to read. At once with another
// caller it reads nothing.
func (s *Store) NoteSuperseded(ctx context.Context, grace time.Duration, limit int) (read int, err error) {
	answer, err := call[struct {
		Read int `json:"read"`
	}](ctx, s, "note superseded values", "note_superseded_v1", struct {
		Grace time.Duration `json:"grace"`
		Limit int           `json:"limit"`
	}{grace, limit})
	return answer.Read, err
}

// TakeSuperseded takes values of a code location for removal: superseded longer than grace ago, and such that no open run
// may still load them, the oldest first, at most limit. For the time of the lease nobody else is given them; what is not
// reported by [Store.RemovedValues] until then is due again.
func (s *Store) TakeSuperseded(ctx context.Context, codeLocation string, grace, lease time.Duration, limit int) ([]SupersededValue, error) {
	answer, err := call[struct {
		Values []SupersededValue `json:"values"`
	}](ctx, s, fmt.Sprintf("take superseded values of location %q", codeLocation), "take_superseded_v1", struct {
		CodeLocation string        `json:"code_location"`
		Grace        time.Duration `json:"grace"`
		Lease        time.Duration `json:"lease"`
		Limit        int           `json:"limit"`
	}{codeLocation, grace, lease, limit})
	return answer.Values, err
}

// RemovedValues records that values are gone. Their materializations stay, marked so.
func (s *Store) RemovedValues(ctx context.Context, ids []int64) error {
	_, err := call[struct{}](ctx, s, fmt.Sprintf("record the removal of %d values", len(ids)), "removed_values_v1", struct {
		IDs []int64 `json:"ids"`
	}{orEmpty(ids)})
	return err
}

// KeptValues records that values are not removed after all, because no store removes them: they stay, and are not due
// again.
func (s *Store) KeptValues(ctx context.Context, ids []int64) error {
	return s.try(ctx, fmt.Sprintf("record that %d values stay", len(ids)), func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, "delete from superseded_values where id = any ($1)", pq.Array(ids))
		return err
	})
}
