package metadata

import (
	"context"
	"fmt"

	"github.com/perdure-io/perdure/wire"
)

// Unlimited is a limit that is none.
const Unlimited = -1

// QueueLimits are limits of runs and pools; what is nil stays as it is.
type QueueLimits struct {
	// MaxConcurrentRuns bounds how many runs are in progress at once: [Unlimited] is no bound, 0 admits none.
	MaxConcurrentRuns *int `json:"max_concurrent_runs,omitempty"`
	// TagLimits bound how many runs with a tag are. A run is admitted when every limit that it is under has room.
	TagLimits *[]wire.TagLimit `json:"tag_limits,omitempty"`
	// DefaultPoolLimit is that of pools that have none of their own; 0 is none.
	DefaultPoolLimit *int `json:"default_pool_limit,omitempty"`
	// PoolGranularity is what the limits of pools count that do not say it themselves.
	PoolGranularity *wire.PoolGranularity `json:"pool_granularity,omitempty"`
}

// Problems are what is wrong with the limits, each with its path.
func (l QueueLimits) Problems() wire.Problems {
	var problems wire.Problems
	add := func(path, code, fix, format string, arguments ...any) {
		problems = append(problems, wire.Problem{Path: path, Code: code, Message: fmt.Sprintf(format, arguments...), Fix: fix})
	}
	if n := l.MaxConcurrentRuns; n != nil && *n < Unlimited {
		add("max_concurrent_runs", wire.CodeInvalid, "give a number from 0 on, or -1 for no bound", "%d is no number of runs", *n)
	}
	if n := l.DefaultPoolLimit; n != nil && *n < 0 {
		add("default_pool_limit", wire.CodeInvalid, "give a number from 1 on, or 0 for no limit", "%d is no number of slots", *n)
	}
	if l.PoolGranularity != nil && !knownGranularity(*l.PoolGranularity) {
		add("pool_granularity", wire.CodeUnknown, "give step or run", "%q is nothing that a pool counts", *l.PoolGranularity)
	}
	if l.TagLimits == nil {
		return problems
	}
	seen := map[wire.TagLimit]bool{}
	for i, limit := range *l.TagLimits {
		at := wire.ItemPath("tag_limits", i)
		kind := limit
		kind.Limit = 0
		switch {
		case limit.Key == "":
			add(wire.FieldPath(at, "key"), wire.CodeMissing, "give it", "it is not said which tag is limited")
		case limit.Value != "" && limit.PerValue:
			add(wire.FieldPath(at, "per_value"), wire.CodeConflict, "leave one of the two out", "it is for the value %q and for each value", limit.Value)
		case seen[kind]:
			add(wire.FieldPath(at, "key"), wire.CodeConflict, "leave one of them out", "the %s has two limits", limit)
		}
		seen[kind] = true
		if limit.Limit < 0 {
			add(wire.FieldPath(at, "limit"), wire.CodeInvalid, "give a number from 0 on", "%d is no number of runs", limit.Limit)
		}
	}
	return problems
}

func knownGranularity(granularity wire.PoolGranularity) bool {
	return granularity == wire.PoolOfSteps || granularity == wire.PoolOfRuns
}

// LimitsSet is the answer of a change of limits.
type LimitsSet struct {
	// Changed says that something is other than before.
	Changed bool `json:"changed"`
	// Admitted may go on since, and are to be woken.
	Admitted []wire.AdmittedRun `json:"admitted"`
}

// SetQueueLimits changes limits while runs are in progress, and admits what has room then. Nothing is taken from a run that has begun.
// An error that is [wire.Problems] says what is wrong with them; nothing was changed then.
func (s *Store) SetQueueLimits(ctx context.Context, limits QueueLimits, who, why string) (LimitsSet, error) {
	return s.setQueueLimits(ctx, limits, who, why, nil)
}

// QueueConfig are the limits as the configuration has them.
type QueueConfig struct {
	MaxConcurrentRuns int                  `json:"max_concurrent_runs"`
	TagLimits         []wire.TagLimit      `json:"tag_limits"`
	DefaultPoolLimit  int                  `json:"default_pool_limit"`
	PoolGranularity   wire.PoolGranularity `json:"pool_granularity"`
}

// ConfigureQueue applies the configuration, when it says something else than what was applied last: so what a person has changed since
// stays as it is until the configuration changes.
func (s *Store) ConfigureQueue(ctx context.Context, config QueueConfig) (LimitsSet, error) {
	config.TagLimits = orEmpty(config.TagLimits)
	return s.setQueueLimits(ctx, QueueLimits{
		MaxConcurrentRuns: &config.MaxConcurrentRuns, TagLimits: &config.TagLimits, DefaultPoolLimit: &config.DefaultPoolLimit,
		PoolGranularity: &config.PoolGranularity,
	}, "configuration", "", &config)
}

func (s *Store) setQueueLimits(ctx context.Context, limits QueueLimits, who, why string, configured *QueueConfig) (LimitsSet, error) {
	const operation = "set the limits of the queue"
	if problems := limits.Problems(); len(problems) > 0 {
		return LimitsSet{}, fmt.Errorf("%s: %w", operation, problems)
	}
	if limits.TagLimits != nil {
		given := orEmpty(*limits.TagLimits)
		limits.TagLimits = &given
	}
	return call[LimitsSet](ctx, s, operation, "set_queue_limits_v1", struct {
		QueueLimits
		Who        string       `json:"who"`
		Why        string       `json:"why"`
		Configured *QueueConfig `json:"configured,omitempty"`
	}{limits, who, why, configured})
}
