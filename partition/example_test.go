package partition_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/partition"
)

func daily() *partition.Partitions {
	days, err := partition.New(partition.Definition{Time: &partition.TimeWindows{
		Every: partition.Daily, Start: "2001-01-01", Zone: "America/New_York",
	}})
	if err != nil {
		panic(err)
	}
	return days
}

var spring = time.Date(2001, time.April, 5, 12, 0, 0, 0, time.UTC)

func ExampleNew() {
	_, err := partition.New(partition.Definition{Time: &partition.TimeWindows{Every: "dayly", Zone: "New York"}})
	fmt.Println(err)
	// Output: time.every: "dayly" is not known (use hourly, daily, weekly or monthly, or give a cron); time.zone: "New York" is not a time zone: unknown time zone New York (use an IANA name, for example Europe/Berlin, or leave it out for UTC); time.start: is missing (write 2001-01-31 or 2001-01-31T15:04)
}

func ExamplePartitions_At() {
	set := daily().At(spring, nil)
	last, _ := set.All().Last()
	window, _ := set.Window("2001-04-01")
	fmt.Println(set.Count(), "days, the last is", last)
	fmt.Println("the day on which clocks change has", window.End.Sub(window.Start))
	fmt.Println(set.Check("2001-04-05"))
	// Output:
	// 94 days, the last is 2001-04-04
	// the day on which clocks change has 23h0m0s
	// partition "2001-04-05" is not one of daily partitions from 2001-01-01T00:00:00 (America/New_York): it does not exist yet, the last is "2001-04-04" (nearest: "2001-04-04")
}

func ExampleSubset() {
	set := daily().At(spring, nil)
	february, _ := set.Range("2001-02-01", "2001-02-28")
	holidays, _ := set.Of("2001-02-12", "2001-02-19")
	left := february.Difference(holidays)
	for one := range left.Ranges() {
		fmt.Println(one)
	}
	stored, _ := json.Marshal(left)
	fmt.Println(string(stored))
	// Output:
	// 2001-02-01 to 2001-02-11 (11)
	// 2001-02-13 to 2001-02-18 (6)
	// 2001-02-20 to 2001-02-28 (9)
	// {"v":1,"kind":"time","of":[{"cron":"0 0 * * *","zone":"America/New_York","format":"2006-01-02"}],"ranges":[["2001-02-01","2001-02-11"],["2001-02-13","2001-02-18"],["2001-02-20","2001-02-28"]]}
}

func ExampleSubset_Pieces() {
	set := daily().At(spring, nil)
	week, _ := set.Range("2001-01-01", "2001-01-07")
	for run := range week.Pieces(3) {
		window, _ := run.Window()
		fmt.Println(window.Start.Format(time.DateOnly), "until", window.End.Format(time.DateOnly))
	}
	// Output:
	// 2001-01-01 until 2001-01-04
	// 2001-01-04 until 2001-01-07
	// 2001-01-07 until 2001-01-08
}

func ExampleSet_Decode() {
	set := daily().At(spring, nil)
	january, _ := set.Range("2001-01-01", "2001-01-31")
	stored, _ := json.Marshal(january)

	later, err := partition.New(partition.Definition{Time: &partition.TimeWindows{
		Every: partition.Daily, Start: "2001-01-15", Zone: "America/New_York",
	}})
	if err != nil {
		panic(err)
	}
	subset, gone, err := later.At(spring, nil).Decode(stored)
	fmt.Println(subset.Count(), "are left, gone:", gone, err)
	// Output: 17 are left, gone: 2001-01-01 to 2001-01-14 (14) <nil>
}

func ExampleMapping_Between() {
	days := daily()
	weeks, err := partition.New(partition.Definition{Time: &partition.TimeWindows{
		Every: partition.Weekly, Day: 1, Start: "2000-12-25", Zone: "America/New_York",
	}})
	if err != nil {
		panic(err)
	}
	// The zero Mapping is inferred: of two sets of windows, those that overlap.
	link, err := partition.Mapping{}.Between(days, weeks, nil)
	if err != nil {
		panic(err)
	}
	daySet, weekSet := days.At(spring, nil), weeks.At(spring, nil)

	firstWeeks, _ := weekSet.Of("2000-12-25", "2001-01-01")
	needed, err := link.Upstream(firstWeeks, daySet)
	if err != nil {
		panic(err)
	}
	for one := range needed.Subset.Ranges() {
		fmt.Println("needs", one)
	}
	fmt.Println("but there is no", needed.Missing)

	oneDay, _ := daySet.Of("2001-02-14")
	affected, err := link.Downstream(oneDay, weekSet)
	if err != nil {
		panic(err)
	}
	week, _ := affected.First()
	fmt.Println("2001-02-14 is in the week of", week)
	// Output:
	// needs 2001-01-01 to 2001-01-07 (7)
	// but there is no 2000-12-25 to 2000-12-31 (7)
	// 2001-02-14 is in the week of 2001-02-12
}

func ExampleCron_Next() {
	cron, err := partition.ParseCron("30 2 * * *")
	if err != nil {
		panic(err)
	}
	berlin, _ := time.LoadLocation("Europe/Berlin")
	at := time.Date(2023, time.March, 25, 0, 0, 0, 0, berlin)
	for range 3 {
		at, _ = cron.Next(at, berlin)
		fmt.Println(at)
	}
	// Output:
	// 2023-03-25 02:30:00 +0100 CET
	// 2023-03-26 03:00:00 +0200 CEST
	// 2023-03-27 02:30:00 +0200 CEST
}
