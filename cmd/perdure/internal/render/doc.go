// Package render turns runs, steps and assets into text for a terminal: tables, durations, the live view of a run. It
// is pure: it is given the time and the width, and writes nothing itself but what a Painter repaints.
package render
