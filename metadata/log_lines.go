package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// LogLine is a line that a step logged.
type LogLine struct {
	Run  string `json:"run"`
	Step string `json:"step"`
	// Token is of the attempt that logged it, Seq the line's number in that attempt: together they name the line. Attempt
	// counts attempts of the user's function, for people.
	Token   int64 `json:"token"`
	Seq     int64 `json:"seq"`
	Attempt int   `json:"attempt"`
	// At is when it was logged.
	At time.Time `json:"at"`
	// Level is written by its name, as "INFO".
	Level   slog.Level `json:"level"`
	Message string     `json:"message"`
	// Attributes is a JSON object; nil is an empty one.
	Attributes json.RawMessage `json:"attributes,omitempty"`
}

// logRow is a line with its level as the number that the table has.
type logRow struct {
	LogLine
	ID    int64 `json:"id,omitempty"`
	Level int   `json:"level"`
}

// AppendLog keeps lines, in one call. A line that is kept already stays as it is, so that a retry adds nothing.
func (s *Store) AppendLog(ctx context.Context, lines []LogLine) error {
	if len(lines) == 0 {
		return nil
	}
	appended := make([]logRow, len(lines))
	for i, line := range lines {
		appended[i] = logRow{LogLine: line, Level: int(line.Level)}
	}
	_, err := call[struct{}](ctx, s, fmt.Sprintf("keep %d log lines", len(lines)), "append_log_v1", struct {
		Lines []logRow `json:"lines"`
	}{appended})
	return err
}

// LogFilter selects the log lines of one run.
type LogFilter struct {
	Run string
	// Step keeps the lines of one step; "" is all.
	Step string
	// Level is the least that is kept; the zero value is INFO.
	Level slog.Level
}

// LogLines lists log lines in the order in which they were kept. Next is the cursor to go on from, also on the last
// page: lines that are kept later come behind it, and none before. It is cursor itself when nothing was found.
func (s *Store) LogLines(ctx context.Context, filter LogFilter, cursor string, limit int) (Page[LogLine], error) {
	operation := fmt.Sprintf("list the log lines of run %q", filter.Run)
	after, err := cursorOf[int64](cursor)
	if err != nil {
		return Page[LogLine]{}, fmt.Errorf("%s: %w", operation, err)
	}
	where, arguments := "", []any{filter.Run, after, pageSize(limit), int(filter.Level)}
	if filter.Step != "" {
		where = "and step = $5"
		arguments = append(arguments, filter.Step)
	}
	if filter.Level >= slog.LevelWarn {
		where += " and level >= 4" // the words of the index of warnings
	}
	found, err := rows[logRow](ctx, s, operation, `
		select to_jsonb(page) from (
			select id, run_id as run, step, token, seq, attempt, at, level, message, attributes from log_lines
			where run_id = $1 and id > $2 and level >= $4 `+where+`
			order by id limit $3) page`, arguments...)
	if err != nil {
		return Page[LogLine]{}, err
	}
	page := Page[LogLine]{Rows: make([]LogLine, len(found)), Next: cursor}
	for i, row := range found {
		page.Rows[i] = row.LogLine
		page.Rows[i].Level, page.Rows[i].At = slog.Level(row.Level), row.At.UTC()
		after = row.ID
	}
	if len(found) > 0 {
		page.Next, err = encodeCursor(after)
	}
	return page, err
}
