package partition

// Definition is a partition set as data: exactly one of its fields is given. The zero Definition
// stands for an asset without partitions: a set of one partition, whose key is "". Compile it with
// [New].
type Definition struct {
	// Time is a set of consecutive time windows.
	Time *TimeWindows `json:"time,omitempty"`
	// Static is an ordered list of keys: unique, not empty, without control characters and "...".
	Static []string `json:"static,omitempty"`
	// Dynamic names a set whose keys are added and removed while the system runs.
	Dynamic string `json:"dynamic,omitempty"`
	// Grid is the product of exactly two dimensions, in any order.
	Grid []Dimension `json:"grid,omitempty"`
}

// Dimension is one side of a grid: a name and exactly one of the other fields, as in [Definition].
// No key of it may hold "|"; a static one also no "[", "]" and ",".
type Dimension struct {
	// Name is letters, digits, "_" and "-".
	Name    string       `json:"name"`
	Time    *TimeWindows `json:"time,omitempty"`
	Static  []string     `json:"static,omitempty"`
	Dynamic string       `json:"dynamic,omitempty"`
}

func (d Dimension) definition() Definition {
	return Definition{Time: d.Time, Static: d.Static, Dynamic: d.Dynamic}
}

// Every is how often the windows of the common sets begin.
type Every string

// The common sets of windows. What Minute, Hour and Day of [TimeWindows] mean is said there.
const (
	Hourly  Every = "hourly"
	Daily   Every = "daily"
	Weekly  Every = "weekly"
	Monthly Every = "monthly"
)

// TimeWindows are the spans between consecutive ticks of a cron in a zone: a window begins at a tick
// and ends at the next. A window exists once it has ended, see EndOffset.
type TimeWindows struct {
	// Every or Cron says when windows begin: exactly one of them.
	Every Every `json:"every,omitempty"`
	// Minute is the minute of the hour at which each of Every's windows begins, Hour the hour of the
	// day (not for hourly windows). Both are 0 unless said.
	Minute int `json:"minute,omitempty"`
	Hour   int `json:"hour,omitempty"`
	// Day is the weekday of weekly windows, 0 (Sunday, the default) to 6, or the day of the month of
	// monthly ones, 1 to 31; 0 is the 1st. A month without that day begins no window.
	Day int `json:"day,omitempty"`
	// Cron is an expression as [ParseCron] reads it.
	Cron string `json:"cron,omitempty"`
	// Start is the local time from which windows begin, 2001-01-31, 2001-01-31T15:04 or in Format; the
	// first window begins at the first tick at or after it.
	Start string `json:"start"`
	// End is the local time at which the last window has ended at the latest, written like Start; ""
	// is no end.
	End string `json:"end,omitempty"`
	// Zone is an IANA name, "Europe/Berlin"; "" is UTC.
	Zone string `json:"zone,omitempty"`
	// Format is the layout of keys, in Go's notation, by which a window's start is written. ""
	// is 2006-01-02 where windows begin at one time of the day, and 2006-01-02-15:04 where at several.
	// In a zone where a cron of every hour repeats an hour, the second of two keys that would be the
	// same gets its offset from UTC appended (2021-11-07-01:00-0600), unless Format has it anyway.
	Format string `json:"format,omitempty"`
	// EndOffset makes that many windows exist before they have ended, or, negative, that many that
	// have ended not exist.
	EndOffset int `json:"end_offset,omitempty"`
	// Exclude takes windows out. Their neighbors do not grow: a gap remains.
	Exclude Exclusions `json:"exclude,omitzero"`
}

// Exclusions are windows that do not exist.
type Exclusions struct {
	// Keys are the keys of single windows.
	Keys []string `json:"keys,omitempty"`
	// Crons exclude each window that begins at a tick of one of them, in the windows' zone; at most 8.
	Crons []string `json:"crons,omitempty"`
}

// Kind is what a definition's partitions are.
type Kind string

// The kinds of partition sets. Single is that of an asset without partitions.
const (
	KindSingle  Kind = "single"
	KindTime    Kind = "time"
	KindStatic  Kind = "static"
	KindDynamic Kind = "dynamic"
	KindGrid    Kind = "grid"
)

// Kind says which field is given: the first, where a definition wrongly gives several.
func (d Definition) Kind() Kind {
	switch {
	case d.Time != nil:
		return KindTime
	case d.Static != nil:
		return KindStatic
	case d.Dynamic != "":
		return KindDynamic
	case d.Grid != nil:
		return KindGrid
	default:
		return KindSingle
	}
}

// Validate lists everything that is wrong with the definition; nil when it is right.
func (d Definition) Validate() Problems {
	_, problems := compile(d)
	return problems
}
