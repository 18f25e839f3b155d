// Package assetstatus says how the partitions of an asset stand: which are materialized, running, failed or missing, and
// which are stale. What an asset without partitions is, its one partition is, whose key is "".
//
// A [Reader] reads what the metadata store has kept of earlier readings and what came after that, so that it costs the same
// for a million partitions as for one. What has changed since, it keeps.
package assetstatus
