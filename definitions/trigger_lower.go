package definitions

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// triggers lowers the schedules and sensors, over a snapshot that has all else.
func (l *lowering) triggers(s *plan.Snapshot) error {
	d := l.definitions
	if l.inProcess != nil || len(d.schedules)+len(d.sensors) == 0 {
		return nil // what a test replaces has no partitions that a schedule could follow
	}
	planner, err := plan.NewPlanner(s, nil)
	if err != nil {
		return err
	}
	for _, schedule := range d.schedules {
		lowered, err := l.schedule(schedule, planner)
		if err != nil {
			return fmt.Errorf("%s: %w", schedule.object(), err)
		}
		s.Schedules = append(s.Schedules, lowered)
	}
	for _, sensor := range d.sensors {
		lowered, err := l.sensor(sensor)
		if err != nil {
			return fmt.Errorf("%s: %w", sensor.object(), err)
		}
		s.Sensors = append(s.Sensors, lowered)
	}
	slices.SortFunc(s.Schedules, func(a, b plan.Schedule) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Sensors, func(a, b plan.Sensor) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

func (l *lowering) schedule(s *ScheduleOf, planner *plan.Planner) (plan.Schedule, error) {
	metadata, _, err := lowerMetadata(s.metadata)
	if err != nil {
		return plan.Schedule{}, err
	}
	lowered := plan.Schedule{
		Name: s.name, Description: s.description, Tags: maps.Clone(s.tags), Owners: sorted(s.owners), Metadata: metadata,
		Job: s.job.name, Crons: s.crons, Zone: s.zone, Partitioned: s.partitioned != nil, Computed: s.evaluate != nil,
		Running: s.running, CatchUp: s.missed(), Jitter: time.Duration(s.jitter), Overlap: plan.Overlap(s.overlap),
		PauseOnFailure: s.pauseOnFailure, Timeout: s.timeout.duration(), At: s.at,
	}
	if s.partitioned != nil {
		set := planner.JobPartitions(s.job.name)
		ticks, faults := s.partitioned.ticks(set)
		if len(faults) > 0 {
			return plan.Schedule{}, fmt.Errorf("%s: %s", faults[0].message, faults[0].fix)
		}
		lowered.Crons, lowered.Zone = []string{ticks.Expr}, ticks.Zone
		compiled, err := partition.New(*set)
		if err != nil {
			return plan.Schedule{}, err
		}
		lowered.Dynamic = compiled.Dynamic()
	}
	if lowered.Crons, err = sameCrons(lowered.Crons); err != nil {
		return plan.Schedule{}, err
	}
	if lowered.Zone == time.UTC.String() {
		lowered.Zone = ""
	}
	if s.evaluate != nil {
		lowered.Resources = l.resourceNames(s.evaluate.needs)
	}
	runs, problems := (&requests{definitions: l.definitions, targets: []*Job{s.job}, what: s.object()}).lower(s.requests)
	for _, run := range runs {
		lowered.Requests = append(lowered.Requests, run.Request)
	}
	return lowered, problems.Err()
}

// sameCrons are the expressions that mean different times, in one form for all that mean the same.
func sameCrons(expressions []string) ([]string, error) {
	var crons []string
	for _, expression := range expressions {
		cron, err := partition.ParseCron(expression)
		if err != nil {
			return nil, err
		}
		crons = append(crons, cron.String())
	}
	slices.Sort(crons)
	return slices.Compact(crons), nil
}

// resourceNames are those of all that is bound, and of what that needs, sorted.
func (l *lowering) resourceNames(needs []need) []string {
	names := map[string]bool{}
	l.addResources(names, needs)
	return sorted(slices.Collect(maps.Keys(names)))
}

func (l *lowering) sensor(s *sensor) (plan.Sensor, error) {
	metadata, _, err := lowerMetadata(s.metadata)
	if err != nil {
		return plan.Sensor{}, err
	}
	lowered := plan.Sensor{
		Name: s.name, Kind: s.kind, Description: s.description, Tags: maps.Clone(s.tags), Owners: sorted(s.owners), Metadata: metadata,
		Jobs: jobNames(s.targets), Every: s.every, MinInterval: s.minInterval, Timeout: s.timeout.duration(),
		Resources: l.resourceNames(s.function.needs), Running: s.running, Assets: sorted(assetKeys(s.assets)), All: s.all,
		Statuses: sortedStatuses(s.statuses), MonitoredJobs: jobNames(s.monitored), MonitoredLocations: sorted(s.locations), AllLocations: s.allLocations,
		AfterRetries: s.afterRetries,
		At:           s.at,
	}
	if s.cursor != nil {
		lowered.CursorType = s.cursor.String()
	}
	if p := s.eventPayload(); p != nil {
		lowered.Events, lowered.EventType = true, p.typ.String()
	}
	return lowered, nil
}

// eventPayload is the type of events that the sensor's function takes; nil when it takes none.
func (s *sensor) eventPayload() *payload {
	var found *payload
	for _, n := range s.function.needs {
		n.each(nil, func(n need) {
			if n.kind == needTick && n.tick == tickEvents && found == nil {
				found = n.payload
			}
		})
	}
	return found
}

func jobNames(jobs []*Job) []string {
	var names []string
	for _, j := range jobs {
		if !slices.Contains(names, j.Name()) {
			names = append(names, j.Name())
		}
	}
	slices.Sort(names)
	return names
}

func assetKeys(assets []AnyAsset) []string {
	var keys []string
	for _, handle := range assets {
		if a := baseOf(handle); a != nil && !slices.Contains(keys, a.name) {
			keys = append(keys, a.name)
		}
	}
	return keys
}

func sortedStatuses(statuses []wire.RunStatus) []wire.RunStatus {
	if len(statuses) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(statuses)))
}
