package definitions

//go:generate go run ./internal/bindgen -o bind.go

// Compute is a function whose every parameter has its source: what an asset, a multi-asset or a resource runs.
// Bind0 to Bind8 make one of a function with that many parameters beside the Context, Do0 to Do8 of a
// function that returns only an error.
type Compute[R any] struct {
	bound
	run func(*scope) (R, error)
}

// Nothing is the value of a function that only acts. An asset of Nothing is computed and recorded; nothing is
// stored for it.
type Nothing struct{}

// bound is what is known of a compute without its types.
type bound struct {
	needs  []need
	at     string
	faults []fault
	// onlyNothing says that it makes no values: every output of a multi-asset is then of Nothing.
	onlyNothing bool
	// remote says that another program computes it; stepOnly that no resource can.
	remote, stepOnly bool
}

// bind remembers the needs of a function, and where it is bound.
func bind(noFunction bool, needs ...need) bound {
	b := bound{needs: needs, at: place()}
	if noFunction {
		b.faults = append(b.faults, fault{"function", "the bound function is nil", "bind a function that is declared"})
	}
	for _, n := range needs {
		n.each(nil, func(n need) {
			if n.kind == needInvalid {
				b.faults = append(b.faults, n.fault)
			}
		})
	}
	return b
}

// faultsOf are a compute's faults, also of one that no Bind made.
func (c Compute[R]) faultsOf() []fault {
	if c.run == nil {
		return append(c.faults, fault{"function", "it has no function", "make one with Bind0 to Bind8 or Do0 to Do8"})
	}
	return c.faults
}
