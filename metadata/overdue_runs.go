package metadata

import (
	"context"
	"time"
)

// OverdueLimits are how long a run may be on its way somewhere; 0 is no limit.
type OverdueLimits struct {
	// Start bounds STARTING, from the run's start or its leaving the queue on. Cancel bounds CANCELING, and what a run takes
	// beyond the time that it may.
	Start, Cancel time.Duration
}

// OverdueRuns lists at most limit open runs that have not begun, not stopped, or not ended in time, the oldest first. Those in
// the queue are none of them.
func (s *Store) OverdueRuns(ctx context.Context, limits OverdueLimits, limit int) ([]Run, error) {
	// The event of a run that leaves the queue names none; that of one that the daemon found does.
	return rows[Run](ctx, s, "list runs that are overdue", `
		with late as (
			select r.run_id, r.created_at from runs r
			where r.status in ('STARTING', 'STARTED', 'CANCELING') and case r.status
				when 'STARTING' then $1::bigint > 0 and clock_v1() - $1::bigint / 1000 * interval '1 microsecond' > coalesce((
					select max(e.at) from event_log e where e.run_id = r.run_id and e.type = 'RUN_STARTING' and not e.body ? 'queue'), r.created_at)
				when 'CANCELING' then $2::bigint > 0 and clock_v1() - $2::bigint / 1000 * interval '1 microsecond' > coalesce((
					select max(e.at) from event_log e where e.run_id = r.run_id and e.type = 'RUN_CANCELING'), r.created_at)
				else $2::bigint > 0 and r.timeout > 0
					and clock_v1() - ($2::bigint + r.timeout) / 1000 * interval '1 microsecond' > r.started_at end
			order by r.created_at, r.run_id limit $3)
		select to_jsonb(o) from (
			select `+runColumns+` from runs r join late using (run_id) order by r.created_at, r.run_id) o`,
		int64(limits.Start), int64(limits.Cancel), pageSize(limit))
}
