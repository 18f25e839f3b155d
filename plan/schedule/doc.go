// Package schedule is when schedules are due: which of their ticks to evaluate, which to leave out, and what Temporal must be
// told so that it wakes somebody for each of them. It is pure arithmetic over [plan.Schedule].
package schedule
