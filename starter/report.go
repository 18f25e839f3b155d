package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// NewReport is a materialization or observation that happened elsewhere.
type NewReport struct {
	// Location is the code location that defines the asset.
	Location string
	// ID is the report's id: the same report again under it changes nothing. "" makes one.
	ID      string
	Request wire.ReportRequest
}

// Report records what happened elsewhere, in the event log and as the current materialization or the last observation. It
// needs neither Temporal nor a worker. The same report again under its id is answered as before, with New false. Its error
// is wire.Problems, with everything that is wrong, when the definitions do not have what is reported, or the id has another
// report; nothing was recorded then.
func (s *Starter) Report(ctx context.Context, report NewReport) (wire.ReportResult, error) {
	snapshot, err := s.snapshot(ctx, report.Location)
	if err != nil {
		return wire.ReportResult{}, err
	}
	planner, err := plan.NewPlanner(snapshot, nil)
	if err != nil {
		return wire.ReportResult{}, err
	}
	return s.RecordReport(ctx, planner, cmp.Or(report.ID, newID("report")), report.Request)
}

// RecordReport is [Starter.Report] by the definitions that are given.
func (s *Starter) RecordReport(ctx context.Context, planner *plan.Planner, id string, request wire.ReportRequest) (wire.ReportResult, error) {
	existing, err := s.Existing(ctx, planner, time.Now())
	if err != nil {
		return wire.ReportResult{}, err
	}
	report := reportOf(id, request)
	var recorded metadata.Reported
	if problems := planner.CheckReport(request, existing); len(problems) > 0 {
		// What was recorded stays so, whatever has become of the definitions since.
		var known bool
		if recorded, known, err = s.Store.FindReport(ctx, report); err == nil && !known {
			err = problems.Err()
		}
	} else {
		recorded, err = s.Store.Report(ctx, report)
	}
	if errors.Is(err, metadata.ErrConflict) {
		return wire.ReportResult{}, wire.Problems{{
			Path: "id", Code: wire.CodeExists, Message: fmt.Sprintf("%s exists, and is another report: choose another id", id),
		}}
	}
	if err != nil {
		return wire.ReportResult{}, err
	}
	return wire.ReportResult{
		ReportID: id, Asset: request.Asset, Type: request.Type, Partitions: len(report.Partitions), New: recorded.New, Position: recorded.Position,
	}, nil
}

// reportOf is what is recorded of a request: it depends on nothing else, so that one that comes again is known.
func reportOf(id string, request wire.ReportRequest) metadata.Report {
	report := metadata.Report{
		ID: id, Asset: request.Asset, Type: request.Type, DataVersion: request.DataVersion, Location: request.Location,
		Who: request.By, Why: request.Why, Cause: cmp.Or(request.Cause, id), Partitions: []string{request.Partition},
	}
	report.Metadata, _ = request.Recorded()
	if len(request.Partitions) > 0 {
		report.Partitions = make([]string, 0, len(request.Partitions))
		given := make(map[string]bool, len(request.Partitions))
		for _, key := range request.Partitions {
			if !given[key] {
				report.Partitions = append(report.Partitions, key)
			}
			given[key] = true
		}
	}
	return report
}
