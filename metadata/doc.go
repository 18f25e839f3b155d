// Package metadata keeps what has happened in Postgres: definitions and their builds, runs and their
// plans, steps as attempts hold them, materializations, and the event log.
//
// What a run writes, it writes through SQL functions that the migrations install: each is one
// statement, one transaction and one round trip, and changes nothing when it is called again. Their
// names carry a version, so that two versions of the program work on one schema.
//
// All tables are in the schema that the DSN's search_path names first.
package metadata
