#!/bin/sh
# run-test.sh TEST PACKAGE...: runs the one test of that name, and fails when there is none: go test alone would succeed.
set -eu

test=$1
shift

if ! go test -list "^$test\$" "$@" | grep -qx "$test"; then
	echo "no test is called $test in $*" >&2
	exit 1
fi
go test -count=1 -v -run "^$test\$" "$@"
