package definitions

import (
	"time"

	"github.com/perdure-io/perdure/plan"
)

// ScheduleOf is a schedule. Make one with [Schedule] or [PartitionedSchedule].
type ScheduleOf struct {
	declared
	trigger
	job   *Job
	crons []string
	zone  string
	// partitioned is that of a PartitionedSchedule; nil of any other.
	partitioned *partitionedSchedule
	// evaluate is nil without a function.
	evaluate *evaluation
	requests []RunRequest

	catchUp        *CatchUp
	jitter         TickJitter
	overlap        Overlap
	pauseOnFailure bool
}

// evaluation is the function of a schedule without its type.
type evaluation struct {
	bound
	run func(*scope) (Requests, error)
}

// Cron is when a schedule is due: five fields (minute, hour, day of month, month, day of week), or @hourly, @daily, @weekly,
// @monthly, @yearly, in a zone. It is due once a local day where the clocks change, too: at the first moment after a gap, and the
// second time of what is repeated; a cron of every hour follows absolute time.
type Cron struct {
	// Expr is the expression: "0 6 * * MON-FRI".
	Expr string
	// Zone is an IANA name, "America/New_York"; "" is UTC.
	Zone string
}

// ScheduleOption is an option of [Schedule].
type ScheduleOption interface{ applySchedule(*ScheduleOf) }

// Schedule declares a schedule: whenever it is due, it starts a run of the job as that is, or what [Requesting] or [Evaluate] say.
// name is letters, digits, "_", "." and "-"; schedules and sensors share one space of names. A schedule is stopped until somebody
// starts it, unless it has [DefaultRunning].
func Schedule(name string, job *Job, when Cron, opts ...ScheduleOption) *ScheduleOf {
	s := &ScheduleOf{declared: declared{what: "schedule", name: name, at: place()}, job: job, crons: []string{when.Expr}, zone: when.Zone}
	for _, o := range opts {
		if o == nil {
			s.nilOption()
			continue
		}
		o.applySchedule(s)
	}
	return s
}

// Name is the schedule's name.
func (s *ScheduleOf) Name() string {
	if s == nil {
		return ""
	}
	return s.name
}

func (s *ScheduleOf) definitions() []*declaration {
	if s == nil || s.at == "" {
		return nil
	}
	return []*declaration{{schedule: s}}
}

// Requests is what a schedule or a run sensor answers: runs, or why none.
type Requests struct {
	Runs []RunRequest
	// Skip says why there are no runs. It is an error beside some.
	Skip string
}

// ScheduleAnswer is what the function of a schedule may return: runs, none to skip the tick, or [Requests], with a reason for
// that.
type ScheduleAnswer interface{ []RunRequest | Requests }

// Evaluate has a function compute what each tick requests. It may bind [ScheduledTime], [TheTick] and resources. It is called
// again where its worker died before the tick was recorded.
func Evaluate[A ScheduleAnswer](fn Compute[A]) ScheduleOption {
	e := &evaluation{bound: fn.bound}
	e.faults = fn.faultsOf()
	e.run = func(s *scope) (Requests, error) {
		answer, err := fn.run(s)
		if err != nil {
			return Requests{}, err
		}
		return requestsOf(answer), nil
	}
	return e
}

// requestsOf is any answer that a function may give.
func requestsOf(answer any) Requests {
	switch given := answer.(type) {
	case Requests:
		return given
	case []RunRequest:
		return Requests{Runs: given}
	}
	return Requests{}
}

func (e *evaluation) applySchedule(s *ScheduleOf) {
	s.options.once(&s.declared, "evaluate", "Evaluate")
	s.evaluate = e
}

// Requesting has each tick request the same runs.
func Requesting(runs ...RunRequest) ScheduleOption { return requesting(runs) }

type requesting []RunRequest

func (v requesting) applySchedule(s *ScheduleOf) {
	s.options.once(&s.declared, "requests", "Requesting")
	s.requests = v
	if len(v) == 0 {
		s.wrong("requests", "it requests no runs", "request some, or leave Requesting out for one run of its job")
	}
}

// AlsoAt has a schedule be due at more times, of the same zone. Where several crons are due at one time, it is one tick.
func AlsoAt(expressions ...string) ScheduleOption { return alsoAt(expressions) }

type alsoAt []string

func (v alsoAt) applySchedule(s *ScheduleOf) { s.crons = append(s.crons, v...) }

// CatchUp is how many of the ticks that were missed, while no worker ran, are evaluated: the latest ones. Without it, that is 1,
// and 5 of a [PartitionedSchedule]. [AllMissed] is all of them.
type CatchUp int

// AllMissed has a schedule make up for every tick that it missed.
const AllMissed CatchUp = -1

// TickJitter delays each tick by up to that much, each tick always by the same: it spreads schedules that are due at the same time.
// It is shorter than the least time between two ticks.
type TickJitter time.Duration

// Overlap is what becomes of a tick while runs of its schedule are open. Without it, the new runs start beside them.
type Overlap string

// The overlap policies. What waits is started when the open runs have ended.
const (
	AllowAll       Overlap = Overlap(plan.OverlapAllowAll)
	SkipTick       Overlap = Overlap(plan.OverlapSkip)           // the tick starts nothing
	BufferOne      Overlap = Overlap(plan.OverlapBufferOne)      // it waits; of several that wait the others are skipped
	BufferAll      Overlap = Overlap(plan.OverlapBufferAll)      // it waits, one after the other
	CancelOther    Overlap = Overlap(plan.OverlapCancelOther)    // the open runs are canceled, and it starts when they have ended
	TerminateOther Overlap = Overlap(plan.OverlapTerminateOther) // the open runs are terminated
)

// PauseOnFailure stops a schedule when one of its runs has failed and is not tried again.
type PauseOnFailure struct{}

func (v CatchUp) apply(s *ScheduleOf) {
	s.options.once(&s.declared, "catch_up", "CatchUp")
	s.catchUp = &v
}

func (v TickJitter) apply(s *ScheduleOf) {
	s.options.once(&s.declared, "jitter", "TickJitter")
	s.jitter = v
}

func (v Overlap) apply(s *ScheduleOf) {
	s.options.once(&s.declared, "overlap", "Overlap")
	s.overlap = v
}

func (v CatchUp) applySchedule(s *ScheduleOf)      { v.apply(s) }
func (v TickJitter) applySchedule(s *ScheduleOf)   { v.apply(s) }
func (v Overlap) applySchedule(s *ScheduleOf)      { v.apply(s) }
func (PauseOnFailure) applySchedule(s *ScheduleOf) { s.pauseOnFailure = true }

func (v CatchUp) applyPartitionedSchedule(s *ScheduleOf)      { v.apply(s) }
func (v TickJitter) applyPartitionedSchedule(s *ScheduleOf)   { v.apply(s) }
func (v Overlap) applyPartitionedSchedule(s *ScheduleOf)      { v.apply(s) }
func (PauseOnFailure) applyPartitionedSchedule(s *ScheduleOf) { s.pauseOnFailure = true }

// missed is how many of the missed ticks are evaluated.
func (s *ScheduleOf) missed() int {
	const ofPartitions = 5
	switch {
	case s.catchUp != nil:
		return int(*s.catchUp)
	case s.partitioned != nil:
		return ofPartitions
	default:
		return 1
	}
}
