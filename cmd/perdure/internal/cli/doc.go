// Package cli is the command line. It is thin: a command reads its flags, asks the packages that know, and prints.
// Streams, arguments, environment, clock and terminal are given to it, and it returns an exit code, so that tests
// call it as a shell would.
package cli
