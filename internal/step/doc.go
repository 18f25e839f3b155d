// Package step runs one step: claim, load, compute, stage, check the token, publish, commit. It is
// the one implementation, used by the activities of real runs and by definitions.Materialize; what
// differs between the two (where records go, who hears the heartbeat) are interfaces.
package step
