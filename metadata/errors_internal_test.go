package metadata

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSQLStatesAndWhatTheyMean(t *testing.T) {
	t.Parallel()
	for code, want := range map[pqerror.Code]error{
		"08006": ErrUnavailable, "57P01": ErrUnavailable, "57P02": ErrUnavailable, "57P03": ErrUnavailable, "53300": ErrUnavailable,
		"53100": ErrUnavailable, "25006": ErrUnavailable, "57014": ErrUnavailable, "40001": ErrContended, "40P01": ErrContended,
		"55P03": ErrContended, "23505": ErrConflict, "23514": ErrInvalid, "22003": ErrInvalid, "22P05": ErrInvalid,
		"42P01": ErrSchemaBehind, "42883": ErrSchemaBehind, "3F000": ErrSchemaBehind, "28P01": nil, "42601": nil, "P0001": nil,
	} {
		require.Equal(t, want, kindOf(fmt.Errorf("wrapped: %w", &pq.Error{Code: code})), "code %s", code)
	}
	require.Equal(t, ErrUnavailable, kindOf(driver.ErrBadConn))
	require.Equal(t, ErrUnavailable, kindOf(io.ErrUnexpectedEOF))
	require.NoError(t, kindOf(errors.New("the database system is shutting down")), "never by text")
}

func TestContendedCallsAreMadeAgain(t *testing.T) {
	t.Parallel()
	s := &Store{options: Options{}.withDefaults()}
	for failures := range contendedTries + 1 {
		calls := 0
		err := s.try(t.Context(), "try", func(context.Context) error {
			calls++
			if calls <= failures {
				return &pq.Error{Code: "40P01"}
			}
			return nil
		})
		if failures < contendedTries {
			require.NoError(t, err)
			require.Equal(t, failures+1, calls)
		} else {
			require.ErrorIs(t, err, ErrContended)
			require.True(t, IsUnavailable(err))
			require.Equal(t, contendedTries, calls)
		}
	}
}

// Whatever string goes in, valid JSON without NUL or half surrogates comes out, and what was storable stays as it was.
func TestStorableKeepsWhatCanBeStored(t *testing.T) {
	t.Parallel()
	pieces := []string{`\u0000`, `\\u0000`, `\ud800`, `\udc00`, `\ud83d\ude00`, `\\`, `\"`, `\n`, "a", "é", "😀", `\u00e9`, "\xff", `\uD83D`}
	rapid.Check(t, func(t *rapid.T) {
		text := `"` + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, "pieces"), "") + `"`
		clean := storable([]byte(text))
		if !json.Valid(clean) || !utf8.Valid(clean) {
			t.Fatalf("%s became %s", text, clean)
		}
		// Go's decoder replaces the same invalid parts, but keeps NUL, and replaces each invalid byte by itself.
		var before, after string
		if err := json.Unmarshal([]byte(strings.ToValidUTF8(text, "\uFFFD")), &before); err != nil {
			t.Fatalf("decode %s: %v", text, err)
		}
		if err := json.Unmarshal(clean, &after); err != nil {
			t.Fatalf("decode %s: %v", clean, err)
		}
		if want := strings.ReplaceAll(before, "\x00", "\uFFFD"); after != want {
			t.Fatalf("%s became %q, want %q", text, after, want)
		}
		if again := storable(clean); string(again) != string(clean) {
			t.Fatalf("%s is not stable: %s", clean, again)
		}
	})
}
