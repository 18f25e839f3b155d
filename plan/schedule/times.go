package schedule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
)

// Times is when a schedule is due.
type Times struct {
	name    string
	crons   []partition.Cron
	zone    *time.Location
	jitter  time.Duration
	catchUp int
}

// Of reads the times of a schedule. The error names every cron that is none, and a zone that is not known.
func Of(s plan.Schedule) (*Times, error) {
	t := &Times{name: s.Name, jitter: s.Jitter, catchUp: s.CatchUp}
	var problems []error
	zone, err := zoneOf(s.Zone)
	problems = append(problems, err)
	t.zone = zone
	for _, text := range s.Crons {
		cron, err := partition.ParseCron(text)
		problems = append(problems, err)
		if err == nil && !slices.Contains(t.crons, cron) {
			t.crons = append(t.crons, cron)
		}
	}
	if len(s.Crons) == 0 {
		problems = append(problems, errors.New("it has no cron"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("schedule %q: %w", s.Name, err)
	}
	return t, nil
}

func zoneOf(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New(`zone "Local" differs from machine to machine: name one such as Europe/Berlin`)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("zone %q is not known: name one such as Europe/Berlin", name)
	}
	return zone, nil
}

// Zone is in which the crons are read.
func (t *Times) Zone() *time.Location { return t.zone }

// Next is the first time after the given one at which the schedule is due; false from the year 10000 on.
func (t *Times) Next(after time.Time) (next time.Time, found bool) {
	for _, cron := range t.crons {
		if at, ok := cron.Next(after, t.zone); ok && (!found || at.Before(next)) {
			next, found = at, true
		}
	}
	return next, found
}

// Previous is the last time before the given one at which the schedule is due; false before the year 1.
func (t *Times) Previous(before time.Time) (previous time.Time, found bool) {
	for _, cron := range t.crons {
		if at, ok := cron.Previous(before, t.zone); ok && (!found || at.After(previous)) {
			previous, found = at, true
		}
	}
	return previous, found
}

// Is says whether the schedule is due at exactly that time.
func (t *Times) Is(at time.Time) bool {
	next, found := t.Next(at.Add(-time.Second))
	return found && next.Equal(at)
}

// Shown says whether one of the crons names the local time of an instant. Temporal wakes at such times; where the clocks
// change, not all of them are due.
func (t *Times) Shown(at time.Time) bool {
	for _, cron := range t.crons {
		if cron.Shows(at.In(t.zone)) {
			return true
		}
	}
	return false
}

// Delay is how long after its time a tick is evaluated: a part of the schedule's jitter that the tick alone decides, in
// whole seconds.
func (t *Times) Delay(tick time.Time) time.Duration {
	seconds := int64(t.jitter / time.Second)
	if seconds <= 0 {
		return 0
	}
	hash := fnv.New64a()
	_, _ = fmt.Fprintf(hash, "%s %d", t.name, tick.Unix()) // a hash takes everything
	// The sums of near times differ in their low bits only: all of them are to count.
	sum := hash.Sum64()
	sum ^= sum >> 33
	sum *= 0xff51afd7ed558ccd
	sum ^= sum >> 33
	return time.Duration(sum%uint64(seconds+1)) * time.Second
}

// Hash stands for when a schedule is due: two with the same crons and zone have the same.
func Hash(s plan.Schedule) string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{s.Zone}, s.Crons...), "\n")))
	return hex.EncodeToString(sum[:4])
}
