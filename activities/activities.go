package activities

import (
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
)

// Activities is what the activities of a code location's worker need. All fields but Printer are required.
type Activities struct {
	Client  client.Client
	Store   *metadata.Store
	Runtime *definitions.Runtime
	Log     *slog.Logger
	// Namespace is Temporal's, Location the code location's name.
	Namespace, Location string
	// Worker names host and process in records, Build the build id.
	Worker, Build string
	// Starter has the instance's settings: what runs that are planned here keep to their end, and how often one that failed
	// is started again.
	Starter *starter.Starter
	// Wake has workflows woken soon, and waits for nothing.
	Wake func([]metadata.Wake)
	// RunURL leads to a run in Temporal's Web UI.
	RunURL func(run string) string
	// DeployGrace is how long a step waits for a worker that has its definition.
	DeployGrace time.Duration
	// CommitPatience is how long a commit waits in place for Postgres.
	CommitPatience time.Duration
	// Random is from [0, 1), for the jitter of retries.
	Random func() float64
	// Lines keeps what steps log, from LogLevel on where the run says nothing.
	Lines    *Lines
	LogLevel slog.Level
	// Printer keeps what steps print; nil leaves it to the process's own output.
	Printer step.Printer
	// Isolate gives code that does the same in a process of its own, for one attempt; end ends the process.
	Isolate func(code *step.Code) (isolated *step.Code, end func())

	planners   plannerCache
	attributes attributeCache
	executions executionCache
	sensors    sensorCache
}
