package testlocation

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// Schedule is a schedule of a Spec, over a job of its own name with "_job" behind it.
type Schedule struct {
	Name string `json:"name"`
	// Crons are when it is due, in Zone. Without any it is the schedule of a partitioned job.
	Crons []string `json:"crons,omitempty"`
	Zone  string   `json:"zone,omitempty"`
	// Assets are the keys that its job makes; none is all of the location.
	Assets []string `json:"assets,omitempty"`
	// Running, CatchUp, Jitter, Overlap and PauseOnFailure are as in definitions.
	Running        bool                 `json:"running,omitempty"`
	CatchUp        *definitions.CatchUp `json:"catch_up,omitempty"`
	Jitter         time.Duration        `json:"jitter,omitempty"`
	Overlap        definitions.Overlap  `json:"overlap,omitempty"`
	PauseOnFailure bool                 `json:"pause_on_failure,omitempty"`
	// Computed has its function called, which does what it is instructed by [ScheduleKey], and requests so many runs under a key; none
	// skips.
	Computed bool `json:"computed,omitempty"`
	Runs     int  `json:"runs,omitempty"`
	// Partition is the one that its runs are for, whether it exists or not.
	Partition string `json:"partition,omitempty"`
	// Stale narrows its runs to what is stale.
	Stale bool `json:"stale,omitempty"`
	// Note changes its definition, and nothing else.
	Note string `json:"note,omitempty"`
}

// ScheduleKey is by what the function of a schedule is told what to do, and notes that it was called, with its time as partition.
func ScheduleKey(name string) string { return "schedule " + name }

func (s Schedule) declare(controls Controls) []definitions.Definition {
	selection := definitions.Select("*")
	if len(s.Assets) > 0 {
		selection = definitions.Select(strings.Join(s.Assets, " or "))
	}
	job := definitions.AssetJob(s.Name+"_job", selection)
	var both []scheduleOption
	add := func(has bool, option scheduleOption) {
		if has {
			both = append(both, option)
		}
	}
	add(s.Running, definitions.DefaultRunning{})
	add(s.CatchUp != nil, orZero(s.CatchUp))
	add(s.Jitter > 0, definitions.TickJitter(s.Jitter))
	add(s.Overlap != "", s.Overlap)
	add(s.PauseOnFailure, definitions.PauseOnFailure{})
	add(s.Note != "", definitions.Description(s.Note))
	if len(s.Crons) == 0 {
		var options []definitions.PartitionedScheduleOption
		for _, option := range both {
			options = append(options, option)
		}
		return []definitions.Definition{job, definitions.PartitionedSchedule(s.Name, job, options...)}
	}
	var options []definitions.ScheduleOption
	for _, option := range both {
		options = append(options, option)
	}
	if len(s.Crons) > 1 {
		options = append(options, definitions.AlsoAt(s.Crons[1:]...))
	}
	if s.Computed {
		f := &scheduleFunction{schedule: s, job: job, controls: controls}
		options = append(options, definitions.Evaluate(definitions.Bind1(f.evaluate, definitions.ScheduledTime)))
	}
	return []definitions.Definition{job, definitions.Schedule(s.Name, job, definitions.Cron{Expr: s.Crons[0], Zone: s.Zone}, options...)}
}

type scheduleOption interface {
	definitions.ScheduleOption
	definitions.PartitionedScheduleOption
}

func orZero[T any](value *T) T {
	if value == nil {
		var zero T
		return zero
	}
	return *value
}

// scheduleFunction is the function of a schedule.
type scheduleFunction struct {
	schedule Schedule
	job      *definitions.Job
	controls Controls
	calls    atomic.Int64
}

func (f *scheduleFunction) evaluate(ctx definitions.Context, at time.Time) (definitions.Requests, error) {
	note := Note{
		What: Called, Asset: ScheduleKey(f.schedule.Name), Partition: at.Format(time.RFC3339), Attempt: 1,
		Call: fmt.Sprintf("%s:%d:%d", f.schedule.Name, os.Getpid(), f.calls.Add(1)),
	}
	if err := f.controls.write(note); err != nil {
		return definitions.Requests{}, err
	}
	ctx.Log().Info("evaluating", "at", note.Partition)
	instruction, err := f.controls.wait(ctx, note, func(i Instruction) bool { return i.Hold })
	switch {
	case err != nil:
		return definitions.Requests{}, err
	case instruction.Kill:
		return definitions.Requests{}, kill()
	case instruction.Panic:
		panic("as it was told to")
	case instruction.FailAll:
		return definitions.Requests{}, errInstructed
	case f.schedule.Runs == 0:
		return definitions.Requests{Skip: "there is nothing to do at " + note.Partition}, nil
	}
	var asked definitions.Requests
	for i := range f.schedule.Runs {
		options := []definitions.RequestOption{definitions.RunKey(fmt.Sprintf("k%d", i+1))}
		if f.schedule.Partition != "" {
			options = append(options, definitions.ForPartition(f.schedule.Partition))
		}
		if f.schedule.Stale {
			options = append(options, definitions.StaleOnly{})
		}
		asked.Runs = append(asked.Runs, f.job.Request(options...))
	}
	return asked, nil
}
