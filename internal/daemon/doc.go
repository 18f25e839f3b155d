// Package daemon looks after what no worker of a code location can: it puts right what was terminated, timed out or
// never began, and deletes what is older than the instance keeps. Any number of daemons may run; at each time one of
// them does the work.
package daemon
