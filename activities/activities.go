package activities

import (
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
)

// Activities is what the activities of a code location's worker need. All fields are required.
type Activities struct {
	Client  client.Client
	Store   *metadata.Store
	Runtime *definitions.Runtime
	Log     *slog.Logger
	// Namespace is Temporal's, Location the code location's name.
	Namespace, Location string
	// Worker names host and process in records, Build the build id.
	Worker, Build string
	// Limits are what runs that are planned here keep to their end.
	Limits plan.Limits
	// DeployGrace is how long a step waits for a worker that has its definition.
	DeployGrace time.Duration
	// CommitPatience is how long a commit waits in place for Postgres.
	CommitPatience time.Duration
	// Random is from [0, 1), for the jitter of retries.
	Random func() float64

	planners   plannerCache
	attributes attributeCache
}
