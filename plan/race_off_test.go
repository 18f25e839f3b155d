//go:build !race

package plan_test

const slowdown = 1
