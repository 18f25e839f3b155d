package program

// ExecutableSuffix ends the names of programs.
const ExecutableSuffix = ".exe"
