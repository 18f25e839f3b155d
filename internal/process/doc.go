// Package process starts children that end with us, and with all that they have started: each is in a process group of
// its own, which is killed as a whole when the child has ended, when it is told to, and when this process dies, however
// it dies. It imports nothing of ours.
package process
