package metadata

import (
	"context"
	"fmt"

	"github.com/perdure-io/perdure/wire"
)

// PoolSetting is what a person sets of a pool.
type PoolSetting struct {
	Pool string
	// Limit is how many use it at once: [Unlimited] is no limit, nil the default's.
	Limit *int
	// Granularity is what the limit counts; "" is the default's.
	Granularity wire.PoolGranularity
	Who, Why    string
}

// Problems are what is wrong with the setting, each with its path.
func (p PoolSetting) Problems() wire.Problems {
	var problems wire.Problems
	if p.Pool == "" {
		problems = append(problems, wire.Problem{Path: "pool", Code: wire.CodeMissing, Message: "it is not said which pool", Fix: "name it"})
	}
	if p.Limit != nil && *p.Limit < Unlimited {
		problems = append(problems, wire.Problem{
			Path: "limit", Code: wire.CodeInvalid, Message: fmt.Sprintf("%d is no number of slots", *p.Limit), Fix: "give a number from 0 on, or -1 for no limit",
		})
	}
	if p.Granularity != "" && !knownGranularity(p.Granularity) {
		problems = append(problems, wire.Problem{
			Path: "granularity", Code: wire.CodeUnknown, Message: fmt.Sprintf("%q is nothing that a pool counts", p.Granularity), Fix: "give step or run",
		})
	}
	return problems
}

// SetPool changes a pool's limit while steps run, and grants what has room then. Nothing is taken from a step that runs: one that runs in a
// pool that had no limit until now counts. An error that is [wire.Problems] says what is wrong; nothing was changed then.
func (s *Store) SetPool(ctx context.Context, setting PoolSetting) (LimitsSet, error) {
	operation := fmt.Sprintf("set the limit of pool %q", setting.Pool)
	if problems := setting.Problems(); len(problems) > 0 {
		return LimitsSet{}, fmt.Errorf("%s: %w", operation, problems)
	}
	return call[LimitsSet](ctx, s, operation, "set_pool_v1", struct {
		Pool        string               `json:"pool"`
		Limit       *int                 `json:"limit"`
		Granularity wire.PoolGranularity `json:"granularity"`
		Who         string               `json:"who"`
		Why         string               `json:"why"`
	}{setting.Pool, setting.Limit, setting.Granularity, setting.Who, setting.Why})
}

// SlotSeizure says which slots of a pool a person frees by force.
type SlotSeizure struct {
	Pool string
	// RunID and Step narrow it down; "" is all.
	RunID, Step string
	Who, Why    string
}

// PoolSlot is a slot of a step.
type PoolSlot struct {
	RunID string `json:"run_id"`
	Step  string `json:"step"`
}

// FreedSlots is the answer of [Store.FreeSlots].
type FreedSlots struct {
	Freed []PoolSlot `json:"freed"`
	// Admitted have got them, and are to be woken.
	Admitted []wire.AdmittedRun `json:"admitted"`
}

// FreeSlots takes slots away from steps that hold them, and hands them on. The steps go on without: this is for leases whose owner is known
// to be gone before anybody noticed.
func (s *Store) FreeSlots(ctx context.Context, seizure SlotSeizure) (FreedSlots, error) {
	return call[FreedSlots](ctx, s, fmt.Sprintf("free slots of pool %q", seizure.Pool), "seize_slots_v1", struct {
		Pool  string `json:"pool"`
		RunID string `json:"run_id"`
		Step  string `json:"step"`
		Who   string `json:"who"`
		Why   string `json:"why"`
	}{seizure.Pool, seizure.RunID, seizure.Step, seizure.Who, seizure.Why})
}
