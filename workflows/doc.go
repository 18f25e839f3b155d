// Package workflows holds Perdure's Temporal workflows. They are deterministic interpreters of plans:
// they see no user code, no clock, no environment, and know Postgres only through activities.
package workflows
