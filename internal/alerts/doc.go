// Package alerts tells people of failures: of runs after all their retries, of schedules and sensors that fail, of backfills that
// have ended, of sinks that cannot be told. What is to be told is read from the event log by a cursor of its own and written to
// Postgres before anything is sent, so that whoever takes over from one that was killed goes on where it was. Each alert reaches
// each sink at least once; twice only when the process, or its connection, dies between the sending and its record, and then
// under the same key.
package alerts
