// Package pipes is the orchestrator's side of the Dagster Pipes protocol, version 0.1: a program that the dagster-pipes
// package, or its like in another language, is used in finds its context in one file, and appends what it reports to
// another, one JSON object a line.
//
// Two environment variables say where: each is the base64 of the zlib-compressed JSON {"path": FILE}.
package pipes
