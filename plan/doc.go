// Package plan holds a location's definitions as data (the [Snapshot]) and turns a request over
// them into an execution plan. Nothing here sees user code: the CLI plans from Postgres alone.
package plan
