//go:build unix

package program

// ExecutableSuffix ends the names of programs.
const ExecutableSuffix = ""
