// Command benchmarks runs plain Temporal beside Perdure: the same graph of no-op activities, the same
// server, the same process. It prints the medians and their ratio, and writes them as JSON.
//
//	go run ./benchmarks -bench 'wide|chain' -runs 3 -out benchmarks/out/latest.json
package main
