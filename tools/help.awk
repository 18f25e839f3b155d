# Prints a Makefile's targets: their comments after ##, under the headings after ##@.
BEGIN {
	FS = ":.*## "
	print "usage: make TARGET"
}
/^##@ / { printf "\n%s\n", substr($0, 5) }
/^[a-z][a-z-]*:.*## / { printf "  %-14s %s\n", $1, $2 }
