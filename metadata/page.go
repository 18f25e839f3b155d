package metadata

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// Page is one page of a list. Lists are read by cursor and never by offset: what is added meanwhile
// neither repeats nor hides a row.
type Page[Row any] struct {
	Rows []Row `json:"rows"`
	// Next is the cursor of the next page, "" when this is the last.
	Next string `json:"next,omitempty"`
}

// defaultLimit is the size of a page when none is given, maxLimit the most that is.
const (
	defaultLimit = 50
	maxLimit     = 1000
)

func pageSize(limit int) int {
	if limit <= 0 {
		return defaultLimit
	}
	return min(limit, maxLimit)
}

// pageOf makes a page of at most size rows from up to one more; cursor says where the next one begins.
func pageOf[Row, Cursor any](rows []Row, size int, cursor func(last Row) Cursor) (Page[Row], error) {
	if len(rows) <= size {
		return Page[Row]{Rows: rows}, nil
	}
	rows = rows[:size]
	next, err := encodeCursor(cursor(rows[size-1]))
	return Page[Row]{Rows: rows, Next: next}, err
}

func encodeCursor(cursor any) (string, error) {
	data, err := json.Marshal(cursor)
	if err != nil {
		return "", fmt.Errorf("encode a cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(data), nil
}

// cursorOf reads a cursor that pageOf made; "" is the zero value, the first page.
func cursorOf[Cursor any](text string) (Cursor, error) {
	var cursor Cursor
	if text == "" {
		return cursor, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(data, &cursor)
	}
	if err != nil {
		return cursor, fmt.Errorf("the cursor %q is not one that a list returned: %w: give none for the first page", text, ErrInvalid)
	}
	return cursor, nil
}
