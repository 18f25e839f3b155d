package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/perdure-io/perdure/wire"
)

// NotedRun is a run whose workflow is open in Temporal and which has not begun.
type NotedRun struct {
	// ID, FirstRunID, Location and Queue are as in [NewRun]. Location is the one that it was meant for, "" when nobody knows.
	ID, FirstRunID, Location, Queue string
	// Request is what it was started with; nil when that cannot be read.
	Request *wire.RunRequest
	// Reason says why it does not begin.
	Reason string
	// Created is when it was started; the zero time is now.
	Created time.Time
}

// NoteRun gives a run that never began a row, in status STARTING, so that it is seen, and can be ended. Its planning
// adopts the row. Of one that has a row nothing changes but the reason, while it has not begun. isNew says that the row
// was made.
func (s *Store) NoteRun(ctx context.Context, run NotedRun) (isNew bool, err error) {
	request := run.Request
	if request == nil {
		request = &wire.RunRequest{}
	}
	answer, err := call[struct {
		New bool `json:"new"`
	}](ctx, s, fmt.Sprintf("note run %q", run.ID), "note_run_v1", struct {
		RunID      string            `json:"run_id"`
		FirstRunID string            `json:"first_run_id"`
		Location   string            `json:"location"`
		Queue      string            `json:"queue"`
		Job        string            `json:"job"`
		Selection  string            `json:"selection"`
		Title      string            `json:"title"`
		Note       string            `json:"note"`
		Tags       map[string]string `json:"tags,omitempty"`
		Config     json.RawMessage   `json:"config,omitempty"`
		Cause      string            `json:"cause"`
		Request    *wire.RunRequest  `json:"request"`
		Reason     string            `json:"reason"`
		Created    int64             `json:"created"`
	}{
		run.ID, run.FirstRunID, run.Location, run.Queue, request.Job, request.Assets.String(), request.Title, request.Note, request.Tags,
		request.Config, request.Cause, run.Request, run.Reason, nanoseconds(run.Created),
	})
	return answer.New, err
}

// SetRunReason says why an open run waits; "" that it does no longer. It changes nothing on a run that is being
// cancelled or has ended. [ErrNotFound] says that there is no such run.
func (s *Store) SetRunReason(ctx context.Context, run, reason string) error {
	operation := fmt.Sprintf("say why run %q waits", run)
	answer, err := call[struct {
		Found bool `json:"found"`
	}](ctx, s, operation, "set_run_reason_v1", struct {
		Run    string `json:"run"`
		Reason string `json:"reason"`
	}{run, reason})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such run: %w", operation, ErrNotFound)
	}
	return err
}

// Canceling is a cancel that was asked for.
type Canceling struct {
	// RunID and FirstRunID are as in [NewRun].
	RunID, FirstRunID string
	// Scheduled is Temporal's ScheduledTime of the activity that records it: later than the run's end, it comes from a reset
	// and reopens the run. The zero time reopens nothing.
	Scheduled time.Time
	// Execution is Temporal's id of the execution that is cancelled: one that has recorded the run's end reopens nothing.
	Execution string
	// Reason says who cancels and why; "" when nobody said. It becomes the reason of the run's end.
	Reason string
}

// MarkCanceling records that a run is being cancelled, once: status CANCELING. A run that has ended stays as it is.
// It returns how the run stands then. [ErrNotFound] says that no run has both ids.
func (s *Store) MarkCanceling(ctx context.Context, canceling Canceling) (wire.CancelingResult, error) {
	operation := fmt.Sprintf("record the cancel of run %q", canceling.RunID)
	answer, err := call[struct {
		wire.CancelingResult
		Found bool `json:"found"`
	}](ctx, s, operation, "mark_canceling_v1", struct {
		Run        string `json:"run"`
		FirstRunID string `json:"first_run_id"`
		Scheduled  int64  `json:"scheduled"`
		Execution  string `json:"execution"`
		Reason     string `json:"reason"`
	}{canceling.RunID, canceling.FirstRunID, nanoseconds(canceling.Scheduled), canceling.Execution, canceling.Reason})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such run with first execution %q: %w", operation, canceling.FirstRunID, ErrNotFound)
	}
	return answer.CancelingResult, err
}

// ExecutionSeen is when an execution of a run was first heard of, in nanoseconds since 1970: what the steps that it runs
// as local activities claim with as Scheduled. It is the same however often they run again, and later for an execution
// that comes later, after a reset. execution is Temporal's id of it. at is the workflow's own time (workflow.Now), kept of
// the first call; zero is the time of this process, whose clock may differ from Temporal's. [ErrNotFound] says that there
// is no such run.
func (s *Store) ExecutionSeen(ctx context.Context, run, execution string, at time.Time) (int64, error) {
	if at.IsZero() {
		at = time.Now()
	}
	operation := fmt.Sprintf("look up execution %q of run %q", execution, run)
	answer, err := call[struct {
		Found bool  `json:"found"`
		Seen  int64 `json:"seen"`
	}](ctx, s, operation, "execution_seen_v1", struct {
		Run       string `json:"run"`
		Execution string `json:"execution"`
		At        int64  `json:"at"`
	}{run, execution, at.UnixNano()})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such run: %w", operation, ErrNotFound)
	}
	return answer.Seen, err
}

// OpenRuns lists the runs that have not ended and began more than openFor ago, the oldest first.
func (s *Store) OpenRuns(ctx context.Context, openFor time.Duration, cursor string, limit int) (Page[Run], error) {
	const operation = "list open runs"
	after, err := cursorOf[runCursor](cursor)
	if err != nil {
		return Page[Run]{}, fmt.Errorf("%s: %w", operation, err)
	}
	found, err := rows[Run](ctx, s, operation, `
		select to_jsonb(page) from (
			select `+runColumns+` from runs r
			where r.status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING') and (r.created_at, r.run_id) > ($1, $2)
			  and r.created_at < clock_v1() - $3::bigint / 1000 * interval '1 microsecond'
			order by r.created_at, r.run_id limit $4) page`, after.CreatedAt, after.ID, int64(openFor), pageSize(limit)+1)
	if err != nil {
		return Page[Run]{}, err
	}
	return pageOf(found, pageSize(limit), func(last Run) runCursor { return runCursor{last.CreatedAt, last.ID} })
}

// RunsByID reads those of the runs that there are, by id.
func (s *Store) RunsByID(ctx context.Context, ids []string) (map[string]Run, error) {
	found, err := rows[Run](ctx, s, "read runs", `
		select to_jsonb(r) from (select `+runColumns+` from runs r where r.run_id = any ($1)) r`, pq.Array(ids))
	if err != nil {
		return nil, err
	}
	runs := make(map[string]Run, len(found))
	for _, run := range found {
		runs[run.ID] = run
	}
	return runs, nil
}
