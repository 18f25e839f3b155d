// Package activities holds what Perdure's workflows call: planning a run, running a step, recording
// how things ended. Here alone is decided which error is tried again and which is final.
package activities
