package definitions

import (
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// triggers checks the schedules and sensors: each by itself, and then what it asks for, where the rest is valid.
func (v *validation) triggers() {
	d := v.definitions
	for _, s := range d.schedules {
		v.schedule(s)
	}
	for _, s := range d.sensors {
		v.sensor(s)
	}
}

// plannable says whether it can be asked what a run of a job would be: where something is wrong with it, that is told already.
func (v *validation) plannable(j *Job) bool {
	if v.planner == nil || slices.ContainsFunc(v.problems, func(p Problem) bool { return p.Object == j.object() }) {
		return false
	}
	_, err := v.planner.JobContents(j.name)
	return err == nil
}

// trigger checks what schedules and sensors have in common.
func (v *validation) trigger(d *declared, t *trigger) {
	v.problems = append(v.problems, d.problems()...)
	for _, problem := range plan.TagProblems("tags", t.tags) {
		v.add(d.problem(problem.Path, problem.Message, problem.Fix))
	}
	v.owners(d, t.owners)
	if _, _, err := lowerMetadata(t.metadata); err != nil {
		v.add(d.problem("metadata", err.Error(), "correct it"))
	}
}

// jobOf checks a job that a schedule or sensor names, and says whether it can be used.
func (v *validation) jobOf(d *declared, field string, j *Job) bool {
	switch {
	case j == nil || j.at == "":
		v.add(d.problem(field, "it names a job that was never declared", "declare it with AssetJob or OpJob"))
	case !slices.Contains(v.definitions.jobs, j):
		v.add(v.unlisted(d, field, &j.declared))
	default:
		return true
	}
	return false
}

func (v *validation) schedule(s *ScheduleOf) {
	v.trigger(&s.declared, &s.trigger)
	plannable := v.jobOf(&s.declared, "job", s.job) && v.plannable(s.job)
	if s.evaluate != nil {
		v.tickFunction(&s.declared, &s.trigger, "evaluate", s.evaluate.bound, tickTime, tickInfo)
		if s.requests != nil {
			v.add(s.problem("requests", "it has Requesting and Evaluate", "leave one of the two out"))
		}
	}
	if s.evaluate == nil && len(s.configured) > 0 {
		v.add(s.problem("config", "it has Configure, and no function that binds a resource", "configure the job, or what Requesting requests"))
	}
	if s.catchUp != nil && *s.catchUp < 1 && *s.catchUp != AllMissed {
		v.add(s.problem("catch_up", fmt.Sprintf("%d of the missed ticks are to be evaluated", *s.catchUp), "use at least 1, or AllMissed"))
	}
	switch s.overlap {
	case AllowAll, SkipTick, BufferOne, BufferAll, CancelOther, TerminateOther:
	default:
		v.add(s.problem("overlap", fmt.Sprintf("%q is no overlap policy", s.overlap), "use AllowAll, SkipTick, BufferOne, BufferAll, CancelOther or TerminateOther"))
	}
	crons, zone := s.crons, s.zone
	if s.partitioned != nil {
		crons = nil
		if plannable {
			ticks, faults := s.partitioned.ticks(v.planner.JobPartitions(s.job.name))
			for _, f := range faults {
				v.add(s.problem(f.field, f.message, f.fix))
			}
			if len(faults) == 0 {
				crons, zone = []string{ticks.Expr}, ticks.Zone
			}
		}
	}
	v.ticks(s, crons, zone)
	switch {
	case !plannable || s.evaluate != nil:
	case s.partitioned == nil:
		v.fixedRequests(s)
	case len(crons) > 0:
		v.wire(&s.declared, v.planner.CheckRequest(wire.RunRequest{Job: s.job.name, Partition: "any"}))
	}
}

// ticks checks when a schedule is due.
func (v *validation) ticks(s *ScheduleOf, crons []string, zone string) {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		v.add(s.problem("zone", fmt.Sprintf("there is no zone %q", zone), `use an IANA name, as "America/New_York"; "" is UTC`))
		location = time.UTC
	}
	var parsed []partition.Cron
	for _, expression := range crons {
		cron, err := partition.ParseCron(expression)
		if err != nil {
			v.add(s.problem("cron", err.Error(), `write five fields: "0 6 * * MON-FRI"`))
			continue
		}
		parsed = append(parsed, cron)
	}
	switch jitter := time.Duration(s.jitter); {
	case jitter < 0:
		v.add(s.problem("jitter", fmt.Sprintf("the jitter is %s", jitter), "set a positive duration, or leave TickJitter out"))
	case jitter > 0:
		if least := leastInterval(parsed, location); least > 0 && jitter >= least {
			v.add(s.problem("jitter", fmt.Sprintf("the jitter of %s is not shorter than the %s from one tick to the next", jitter, least), "set a shorter one"))
		}
	}
}

// leastInterval is the least time between two of the next ticks; 0 where there are no two.
func leastInterval(crons []partition.Cron, zone *time.Location) time.Duration {
	const looked = 400
	var least time.Duration
	at := time.Date(2024, time.January, 1, 0, 0, 0, 0, zone).Add(-time.Second) // a leap year
	var before time.Time
	for range looked {
		var next time.Time
		for _, cron := range crons {
			if tick, ok := cron.Next(at, zone); ok && (next.IsZero() || tick.Before(next)) {
				next = tick
			}
		}
		if next.IsZero() {
			break
		}
		if between := next.Sub(before); !before.IsZero() && (least == 0 || between < least) {
			least = between
		}
		before, at = next, next
	}
	return least
}

// fixedRequests checks what a schedule without a function starts.
func (v *validation) fixedRequests(s *ScheduleOf) {
	asked := s.requests
	if asked == nil {
		asked = []RunRequest{s.job.Request()}
	}
	_, problems := (&requests{definitions: v.definitions, check: v.planner.CheckRequest, targets: []*Job{s.job}, what: s.object()}).lower(asked)
	for i := range problems {
		if s.requests == nil && problems[i].Code == wire.CodeMissing && pathEnds(problems[i].Path, ".partition") {
			problems[i] = wire.Problem{
				Path: "job", Message: fmt.Sprintf("%s is partitioned, and nothing says which partitions a tick is for", s.job.object()),
				Fix: "use PartitionedSchedule, or Evaluate",
			}
		}
	}
	v.wire(&s.declared, problems)
}
