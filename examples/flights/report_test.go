package main

import (
	"encoding/xml"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

var (
	someHours    = []HourlyDelay{{6, Delays{Flights: 100, MeanDelay: -2}}, {7, Delays{Flights: 30, MeanDelay: 12.4}}, {8, Delays{Flights: 29, MeanDelay: 77}}}
	someWeekdays = []WeekdayDelay{{"Monday", Delays{Flights: 30, MeanDelay: 3}}, {"Holiday", Delays{Flights: 30, MeanDelay: 4}}}
)

// texts are what a picture says; the picture is valid XML.
func texts(t *testing.T, picture SVG) []string {
	t.Helper()
	var svg struct {
		XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
		Texts   []string `xml:"text"`
	}
	require.NoError(t, xml.Unmarshal([]byte(picture), &svg))
	return svg.Texts
}

func TestReportDrawsWhatItIsAskedFor(t *testing.T) {
	t.Parallel()
	ctx := definitions.NewContext(t.Context())

	hours, err := report(ctx, someHours, someWeekdays, nil, nil, reportConfig{Chart: "hours", MinFlights: 30})
	require.NoError(t, err)
	require.Equal(t, []string{"Mean delay in minutes, by hour of departure", "-2.0", "6", "12.4", "7"}, texts(t, hours))

	weekdays, err := report(ctx, someHours, someWeekdays, nil, nil, reportConfig{Chart: "weekdays", MinFlights: 30})
	require.NoError(t, err)
	require.Equal(t, []string{"Mean delay in minutes, by weekday of departure", "3.0", "Mon", "4.0", "Hol"}, texts(t, weekdays))
}

func TestReportTellsTheWorstAirports(t *testing.T) {
	t.Parallel()
	ctx := definitions.NewContext(t.Context())
	worst := []WorstAirport{{1, AirportDelay{"RNO", "Reno, NV", Delays{Flights: 293, MeanDelay: 12.382}}}}

	_, err := report(ctx, nil, nil, worst, make([]RejectedFlight, 4), reportConfig{Chart: "hours"})

	require.NoError(t, err)
	require.Equal(t, []definitions.Metadatum{
		definitions.Table("worst airports", worst),
		definitions.Markdown("summary", "Flights leave **Reno, NV** (RNO) latest: 12.4 minutes on average. 4 flights were rejected."),
	}, ctx.Reported())
}

func TestReportWithoutAJudgedAirport(t *testing.T) {
	t.Parallel()
	require.Equal(t, "No airport has enough flights to be judged.", summary(nil, 4))
}

func TestChartEscapesItsTexts(t *testing.T) {
	t.Parallel()
	picture := chart("<b> & co", 0, []bar{{"a<b", Delays{Flights: 1, MeanDelay: 1}}})
	require.Equal(t, []string{"<b> & co", "1.0", "a<b"}, texts(t, picture))
	require.NotContains(t, string(picture), "<b>")
}
