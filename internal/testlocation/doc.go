// Package testlocation is a code location for tests of reliability: a real worker process whose every asset does what
// files tell it, and notes every call of its function. The program that tests re-executes itself as the worker.
package testlocation
