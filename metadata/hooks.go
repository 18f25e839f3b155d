package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// HookOutcome is what became of a hook.
type HookOutcome string

// The outcomes of hooks.
const (
	HookCompleted HookOutcome = "completed"
	HookErrored   HookOutcome = "errored"
	HookSkipped   HookOutcome = "skipped" // a success hook of a step that failed, or the other way round
)

// HookRun is what became of one hook of a step that has ended.
type HookRun struct {
	Run, Step string
	// Scheduled is Temporal's ScheduledTime of the activity that ran the step's hooks: after a reset they run again.
	Scheduled time.Time
	// Hook is its name.
	Hook    string
	Outcome HookOutcome
	// Error is set of one that errored.
	Error *wire.ErrorInfo
}

// RecordHook records what became of a hook, once, with an event of its step; isNew is false when it was recorded before.
func (s *Store) RecordHook(ctx context.Context, hook HookRun) (isNew bool, err error) {
	answer, err := call[struct {
		New bool `json:"new"`
	}](ctx, s, fmt.Sprintf("record hook %q of step %q of run %q", hook.Hook, hook.Step, hook.Run), "record_hook_v1", struct {
		Run       string          `json:"run"`
		Step      string          `json:"step"`
		Scheduled int64           `json:"scheduled"`
		Hook      string          `json:"hook"`
		Outcome   HookOutcome     `json:"outcome"`
		Error     *wire.ErrorInfo `json:"error,omitempty"`
	}{hook.Run, hook.Step, nanoseconds(hook.Scheduled), hook.Hook, hook.Outcome, hook.Error})
	return answer.New, err
}

// HooksDone names the hooks of a step that are recorded for this scheduling: an activity that runs again leaves them out.
func (s *Store) HooksDone(ctx context.Context, run, step string, scheduled time.Time) ([]string, error) {
	var names []string
	err := s.try(ctx, fmt.Sprintf("list the hooks that ran for step %q of run %q", step, run), func(ctx context.Context) error {
		names = nil
		return s.db.SelectContext(ctx, &names, "select hook from hook_runs where run_id = $1 and step = $2 and scheduled = $3 order by hook",
			run, step, nanoseconds(scheduled))
	})
	return names, err
}
