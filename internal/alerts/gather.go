package alerts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

const (
	// readAtOnce is how many events of the log are taken in by one transaction.
	readAtOnce = 500
	// decideWithin is how long it may take until it is decided whether a failed run is started again, retryWithin until the run is
	// there that does it. Then the failure is told.
	decideWithin = 2 * time.Minute
	retryWithin  = 15 * time.Minute
	// failuresOfSink is after how many failed attempts in a row a sink counts as failing.
	failuresOfSink = 3
)

// gathering is what one look has found.
type gathering struct {
	*Alerter
	found metadata.RaisedAlerts
}

// gather reads the log on and looks at what fails, and writes down what is to be told. It returns how far the log is read.
func (a *Alerter) gather(ctx context.Context, from metadata.AlertHead) (int64, error) {
	g := &gathering{Alerter: a, found: metadata.RaisedAlerts{From: from.Position, Position: from.Position}}
	if err := errors.Join(g.readLog(ctx), g.lookAtTriggers(ctx, from.Since), g.lookAtSinks(ctx), g.lookAtLasting(ctx)); err != nil {
		return 0, err
	}
	if f := g.found; f.Position == f.From && len(f.Alerts)+len(f.Undecided)+len(f.Decided)+len(f.Recovered) == 0 {
		return f.Position, nil
	}
	raised, err := a.Store.RaiseAlerts(ctx, g.found)
	if err != nil {
		return 0, err
	}
	if raised > 0 {
		a.Log.Info("there are alerts to tell", "alerts", raised)
	}
	return g.found.Position, nil
}

// raise adds an alert, when a sink wants it. One about a sink is listed in any case.
func (g *gathering) raise(alert Alert) error {
	var sinks []string
	for _, s := range g.sinks {
		if s.wants(alert) {
			sinks = append(sinks, s.Name)
		}
	}
	if len(sinks) == 0 && (alert.Kind != SinkFailing || alert.Recovered) {
		return nil
	}
	body, err := json.Marshal(alert)
	if err != nil {
		return fmt.Errorf("encode alert %s: %w", alert.Key, err)
	}
	g.found.Alerts = append(g.found.Alerts, metadata.NewAlert{
		Key: alert.Key, Kind: string(alert.Kind), Location: alert.Location, Job: alert.Job, Subject: alert.subject(), Body: body, At: alert.At, Sinks: sinks,
	})
	return nil
}

func (g *gathering) readLog(ctx context.Context) error {
	// Whatever is below the head now is visible to the read that follows.
	head, err := g.Store.Head(ctx)
	if err != nil {
		return err
	}
	events, err := g.Store.Events(ctx, g.found.From, metadata.EventFilter{
		Types: []metadata.EventType{metadata.EventRunFailure, metadata.EventRunRefused, metadata.EventBackfillEnded},
	}, readAtOnce)
	if err != nil {
		return err
	}
	ends, err := g.Store.UndecidedRuns(ctx, readAtOnce)
	if err != nil {
		return err
	}
	undecided := len(ends)
	for _, event := range events {
		var err error
		switch event.Type {
		case metadata.EventRunFailure:
			ends = append(ends, metadata.UndecidedRun{Position: event.Position, RunID: event.Run, At: event.At})
		case metadata.EventRunRefused:
			err = g.runRefused(event)
		default:
			err = g.backfillEnded(ctx, event)
		}
		if err != nil {
			return err
		}
	}
	g.found.Position = max(g.found.From, head)
	if len(events) > 0 {
		last := events[len(events)-1].Position
		if g.found.Position = max(g.found.Position, last); len(events) == readAtOnce {
			g.found.Position = last
		}
	}
	if len(ends) == 0 {
		return nil
	}
	found, err := g.Store.FailedEnds(ctx, ends)
	if err != nil {
		return err
	}
	for i, end := range ends {
		run, kept := found[end.Position]
		decided, tell := decide(run, kept, time.Since(end.At))
		switch {
		case !decided && i >= undecided:
			g.found.Undecided = append(g.found.Undecided, end)
		case decided && i < undecided:
			g.found.Decided = append(g.found.Decided, end.Position)
		}
		if tell {
			if err := g.raise(g.runFailed(end, run)); err != nil {
				return err
			}
		}
	}
	return nil
}

// decide says whether it is known what becomes of a failed run, and whether it is told: when it is not started again.
func decide(run metadata.FailedEnd, kept bool, age time.Duration) (decided, tell bool) {
	switch {
	case !kept || !run.Current:
		return true, false
	case run.WillRetry == nil:
		return age > decideWithin, age > decideWithin
	case *run.WillRetry:
		return run.Retried || age > retryWithin, !run.Retried && age > retryWithin
	default:
		return true, true
	}
}

func (g *gathering) new(kind Kind, key string, at time.Time, location string) Alert {
	return Alert{V: version, Key: string(kind) + ":" + key, Kind: kind, At: at, Deployment: g.Deployment, Location: location}
}

func (g *gathering) runFailed(end metadata.UndecidedRun, run metadata.FailedEnd) Alert {
	alert := g.new(RunFailure, fmt.Sprintf("%s:%d", run.ID, end.Position), end.At, run.Location)
	alert.Job, alert.Tags = run.Job, run.Tags
	alert.URL, alert.Command = g.Temporal.WorkflowURL(run.ID), "perdure run show "+run.ID
	alert.Run = &Run{
		RunID: run.ID, Selection: run.Selection, Partition: run.Partition, Backfill: run.Backfill, TriggerKind: run.TriggerKind, TriggerName: run.TriggerName,
		Attempts: run.RetryNumber + 1, RootRunID: run.RootRunID, Reason: run.Reason, StepsTotal: run.StepsTotal, Steps: run.Steps, Failures: run.Failures,
	}
	return alert
}

