package main

import "github.com/perdure-io/perdure/definitions"

// Delays sums up some flights.
type Delays struct {
	Flights   int
	Late      int     `description:"flights that left 15 minutes late or more"`
	MeanDelay float64 `description:"minutes; what left ahead of its time counts as negative"`
}

func delaysOf(flights []JoinedFlight) Delays {
	d := Delays{Flights: len(flights)}
	total := 0
	for _, flight := range flights {
		total += flight.DelayMinutes
		if flight.late() {
			d.Late++
		}
	}
	if d.Flights > 0 {
		d.MeanDelay = float64(total) / float64(d.Flights)
	}
	return d
}

// plus sums up these flights and others.
func (d Delays) plus(other Delays) Delays {
	sum := Delays{Flights: d.Flights + other.Flights, Late: d.Late + other.Late}
	if sum.Flights > 0 {
		sum.MeanDelay = (d.MeanDelay*float64(d.Flights) + other.MeanDelay*float64(other.Flights)) / float64(sum.Flights)
	}
	return sum
}

func groupBy[K comparable](flights []JoinedFlight, key func(JoinedFlight) K) map[K][]JoinedFlight {
	groups := map[K][]JoinedFlight{}
	for _, flight := range flights {
		groups[key(flight)] = append(groups[key(flight)], flight)
	}
	return groups
}

// insight is what the tables of the last group have in common: they lie in Postgres.
var insight = definitions.Options{
	definitions.Group("insights"), definitions.Owners{"team:network"}, definitions.StoredBy(Tables), definitions.Kinds{"postgres"},
}

// dailyInsight is a table whose rows of a day are replaced alone.
var dailyInsight = definitions.Options{insight, definitions.PartitionedBy(Days)}
