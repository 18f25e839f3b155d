package definitions

import (
	"errors"
	"reflect"
)

// InputManager loads the values of external assets, and stores nothing: see [LoadedBy]. Its methods may be called at
// the same time for different slots.
type InputManager interface {
	// Accepts says why values of a type cannot be kept here; nil when they can. It is asked when definitions are
	// validated, so that a type which does not fit is found before anything runs: on the zero value of the
	// manager's type, which is not opened for that, unless the resource has the option [Accepts]. Where a step
	// stores, it is asked again of the opened manager, before the step's function runs.
	Accepts(reflect.Type) error
	// Load fills into, a *T, with the value of a slot. Token is that of the materialization to load; it is 0 for
	// an external asset of which Perdure knows no materialization.
	// Where there is no value it returns or wraps [ErrNotStored], where the store cannot be reached [ErrUnavailable].
	Load(ctx Context, at Slot, into any) error
}

// IOManager stores and loads the values of assets. It is a resource like any other: see [StoredBy].
// Its methods may be called at the same time for different slots.
type IOManager interface {
	InputManager
	// Stage writes value so that nobody sees it yet: Perdure publishes it after checks and fence. What it reports
	// is added to the materialization.
	Stage(ctx Context, at Slot, value any) (Staged, error)
}

// OpAccepter is an [IOManager] that does not keep the outputs of ops, whose slots are of a run and a step. Like Accepts it is
// asked when definitions are validated, on the zero value of the manager's type, and before an op's function runs.
type OpAccepter interface {
	// AcceptsOps says why; nil when it does keep them.
	AcceptsOps() error
}

// Staged is a value that is written and not yet published.
type Staged interface {
	// Location says where the value lies once it is published: a URI, or whatever a person can find it by.
	Location() string
	// Publish makes the value visible. It may be called again after it succeeded.
	Publish(Context) error
	// Discard removes a value that will not be published; what is already gone is no error.
	Discard(Context) error
}

// Resumer is an [IOManager] that can find again what an attempt staged before its worker died, so
// that the step publishes it and does not compute again.
type Resumer interface {
	// Resume answers for a slot that Stage was called with, and the location it gave. When the staged value is no
	// longer there it returns [ErrNotStored], and the step computes again.
	Resume(ctx Context, at Slot, location string) (Staged, error)
}

// Slot is where one value goes: of an asset, or the output of an op, which belongs to a step of a run. Token grows with each
// attempt at it, across retries, resets and runs: a store that can compare refuses a smaller one, one that cannot puts
// it into the name.
type Slot struct {
	// Asset is the key, its parts joined by "/"; "" for an op's output.
	Asset string
	// Partition is the partition's key; "" for an asset without partitions.
	Partition string
	// Run and Step name the step that stores an op's output, such as "etl.clean" or "etl.clean[page_3]"; Key is the
	// element's key in a dynamic output. All are "" for an asset.
	Run, Step, Key string
	// Token names the attempt that stored the value.
	Token int64
	// Location is where the value lies, as [Staged] said when it was stored. It is set where a recorded value is loaded; it
	// does not tell slots apart.
	Location string
}

// String names the slot for messages: "routes", "routes [2001-01-01]", "op etl.clean of run r1", "op pages (p1) of run r1".
func (s Slot) String() string {
	switch {
	case s.Asset != "" && s.Partition != "":
		return s.Asset + " [" + s.Partition + "]"
	case s.Asset != "":
		return s.Asset
	case s.Key != "":
		return "op " + s.Step + " (" + s.Key + ") of run " + s.Run
	}
	return "op " + s.Step + " of run " + s.Run
}

// ErrNotStored is returned or wrapped by Load and Resume when nothing lies in the slot.
var ErrNotStored = errors.New("no stored value")
