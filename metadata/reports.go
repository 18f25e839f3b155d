package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/wire"
)

// Wipe forgets materializations of an asset.
type Wipe struct {
	Asset string `json:"asset"`
	// Partitions are the keys to wipe; nil is all, also those that no longer exist. The key of an asset without partitions is "".
	Partitions []string `json:"partitions"`
	// CodeLocation is the one whose workers remove the stored values of runs that are forgotten; "" leaves those.
	CodeLocation string `json:"code_location"`
	// Who wipes it, and Why, for people; the event keeps them.
	Who string `json:"who"`
	Why string `json:"why"`
}

// Wiped is what a wipe has wiped.
type Wiped struct {
	// Partitions are the first 100 keys of which something was recorded, Count is how many these are.
	Partitions []string `json:"wiped"`
	Count      int      `json:"count"`
}

// wipedAtOnce is how many partitions are wiped in one transaction: nobody else writes to the log meanwhile.
const wipedAtOnce = 1000

// BeingWrittenError is that a partition cannot be wiped because an open run is writing it.
type BeingWrittenError struct {
	Asset     string
	Run       string `json:"run"`
	Step      string `json:"step"`
	Partition string `json:"partition"`
}

func (e *BeingWrittenError) Error() string {
	what := e.Asset
	if e.Partition != "" {
		what += " [" + e.Partition + "]"
	}
	return fmt.Sprintf("step %s of run %s is writing %s: wait for its end, or cancel the run", e.Step, e.Run, what)
}

// WipeAsset forgets the materializations and observations of an asset's partitions, the current ones and the history, so that
// they are missing again, and that attempts at them have failed. What was stored is superseded, see [Store.TakeSuperseded].
//
// It is done 1,000 partitions at a time. When it ends early, what it returns beside the error is wiped, and another call goes
// on. The error is [*BeingWrittenError] while an open run is writing one of the partitions.
func (s *Store) WipeAsset(ctx context.Context, wipe Wipe) (Wiped, error) {
	const named = 100
	operation := fmt.Sprintf("wipe asset %q", wipe.Asset)
	wiped := Wiped{Partitions: []string{}}
	chunks := [][]string{nil}
	if wipe.Partitions != nil {
		chunks = slices.Collect(slices.Chunk(wipe.Partitions, wipedAtOnce))
	}
	for len(chunks) > 0 {
		argument := struct {
			Wipe
			Limit int `json:"limit"`
		}{wipe, wipedAtOnce}
		argument.Partitions = chunks[0]
		answer, err := call[struct {
			Wiped
			More   bool               `json:"more"`
			Writer *BeingWrittenError `json:"writer"`
		}](ctx, s, operation, "wipe_asset_v1", argument)
		if err != nil {
			return wiped, err
		}
		if answer.Writer != nil {
			answer.Writer.Asset = wipe.Asset
			return wiped, fmt.Errorf("%s: %w", operation, answer.Writer)
		}
		wiped.Count += answer.Count
		wiped.Partitions = append(wiped.Partitions, answer.Partitions...)
		wiped.Partitions = wiped.Partitions[:min(len(wiped.Partitions), named)]
		if !answer.More {
			chunks = chunks[1:]
		}
	}
	return wiped, nil
}

// Report is a materialization or observation that happened elsewhere.
type Report struct {
	// ID is the report's own: under one id there is one report.
	ID    string          `json:"id"`
	Asset string          `json:"asset"`
	Type  wire.ReportType `json:"type"`
	// Partitions are the keys that it is of, at least one; that of an asset without partitions is "".
	Partitions  []string         `json:"partitions"`
	Metadata    []wire.Metadatum `json:"metadata"`
	DataVersion string           `json:"data_version"`
	// Location is where the value lies, as the asset's storage finds it; "" when there is nothing to load.
	Location string `json:"location"`
	Who      string `json:"who"`
	Why      string `json:"why"`
	Cause    string `json:"cause"`
}

// Reported is the answer to a report.
type Reported struct {
	// New says that it was not reported before.
	New bool `json:"new"`
	// Position is that of its first event in the log.
	Position int64 `json:"position"`
}

// Report records what happened elsewhere: an event for each partition, which becomes its current materialization, or its last
// observation. The same report again changes nothing; another one under the same id is [ErrConflict].
func (s *Store) Report(ctx context.Context, report Report) (Reported, error) {
	operation := fmt.Sprintf("report asset %q", report.Asset)
	if report.ID == "" || len(report.Partitions) == 0 {
		return Reported{}, fmt.Errorf("%s: %w: %w", operation, ErrInvalid, errors.New("it has no id or no partitions"))
	}
	answer, err := call[struct {
		Reported
		Conflict bool `json:"conflict"`
	}](ctx, s, operation, "report_event_v1", report)
	if err == nil && answer.Conflict {
		err = fmt.Errorf("%s: there is another report %q: %w: give another id", operation, report.ID, ErrConflict)
	}
	return answer.Reported, err
}

// FindReport looks for the very same report; known says whether it is recorded.
func (s *Store) FindReport(ctx context.Context, report Report) (reported Reported, known bool, err error) {
	operation := fmt.Sprintf("look for report %q", report.ID)
	data, err := json.Marshal(report)
	if err != nil {
		return Reported{}, false, fmt.Errorf("%s: %w: %w", operation, ErrInvalid, err)
	}
	found, err := rows[Reported](ctx, s, operation,
		"select jsonb_build_object('position', position) from reports where id = $1 and body = $2::jsonb", report.ID, string(storable(data)))
	if err != nil || len(found) == 0 {
		return Reported{}, false, err
	}
	return found[0], true, nil
}
