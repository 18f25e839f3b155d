package plan

// readySteps are the steps that may start, and how many run under each tag limit. Those of one kind wait in one lane,
// so that what a limit holds back is not looked at step by step.
type readySteps struct {
	kinds []Kind
	lanes []lane
	// added counts the steps that became ready, for their order among all lanes.
	added int
	// limits are the tag limits, each for one value where each has its own; of are those of every kind.
	limits []runningLimit
	of     [][]int
	// pools says that steps of a kind with a pool start only with a slot; slots are those.
	pools bool
	slots slotSteps
}

// lane holds the ready steps of one kind in the order they became ready, from head on; cancelled ones stay in it.
type lane struct {
	steps []readyStep
	head  int
}

type readyStep struct{ step, number int }

// runningLimit counts the steps under a tag limit: those that run, and those that were asked for a slot for and do not run yet.
type runningLimit struct {
	limit   TagLimit
	running int
	asked   int
}

func newReadySteps(walk *Walk) readySteps {
	r := readySteps{
		kinds: walk.Kinds, lanes: make([]lane, len(walk.Kinds)), of: make([][]int, len(walk.Kinds)),
		pools: walk.Pools, slots: slotSteps{asked: map[int]*askedStep{}, waiting: map[string]int{}},
	}
	numbers := map[KindLimit]int{}
	for i, kind := range walk.Kinds {
		for _, under := range kind.Limits {
			number, known := numbers[under]
			if !known {
				number = len(r.limits)
				numbers[under] = number
				limit := walk.TagLimits[under.Limit]
				if limit.PerValue {
					limit.Value = under.Value
				}
				r.limits = append(r.limits, runningLimit{limit: limit})
			}
			r.of[i] = append(r.of[i], number)
		}
	}
	return r
}

func (r *readySteps) add(step, kind int) {
	r.lanes[kind].steps = append(r.lanes[kind].steps, readyStep{step, r.added})
	r.added++
}

func (r *readySteps) clear() { clear(r.lanes) }

// take removes the step that is to start next.
func (r *readySteps) take(states []stepState) (step int, ok bool) {
	if step, ok := r.takeGranted(); ok {
		return step, true
	}
	best := -1
	for i := range r.lanes {
		if r.gated(i) || !r.lanes[i].settle(states) {
			continue
		}
		if _, held := r.heldBack(i); held {
			continue
		}
		if best < 0 || r.before(i, best) {
			best = i
		}
	}
	if best < 0 {
		return 0, false
	}
	return r.lanes[best].pop().step, true
}

func (l *lane) pop() readyStep {
	next := l.steps[l.head]
	l.head++
	return next
}

// settle moves past the steps that are no longer ready, and says whether one is left.
func (l *lane) settle(states []stepState) bool {
	for l.head < len(l.steps) && states[l.steps[l.head].step] != stateReady {
		l.head++
	}
	if l.head == len(l.steps) {
		l.steps, l.head = l.steps[:0], 0
	}
	return len(l.steps) > 0
}

func (r *readySteps) before(a, b int) bool {
	if r.kinds[a].Order != r.kinds[b].Order {
		return r.kinds[a].Order > r.kinds[b].Order
	}
	x, y := &r.lanes[a], &r.lanes[b]
	return x.steps[x.head].number < y.steps[y.head].number
}

// running counts a step of a kind that began or ceased to run.
func (r *readySteps) running(kind int, begins bool) {
	change := -1
	if begins {
		change = 1
	}
	for _, number := range r.of[kind] {
		r.limits[number].running += change
	}
}

func (r *readySteps) heldBack(kind int) (TagLimit, bool) {
	for _, number := range r.of[kind] {
		if under := &r.limits[number]; under.running >= under.limit.Limit {
			return under.limit, true
		}
	}
	return TagLimit{}, false
}
