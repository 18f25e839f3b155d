package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

func openTestCalendar(t *testing.T, url string) *Calendar {
	t.Helper()
	calendar, err := openCalendar(definitions.NewContext(t.Context()), calendarConfig{URL: url, Timeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, calendar.Close()) })
	return calendar
}

func TestCalendarReadsTheFilesOfTheExample(t *testing.T) {
	t.Parallel()
	ctx := definitions.NewContext(t.Context())

	holidays, err := openTestCalendar(t, "file:///data/holidays").Holidays(ctx, 2001)

	require.NoError(t, err)
	require.Len(t, holidays, 10)
	require.Equal(t, Holiday{"2001-02-19", "Washington's Birthday"}, holidays[2])
}

func TestCalendarNamesTheYearItCannotFind(t *testing.T) {
	t.Parallel()
	_, err := openTestCalendar(t, "file:///data/holidays").Holidays(definitions.NewContext(t.Context()), 1999)
	require.EqualError(t, err, "ask for the holidays of 1999: file:///data/holidays/1999.json answers 404 Not Found")
}

func TestCalendarAsksARealService(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/us/2001.json" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`[{"date":"2001-01-01","name":"New Year's Day"}]`))
	}))
	t.Cleanup(server.Close)
	ctx := definitions.NewContext(t.Context())
	calendar := openTestCalendar(t, server.URL+"/us")

	holidays, err := calendar.Holidays(ctx, 2001)
	require.NoError(t, err)
	require.Equal(t, []Holiday{{"2001-01-01", "New Year's Day"}}, holidays)

	_, err = calendar.Holidays(ctx, 2002)
	require.ErrorContains(t, err, "/us/2002.json answers 503 Service Unavailable")
}

func TestHolidaysSucceedOnTheSecondAttempt(t *testing.T) {
	t.Parallel()
	calendar := openTestCalendar(t, "file:///data/holidays")
	_, err := fetchHolidays(definitions.NewContext(t.Context()), calendar)
	require.ErrorContains(t, err, "503 Service Unavailable")

	second := definitions.NewContext(t.Context(), definitions.RunInfo{Attempt: 2})
	holidays, err := fetchHolidays(second, calendar)
	require.NoError(t, err)
	require.Len(t, holidays, 10)
}
