//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// fault is something that goes wrong with one process, and is put right after a while.
type fault struct {
	name string
	// weight is how often it is chosen, beside the others.
	weight int
	// begin does it, end puts it right. victim is the number of a worker.
	begin func(s *scene, victim int) error
	end   func(ctx context.Context, s *scene, victim int) error
	// shortest and longest bound how long it lasts.
	shortest, longest time.Duration
}

// pastHeartbeat is longer than the heartbeat timeout of a step: others take over meanwhile.
const pastHeartbeat = 22 * time.Second

func faults() []fault {
	nothing := func(context.Context, *scene, int) error { return nil }
	startPostgres := func(ctx context.Context, s *scene, _ int) error { return s.stack.StartPostgres(ctx) }
	return []fault{
		{
			name: "worker-kill", weight: 5,
			begin: func(s *scene, victim int) error { return s.workers[victim].kill() },
			// Whoever looks after the workers starts it again.
			end: nothing,
		},
		{
			name: "worker-drain", weight: 1,
			begin: func(s *scene, victim int) error { return s.workers[victim].terminate() },
			end:   nothing,
		},
		{
			name: "worker-freeze", weight: 1,
			begin:    func(s *scene, victim int) error { return s.workers[victim].freeze() },
			end:      func(_ context.Context, s *scene, victim int) error { return s.workers[victim].thaw() },
			shortest: pastHeartbeat, longest: pastHeartbeat + 10*time.Second,
		},
		{
			name: "daemon-kill", weight: 1,
			begin: func(s *scene, _ int) error { return s.daemon.kill() },
			end:   nothing,
		},
		{
			name: "temporal-kill", weight: 1,
			begin:   func(s *scene, _ int) error { return s.stack.KillTemporal() },
			end:     func(ctx context.Context, s *scene, _ int) error { return s.stack.StartTemporal(ctx) },
			longest: 5 * time.Second,
		},
		{
			name: "postgres-kill", weight: 1,
			begin:   func(s *scene, _ int) error { return s.stack.KillPostgres() },
			end:     startPostgres,
			longest: 5 * time.Second,
		},
		{
			name: "postgres-stop", weight: 1,
			begin:   func(s *scene, _ int) error { return s.stack.StopPostgres() },
			end:     startPostgres,
			longest: 5 * time.Second,
		},
	}
}

func faultNames() []string {
	var names []string
	for _, f := range faults() {
		names = append(names, f.name)
	}
	return names
}

// chooseFaults reads a list of names; "" is all.
func chooseFaults(list string) ([]fault, error) {
	if list == "" {
		return faults(), nil
	}
	var chosen []fault
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(faults(), func(f fault) bool { return f.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q: choose from %s", name, strings.Join(faultNames(), ", "))
		}
		chosen = append(chosen, faults()[i])
	}
	return chosen, nil
}

// strike is a fault at a moment of a trial.
type strike struct {
	fault  fault
	victim int
	// at is counted from the run's start, for from then on.
	at, lasts time.Duration
}

func (s strike) String() string {
	name := s.fault.name
	if strings.HasPrefix(name, "worker-") {
		name += fmt.Sprintf(" %d", s.victim)
	}
	return fmt.Sprintf("%s at %s for %s", name, s.at.Round(time.Millisecond), s.lasts.Round(time.Millisecond))
}

// draw chooses the strikes of the nth trial of a kind, within the time that its run takes. What is certain is chosen where it is
// among the faults at all.
func draw(random *rand.Rand, from []fault, k kind, nth int) []strike {
	const most = 2
	var weighted []fault
	for _, f := range from {
		weighted = append(weighted, slices.Repeat([]fault{f}, f.weight)...)
	}
	var strikes []strike
	if len(k.certain) > 0 {
		name := k.certain[nth%len(k.certain)]
		if i := slices.IndexFunc(from, func(f fault) bool { return f.name == name }); i >= 0 {
			const early, late = 0.2, 0.8
			strikes = append(strikes, strikeOf(random, from[i], k.typical, early+(late-early)*random.Float64()))
		}
	}
	for range 1 + random.IntN(most) - len(strikes) {
		moment := random.Float64()
		if random.IntN(2) == 0 {
			// More often at the beginning, where a run is planned.
			moment *= random.Float64()
		}
		strikes = append(strikes, strikeOf(random, weighted[random.IntN(len(weighted))], k.typical, moment))
	}
	return strikes
}

// strikeOf is a fault at a moment of a run, from 0 to 1.
func strikeOf(random *rand.Rand, of fault, typical time.Duration, moment float64) strike {
	lasts := of.shortest
	if span := of.longest - of.shortest; span > 0 {
		lasts += time.Duration(random.Int64N(int64(span)))
	}
	return strike{fault: of, victim: random.IntN(workerCount), lasts: lasts, at: time.Duration(moment * float64(typical))}
}
