package metadata

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/lib/pq"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const (
	// mostMaterializations is how many an asset sensor is given at most, and mostOfEach how many of each asset when it waits for all
	// of them: these are the newest.
	mostMaterializations = 1000
	mostOfEach           = 25
	// mostRunEvents is how many runs a run-status sensor is given at most, runEventsScanned how many events are looked at at a time,
	// when most are of runs that it does not watch.
	mostRunEvents    = 25
	runEventsScanned = 1000
)

// LogRecord is what a sensor reads in the log: a materialization, or the status that a run has taken.
type LogRecord struct {
	Event
	// Metadata and DataVersion are a materialization's.
	Metadata    []wire.Metadatum `json:"metadata"`
	DataVersion string           `json:"data_version"`
	// The rest is a run's, as it is now: what asked for it, its one partition, and, of one that failed, whether it is started again by
	// itself; nil while that is not decided.
	Location     string            `json:"location"`
	Job          string            `json:"job"`
	Tags         map[string]string `json:"tags"`
	RunPartition string            `json:"run_partition"`
	TriggerKind  wire.TriggerKind  `json:"trigger_kind"`
	TriggerName  string            `json:"trigger_name"`
	WillRetry    *bool             `json:"will_retry"`
}

// RunStatus is the status that the record's run has taken, "" of a materialization.
func (r LogRecord) RunStatus() wire.RunStatus {
	for status, event := range statusEvents {
		if event == r.Type {
			return status
		}
	}
	return ""
}

// LogRead is what a sensor has read in the log.
type LogRead struct {
	// Records are in the order of the log.
	Records []LogRecord
	// Upto is the position to go on from once all Records are taken in; More says that there may be more.
	Upto int64
	More bool
	// Waiting are the assets of which there is nothing new, of a sensor that waits for all of them. Until there are none, its position
	// stays.
	Waiting []string
}

// ReadForSensor reads what a sensor of a location watches, after a position. nil is a sensor that has read nothing yet: one of
// assets begins with the newest materialization of each; one of runs is given its position when it begins to listen, and reads
// from the log's end without it.
func (s *Store) ReadForSensor(ctx context.Context, location string, sensor plan.Sensor, position *int64) (LogRead, error) {
	operation := fmt.Sprintf("read the event log for sensor %q of location %q", sensor.Name, location)
	switch {
	case sensor.Kind == plan.SensorOfAssets && sensor.All:
		return s.readNewest(ctx, operation, sensor, position)
	case sensor.Kind == plan.SensorOfAssets && position == nil:
		return s.readNewest(ctx, operation, sensor, nil)
	case sensor.Kind == plan.SensorOfAssets:
		return s.readMaterializations(ctx, operation, sensor, *position)
	case sensor.Kind == plan.SensorOfRuns && position == nil:
		head, err := s.Head(ctx)
		return LogRead{Upto: head}, err
	case sensor.Kind == plan.SensorOfRuns:
		return s.readRuns(ctx, operation, location, sensor, *position)
	default:
		return LogRead{}, fmt.Errorf("%s: %w: it does not read it", operation, ErrInvalid)
	}
}

// readAt is what one statement reads: Head is the log's end for it.
type readAt struct {
	Head    int64       `json:"head"`
	Scanned int         `json:"scanned"`
	Last    int64       `json:"last"`
	Records []LogRecord `json:"records"`
}

func (s *Store) readAt(ctx context.Context, operation, query string, arguments ...any) (readAt, error) {
	read, err := rows[readAt](ctx, s, operation, query, arguments...)
	if err != nil {
		return readAt{}, err
	}
	return read[0], nil
}

const materializationColumns = `l.position, l.at, l.type, l.run_id, l.step, l.asset, l.partition, l.cause, l.body`

// readAsRecords adds what the row of a materialization has that its event has not. A wipe may have deleted the row.
const readAsRecords = `
	select jsonb_build_object('head', (select position from log_head), 'records', coalesce((
		select jsonb_agg(to_jsonb(e) || jsonb_build_object('metadata', coalesce(m.metadata, nullif(e.body->'metadata', 'null'), '[]'),
			'data_version', coalesce(m.data_version, e.body->>'data_version', '')) order by e.position)
		from (%s) e left join materializations m on m.position = e.position), '[]'))`

// readMaterializations reads in the order of the log.
func (s *Store) readMaterializations(ctx context.Context, operation string, sensor plan.Sensor, position int64) (LogRead, error) {
	read, err := s.readAt(ctx, operation, fmt.Sprintf(readAsRecords, `
		select l.* from unnest($1::text[]) a(asset)
		cross join lateral (
			select `+materializationColumns+` from event_log l
			where l.asset = a.asset and l.asset <> '' and l.type = 'ASSET_MATERIALIZATION' and l.position > $2 order by l.position limit $3) l
		order by l.position limit $3`), pq.Array(sensor.Assets), position, mostMaterializations)
	if err != nil {
		return LogRead{}, err
	}
	result := LogRead{Records: read.Records, Upto: read.Head}
	if len(read.Records) == mostMaterializations {
		result.Upto, result.More = read.Records[len(read.Records)-1].Position, true
	}
	return result, nil
}

