// Package program builds, runs and watches a code location's Go program, for commands that do so on a developer's
// machine. A location in production is run by whatever runs the team's other services.
package program
