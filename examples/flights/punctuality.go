package main

import (
	_ "embed"

	"github.com/perdure-io/perdure/definitions"
)

//go:embed punctuality.py
var punctualityScript string

// AirportPunctuality is computed by a Python script, which comes with this program. It needs no packages.
var AirportPunctuality = definitions.Asset("airport_punctuality",
	definitions.CommandJSON[[]Punctuality]("python3", definitions.Arguments{"-c", punctualityScript}, definitions.Input(everyDay(CleanFlights))),
	insight, definitions.Description("How far the departures of each airport can be relied on."), definitions.CodeVersion("1"))

// Punctuality rates one airport; the script gives its fields by these names.
type Punctuality struct {
	Airport       string
	Flights       int
	OnTimePercent float64 `description:"flights that left less than 15 minutes late"`
	MedianDelay   float64 `description:"minutes"`
	NineInTen     int     `description:"minutes; nine flights in ten leave no later"`
}