// runRefused tells of what a schedule or sensor has asked for and was refused: nobody else hears of it.
func (g *gathering) runRefused(event metadata.Event) error {
	var refused wire.RefusedRun
	if err := json.Unmarshal(event.Body, &refused); err != nil {
		return fmt.Errorf("decode event %d: %w", event.Position, err)
	}
	alert := g.new(RunFailure, fmt.Sprintf("%s:%d", event.Run, event.Position), event.At, refused.Location)
	alert.Job, alert.Tags = refused.Job, refused.Tags
	alert.URL, alert.Command = g.Temporal.WorkflowURL(event.Run), "perdure run show "+event.Run
	alert.Run = &Run{
		RunID: event.Run, Selection: refused.Selection, Partition: refused.Partition, TriggerKind: string(refused.TriggerKind), TriggerName: refused.TriggerName,
		Attempts: 1, Reason: refused.Reason, Failures: []wire.StepFailureInfo{},
	}
	return g.raise(alert)
}

func (g *gathering) backfillEnded(ctx context.Context, event metadata.Event) error {
	var body struct {
		Backfill string `json:"backfill"`
	}
	if err := json.Unmarshal(event.Body, &body); err != nil {
		return fmt.Errorf("decode event %d: %w", event.Position, err)
	}
	row, err := g.Store.Backfill(ctx, body.Backfill)
	if errors.Is(err, metadata.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	alert := g.new(BackfillEnded, row.ID, event.At, row.Location)
	alert.Job, alert.Tags = row.Request.Job, row.Tags
	alert.URL, alert.Command = g.Temporal.WorkflowURL(row.ID), "perdure backfill show "+row.ID
	alert.Backfill = &Backfill{
		BackfillID: row.ID, Title: row.Title, Status: row.Status, Reason: row.Reason, Seconds: row.EndedAt.Sub(row.CreatedAt).Seconds(),
		Runs: row.Progress.Runs, Failures: row.Progress.Failures,
	}
	for _, asset := range row.Progress.Assets {
		alert.Backfill.Targeted += asset.Targeted
		alert.Backfill.Materialized += asset.Materialized
		alert.Backfill.Failed += asset.Failed
	}
	return g.raise(alert)
}

// lookAtTriggers finds the schedules and sensors that fail, since the reading began at the earliest.
func (g *gathering) lookAtTriggers(ctx context.Context, since time.Time) error {
	failing, err := g.Store.FailingTriggers(ctx, g.Settings.FailingTicks, since)
	if err != nil {
		return err
	}
	for _, trigger := range failing {
		kind, url := ScheduleFailing, g.Temporal.ScheduleURL(wire.ScheduleID(g.Deployment, trigger.Location, trigger.Name))
		if trigger.Kind == wire.TriggerSensor {
			kind, url = SensorFailing, g.Temporal.WorkflowURL(wire.SensorID(g.Deployment, trigger.Location, trigger.Name))
		}
		key := fmt.Sprintf("%s:%s:%d", trigger.Location, trigger.Name, trigger.FailingSince.UnixMicro())
		alert := g.new(kind, key, trigger.FailingSince, trigger.Location)
		alert.URL, alert.Command = url, fmt.Sprintf("perdure %s ticks %s", trigger.Kind, trigger.Name)
		alert.Trigger = &Trigger{
			Kind: string(trigger.Kind), Name: trigger.Name, Failures: trigger.Failures, Since: trigger.FailingSince, Error: cut(trigger.Error, maxError),
		}
		if err := g.raise(alert); err != nil {
			return err
		}
	}
	return nil
}

// lookAtSinks finds the sinks that cannot be told.
func (g *gathering) lookAtSinks(ctx context.Context) error {
	states, err := g.Store.AlertSinks(ctx)
	if err != nil {
		return err
	}
	for _, state := range states {
		if state.Failures < failuresOfSink {
			continue
		}
		alert := g.new(SinkFailing, fmt.Sprintf("%s:%d", state.Sink, state.FailingSince.UnixMicro()), state.FailingSince, "")
		alert.Command = "perdure alert list --kind " + string(SinkFailing)
		alert.Sink = &Sink{Name: state.Sink, Failures: state.Failures, Since: state.FailingSince, Error: state.Error}
		if err := g.raise(alert); err != nil {
			return err
		}
	}
	return nil
}

// lookAtLasting leaves out what was told already of what still fails, and tells of what works again.
func (g *gathering) lookAtLasting(ctx context.Context) error {
	lasting, err := g.Store.LastingAlerts(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, one := range lasting {
		known[one.Key] = true
		if one.Failing {
			continue
		}
		g.found.Recovered = append(g.found.Recovered, one.ID)
		if !one.Works {
			continue
		}
		var alert Alert
		if err := json.Unmarshal(one.Body, &alert); err != nil {
			return fmt.Errorf("decode alert %s: %w", one.Key, err)
		}
		alert.Key, alert.Recovered, alert.At = one.Key+":recovered", true, time.Now().UTC()
		if err := g.raise(alert); err != nil {
			return err
		}
	}
	g.found.Alerts = slices.DeleteFunc(g.found.Alerts, func(alert metadata.NewAlert) bool { return known[alert.Key] })
	slices.SortStableFunc(g.found.Alerts, func(a, b metadata.NewAlert) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Key, b.Key)) })
	return nil
}
