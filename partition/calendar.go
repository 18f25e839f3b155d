package partition

import "math/bits"

const secondsPerDay = 24 * 60 * 60

// A month is counted from January of the year 0, so that months are added and compared as numbers.
type month int

// monthOf gives the month of a day counted from 1970-01-01, and the day in it from 1. It is the
// usual arithmetic on years that begin in March, whose leap day is their last.
func monthOf(day int64) (month, int) {
	shifted := day + 719468
	era := floorDiv(shifted, 146097)
	dayOfEra := shifted - era*146097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	fromMarch := (5*dayOfYear + 2) / 153
	inMonth := dayOfYear - (153*fromMarch+2)/5 + 1
	return month((yearOfEra+era*400)*12 + fromMarch + 2), int(inMonth)
}

// firstDay is the month's first day, counted from 1970-01-01.
func (m month) firstDay() int64 {
	fromMarch := int64(m) - 2
	year := floorDiv(fromMarch, 12)
	era := floorDiv(year, 400)
	yearOfEra := year - era*400
	dayOfYear := (153*(fromMarch-year*12) + 2) / 5
	return era*146097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719468
}

// weekdayOf is 0 for a Sunday; the first of January 1970 was a Thursday.
func weekdayOf(day int64) int { return int(day + 4 - floorDiv(day+4, 7)*7) }

func floorDiv(a, b int64) int64 {
	quotient := a / b
	if a%b < 0 {
		quotient--
	}
	return quotient
}

// split gives the day, counted from 1970-01-01, and the second in it of a local time.
func split(local int64) (day, second int64) {
	day = floorDiv(local, secondsPerDay)
	return day, local - day*secondsPerDay
}

// nthBit is the position of the n-th set bit of word, n from 0.
func nthBit(word uint64, n int) int {
	for range n {
		word &= word - 1
	}
	return bits.TrailingZeros64(word)
}

// below is the bits under position n.
func below(n int) uint64 { return 1<<n - 1 }
