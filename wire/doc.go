// Package wire holds what crosses a process: requests, results, statuses, problems, and every name
// and id that Perdure has on Temporal. All of it is plain JSON, documented here and strictly decoded.
package wire
