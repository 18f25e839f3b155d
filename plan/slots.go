package plan

// slotSteps are the ready steps whose kind has a pool, in a walk whose pools are kept: somebody asks for a slot for each of
// them, and it starts once it has one.
type slotSteps struct {
	// asked are those that were asked for and do not run yet, with whether they were granted a slot; waiting counts of each
	// pool those that were not.
	asked   map[int]*askedStep
	waiting map[string]int
	// open are those that have none, granted those that have one, in the order in which that came about; and some that are not
	// ready any more.
	open, granted []int
}

type askedStep struct {
	kind    int
	granted bool
}

// AskForSlots returns the ready steps for which a slot is to be asked for now, with each the pool of its kind. Each is
// returned once: it stays ready until [Progress.Grant], and then [Progress.NextReady] takes it before all others. Of one
// pool at most window steps are asked for and have no slot at a time, and of those under a tag limit no more than could
// start: what they would have to wait with in vain, others could use.
func (p *Progress) AskForSlots(window int) []int {
	if !p.walk.Pools {
		return nil
	}
	return p.ready.ask(p.states, window)
}

// Asked are the steps that were asked for and have no slot yet, in the order in which they were asked for.
func (p *Progress) Asked() []int { return p.ready.withoutSlot() }

// NeedsSlot says whether a step is ready but for a slot of its pool.
func (p *Progress) NeedsSlot(step int) bool {
	if p.states[step] != stateReady || !p.ready.gated(p.walkStep(step).Kind) {
		return false
	}
	asked := p.ready.slots.asked[step]
	return asked == nil || !asked.granted
}

// WasAsked says whether a step is among those that [Progress.Asked] returns.
func (p *Progress) WasAsked(step int) bool {
	asked := p.ready.slots.asked[step]
	return asked != nil && !asked.granted
}

// Grant says that a step has a slot of its pool. Of one that was not asked for, or is not ready any more, it changes nothing.
func (p *Progress) Grant(step int) { p.ready.grant(step) }

// Take makes a ready step running, whatever holds it back: somebody cancels it, and that is being recorded. It says
// whether the step was ready.
func (p *Progress) Take(step int) bool {
	if p.states[step] != stateReady {
		return false
	}
	p.set(step, stateRunning)
	return true
}

// gated says whether steps of a kind start only with a slot.
func (r *readySteps) gated(kind int) bool { return r.pools && r.kinds[kind].Pool != "" }

func (r *readySteps) ask(states []stepState, window int) []int {
	var steps []int
	for {
		best := -1
		for i := range r.lanes {
			if r.gated(i) && r.lanes[i].settle(states) && r.slots.waiting[r.kinds[i].Pool] < window && r.couldStart(i) && (best < 0 || r.before(i, best)) {
				best = i
			}
		}
		if best < 0 {
			return steps
		}
		next := r.lanes[best].pop().step
		r.slots.asked[next] = &askedStep{kind: best}
		r.slots.open = append(r.slots.open, next)
		r.slots.waiting[r.kinds[best].Pool]++
		r.claim(best, 1)
		steps = append(steps, next)
	}
}

// couldStart says whether tag limits leave a place for one more step of a kind, beside those that run or were asked for.
func (r *readySteps) couldStart(kind int) bool {
	for _, number := range r.of[kind] {
		if under := &r.limits[number]; under.running+under.asked >= under.limit.Limit {
			return false
		}
	}
	return true
}

func (r *readySteps) claim(kind, change int) {
	for _, number := range r.of[kind] {
		r.limits[number].asked += change
	}
}

func (r *readySteps) withoutSlot() []int {
	open := r.slots.open[:0]
	var steps []int
	for _, next := range r.slots.open {
		if asked := r.slots.asked[next]; asked != nil && !asked.granted {
			open = append(open, next)
			steps = append(steps, next)
		}
	}
	r.slots.open = open
	return steps
}

func (r *readySteps) grant(step int) {
	asked := r.slots.asked[step]
	if asked == nil || asked.granted {
		return
	}
	asked.granted = true
	r.slots.waiting[r.kinds[asked.kind].Pool]--
	r.slots.granted = append(r.slots.granted, step)
}

// takeGranted removes the step that has had a slot longest, of those that no tag limit holds back.
func (r *readySteps) takeGranted() (step int, ok bool) {
	open := r.slots.granted[:0]
	for _, next := range r.slots.granted {
		asked := r.slots.asked[next]
		if asked == nil {
			continue // it is not ready any more
		}
		if _, held := r.heldBack(asked.kind); !ok && !held {
			step, ok = next, true
			continue
		}
		open = append(open, next)
	}
	r.slots.granted = open
	return step, ok
}

// left forgets a step that is not ready any more.
func (r *readySteps) left(step int) {
	asked := r.slots.asked[step]
	if asked == nil {
		return
	}
	delete(r.slots.asked, step)
	if !asked.granted {
		r.slots.waiting[r.kinds[asked.kind].Pool]--
	}
	r.claim(asked.kind, -1)
}
