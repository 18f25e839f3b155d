package definitions

import (
	"log/slog"

	"github.com/perdure-io/perdure/internal/step"
)

// ErrUnavailable marks an error of an IO manager or a resource whose store cannot be reached. A step that fails
// with it is tried again until the store is back; that does not count as a failure of the user's function. Wrap it
// with %w.
var ErrUnavailable = step.ErrUnavailable

// Environment is what a process gives to the definitions that it runs.
type Environment struct {
	// Storage keeps the values of assets that name no IO manager; nil when there is none, which
	// NewRuntime then refuses for such assets.
	Storage IOManager
	// Log is for what opens and closes resources; nil is slog's default.
	Log *slog.Logger
}
