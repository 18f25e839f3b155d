//go:build race

package plan_test

// slowdown is what the race detector costs in time, at most.
const slowdown = 20