// readNewest reads the newest of each asset; one of each when the sensor has read nothing yet.
func (s *Store) readNewest(ctx context.Context, operation string, sensor plan.Sensor, position *int64) (LogRead, error) {
	after, each := int64(0), 1
	if position != nil {
		after, each = *position, mostOfEach
	}
	read, err := s.readAt(ctx, operation, fmt.Sprintf(readAsRecords, `
		select l.* from unnest($1::text[]) a(asset)
		cross join lateral (
			select `+materializationColumns+` from event_log l
			where l.asset = a.asset and l.asset <> '' and l.type = 'ASSET_MATERIALIZATION' and l.position > $2
			order by l.position desc limit $3) l`), pq.Array(sensor.Assets), after, each)
	if err != nil {
		return LogRead{}, err
	}
	result := LogRead{Records: read.Records, Upto: read.Head}
	if sensor.All {
		seen := map[string]bool{}
		for _, record := range read.Records {
			seen[record.Asset] = true
		}
		for _, asset := range sensor.Assets {
			if !seen[asset] {
				result.Waiting = append(result.Waiting, asset)
			}
		}
	}
	return result, nil
}

// readRuns reads in the order of the log. What is of runs that are not watched, or that were forgotten, is passed over.
func (s *Store) readRuns(ctx context.Context, operation, location string, sensor plan.Sensor, position int64) (LogRead, error) {
	types := make([]EventType, len(sensor.Statuses))
	for i, status := range sensor.Statuses {
		types[i] = statusEvents[status]
	}
	locations, jobs := []string{location}, sensor.MonitoredJobs
	if len(sensor.MonitoredLocations) > 0 {
		locations, jobs = sensor.MonitoredLocations, nil
	}
	result := LogRead{Upto: position}
	for {
		read, err := s.readAt(ctx, operation, `
			with scanned as (
				select l.* from unnest($1::text[]) t(type)
				cross join lateral (
					select l.position, l.at, l.type, l.run_id, l.step, l.asset, l.partition, l.cause, l.body from event_log l
					where left(l.type, 4) = 'RUN_' and l.type = t.type and l.position > $2 order by l.position limit $3) l
				order by l.position limit $3)
			select jsonb_build_object('head', (select position from log_head), 'scanned', (select count(*) from scanned),
				'last', coalesce((select max(position) from scanned), 0), 'records', coalesce((
				select jsonb_agg(to_jsonb(e) order by e.position)
				from (
					select s.*, r.location, r.job, r.tags, r.partition as run_partition, r.trigger_kind, r.trigger_name, r.will_retry
					from scanned s join runs r on r.run_id = s.run_id
					where $4 or (r.location = any ($5::text[]) and ($6::text[] is null or r.job = any ($6::text[])))
					order by s.position limit $7) e), '[]'))`,
			pq.Array(types), result.Upto, runEventsScanned, sensor.AllLocations, pq.Array(locations), pq.Array(jobs), mostRunEvents-len(result.Records))
		if err != nil {
			return LogRead{}, err
		}
		result.Records = append(result.Records, read.Records...)
		switch {
		case len(result.Records) == mostRunEvents:
			result.Upto, result.More = result.Records[mostRunEvents-1].Position, true
			return result, nil
		case read.Scanned < runEventsScanned:
			result.Upto = read.Head
			return result, nil
		}
		result.Upto = read.Last
	}
}

// AdvancePosition says that a sensor that has read the log up to from has read it up to position, where there was nothing for it.
func (s *Store) AdvancePosition(ctx context.Context, id TriggerID, from, position int64) error {
	return s.try(ctx, fmt.Sprintf("note how far %s has read", id), func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, "update triggers set position = $5 where location = $1 and kind = $2 and name = $3 and position = $4",
			id.Location, id.Kind, id.Name, from, position)
		return err
	})
}

// Reaction is that a run-status sensor was called for a run.
type Reaction struct {
	Run string `json:"run"`
	// Problem is why its function failed; "" is that it did not.
	Problem string `json:"problem,omitempty"`
}

// FailedReading is the end of a sensor's tick whose function has failed for a run: it is not called for it again.
type FailedReading struct {
	TickEnd
	// Position is the sensor's from then on, Reactions are the runs that it was called for.
	Position  int64      `json:"position"`
	Reactions []Reaction `json:"reactions"`
}

// FailReading ends a tick that failed, moves the sensor's position on all the same, and records the reactions on their runs, all or
// nothing. A tick that has ended stays as it is, and is returned.
func (s *Store) FailReading(ctx context.Context, failed FailedReading) (Tick, error) {
	failed.Reactions = orEmpty(failed.Reactions)
	return call[Tick](ctx, s, fmt.Sprintf("end tick %d", failed.ID), "fail_reading_v1", failed)
}

// runEvent is the body of the event of a run's status.
type runEvent struct {
	Failures []wire.StepFailureInfo `json:"failures"`
	Reason   string                 `json:"reason"`
}

// RunEvent is what the event of a run's status says: which steps had failed then, and why it ended so when they do not.
func (r LogRecord) RunEvent() (failures []wire.StepFailureInfo, reason string, err error) {
	var body runEvent
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return nil, "", fmt.Errorf("read event %d of the log: %w", r.Position, err)
	}
	return body.Failures, body.Reason, nil
}
