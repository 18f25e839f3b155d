package metadata

import (
	"context"
	"time"

	"github.com/lib/pq"
)

type deleted struct {
	Deleted int `json:"deleted"`
}

type purge struct {
	Before time.Time `json:"before"`
	Limit  int       `json:"limit"`
}

// Each of these deletes at most limit rows (runs: with all that belongs to them) in one transaction and says how many:
// fewer than limit, and there is no more. Several processes at once do not wait for each other.

// PurgeLogLines deletes log lines that were logged before then, the oldest first.
func (s *Store) PurgeLogLines(ctx context.Context, before time.Time, limit int) (int, error) {
	answer, err := call[deleted](ctx, s, "delete old log lines", "purge_log_v1", purge{before, limit})
	return answer.Deleted, err
}

// PurgeRuns forgets runs that ended before then, the oldest first, with their plans, steps, log lines and materializations
// but those that are still current. Stored values are superseded by it. A run that an open one takes steps over from
// stays.
func (s *Store) PurgeRuns(ctx context.Context, before time.Time, limit int) (int, error) {
	answer, err := call[deleted](ctx, s, "delete old runs", "purge_runs_v1", purge{before, limit})
	return answer.Deleted, err
}

// PurgeBackfills forgets backfills that ended before then and of which no run is left, the oldest first.
func (s *Store) PurgeBackfills(ctx context.Context, before time.Time, limit int) (int, error) {
	answer, err := call[deleted](ctx, s, "delete old backfills", "purge_backfills_v1", purge{before, limit})
	return answer.Deleted, err
}

// PurgeRefusals forgets requests that were refused before then, the oldest first.
func (s *Store) PurgeRefusals(ctx context.Context, before time.Time, limit int) (int, error) {
	answer, err := call[deleted](ctx, s, "delete old refused requests", "purge_refusals_v1", purge{before, limit})
	return answer.Deleted, err
}

// PurgeAlerts forgets alerts from before then that were delivered, or given up, and are over, the oldest first, and mutes that are over.
func (s *Store) PurgeAlerts(ctx context.Context, before time.Time, limit int) (int, error) {
	answer, err := call[deleted](ctx, s, "delete old alerts", "purge_alerts_v1", purge{before, limit})
	return answer.Deleted, err
}

// DropMonths drops the months of the event log that ended before then, and returns the names of their tables. Like
// [Store.EnsureMonths] it returns [ErrContended] when something reads the log for seconds: the next day is soon enough.
func (s *Store) DropMonths(ctx context.Context, before time.Time) ([]string, error) {
	bounded, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	var dropped []string
	err := s.db.QueryRowContext(bounded, "select drop_months_v1($1)", before).Scan(pq.Array(&dropped))
	return dropped, translate(ctx, "drop old months of the event log", err)
}

// FreeOrphans takes away, at most limit, the holds on assets of steps that have ended or whose run has: what a workflow left behind
// that was terminated.
func (s *Store) FreeOrphans(ctx context.Context, limit int) (int, error) {
	answer, err := call[struct {
		Freed int `json:"freed"`
	}](ctx, s, "free orphaned writers", "free_orphans_v1", purge{Limit: limit})
	return answer.Freed, err
}
