// Package integration tests runs from end to end: a real Temporal, a real PostgreSQL, real workers.
package integration
