package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/perdure-io/perdure/definitions"
)

// RouteDelays and the busiest of the routes.
var (
	RouteDelays = definitions.Asset("route_delays", definitions.Bind1(routeDelays, JoinedFlights),
		dailyInsight, definitions.Description("Delays from each airport to each other."))
	BusiestRoutes = definitions.Asset("busiest_routes", definitions.Bind2(busiestRoutes, everyDay(RouteDelays), BusiestConfig),
		insight, definitions.Description("The routes with the most flights."), definitions.OfType(Ranking))
	BusiestConfig = definitions.Config(busiestConfig{Top: 10})
)

// RouteDelay is about the flights from one airport to another.
type RouteDelay struct {
	Origin, Destination         string
	OriginCity, DestinationCity string
	Delays
}

func routeDelays(_ definitions.Context, flights []JoinedFlight) ([]RouteDelay, error) {
	var routes []RouteDelay
	for _, group := range groupBy(flights, func(f JoinedFlight) string { return f.Origin + "-" + f.Destination }) {
		f := group[0]
		routes = append(routes, RouteDelay{f.Origin, f.Destination, f.OriginCity, f.DestinationCity, delaysOf(group)})
	}
	return sortRoutes(routes), nil
}

// sumRoutes adds up the days of each route.
func sumRoutes(days []RouteDelay) []RouteDelay {
	sums := map[string]RouteDelay{}
	for _, route := range days {
		key := route.Origin + "-" + route.Destination
		route.Delays = route.plus(sums[key].Delays)
		sums[key] = route
	}
	return sortRoutes(slices.Collect(maps.Values(sums)))
}

func sortRoutes(routes []RouteDelay) []RouteDelay {
	slices.SortFunc(routes, func(a, b RouteDelay) int {
		return cmp.Or(cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.Destination, b.Destination))
	})
	return routes
}

// BusiestRoute is a route and its rank.
type BusiestRoute struct {
	Rank int `description:"1 is the busiest"`
	RouteDelay
}

type busiestConfig struct{ Top int }

// Ranking is checked whenever the busiest routes are computed, before they are stored: Go's types do not know an order.
var Ranking = definitions.Type[[]BusiestRoute]{
	Name: "ranking", Description: "ranks 1, 2, 3 …, the most flights first",
	Check: func(routes []BusiestRoute) error {
		for i, route := range routes {
			if route.Rank != i+1 || i > 0 && route.Flights > routes[i-1].Flights {
				return fmt.Errorf("%s-%s should not have rank %d", route.Origin, route.Destination, route.Rank)
			}
		}
		return nil
	},
}

func busiestRoutes(_ definitions.Context, days []RouteDelay, c busiestConfig) ([]BusiestRoute, error) {
	routes := sumRoutes(days)
	slices.SortStableFunc(routes, func(a, b RouteDelay) int { return cmp.Compare(b.Flights, a.Flights) })
	var busiest []BusiestRoute
	for i, route := range routes[:min(c.Top, len(routes))] {
		busiest = append(busiest, BusiestRoute{i + 1, route})
	}
	return busiest, nil
}
