#!/bin/sh
# Installs what tests and the local stack need beside Go, where it is missing:
#
#   deps.sh         PostgreSQL's server programs and the temporal CLI
#   deps.sh make    make
#   deps.sh curl    curl, with which a test runs the documentation's commands
#   deps.sh example Python, in which a script of the example is written
#   deps.sh python  Python with its virtual environments, for tests of steps that are Python programs
#   deps.sh race    a C compiler, for the race detector
#
# Packages are installed only as root on Debian and its like; elsewhere it says what is missing and what follows.
# It never asks for a password, and takes a moment when everything is there.
set -eu

# The same version as in internal/devstack, which looks for it in the same places.
temporal_module=github.com/temporalio/cli/cmd/temporal@v1.5.1
minimum_server_minor=29

say() {
	echo "deps: $*"
}

# can_install says whether packages may be installed without asking anybody.
can_install() {
	[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1
}

# apt_install PACKAGE... installs Debian packages; the package lists are fetched only when the first try fails.
apt_install() {
	say "installing the Debian packages: $*"
	export DEBIAN_FRONTEND=noninteractive
	if apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1; then
		return 0
	fi
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# advise WHAT: how a person installs it here.
advise() {
	if command -v apt-get >/dev/null 2>&1; then
		echo "sudo apt-get install $1"
	elif command -v dnf >/dev/null 2>&1; then
		echo "sudo dnf install $2"
	elif command -v brew >/dev/null 2>&1; then
		echo "brew install $3"
	else
		echo "install $1 with your system's package manager"
	fi
}

have_postgres() {
	if command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1; then
		return 0
	fi
	for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb /usr/local/pgsql/bin/initdb \
		/opt/homebrew/opt/postgresql*/bin/initdb /usr/local/opt/postgresql*/bin/initdb; do
		if [ -x "$initdb" ]; then
			return 0
		fi
	done
	return 1
}

need_postgres() {
	if have_postgres; then
		return 0
	fi
	if can_install; then
		apt_install postgresql
		return 0
	fi
	say "PostgreSQL's server programs are missing; one is downloaded when first needed." \
		"To use your own: $(advise postgresql postgresql-server postgresql)"
}

cache_folder() {
	case $(uname -s) in
	Darwin) echo "$HOME/Library/Caches/perdure" ;;
	*) echo "${XDG_CACHE_HOME:-$HOME/.cache}/perdure" ;;
	esac
}

# is_temporal FILE: it runs, and its server is new enough.
is_temporal() {
	[ -x "$1" ] || return 1
	minor=$("$1" --version 2>/dev/null | sed -n 's/.*(Server 1\.\([0-9][0-9]*\)\..*/\1/p')
	[ -n "$minor" ] && [ "$minor" -ge "$minimum_server_minor" ]
}

need_temporal() {
	cache=$(cache_folder)/bin
	on_path=$(command -v temporal || true)
	for candidate in "$on_path" "$(go env GOBIN)/temporal" "$(go env GOPATH)/bin/temporal" "$cache/temporal"; do
		if is_temporal "$candidate"; then
			return 0
		fi
	done
	mkdir -p "$cache"
	say "building $temporal_module once, into $cache; this takes a few minutes"
	GOBIN=$cache GOFLAGS='' GOOS='' GOARCH='' go install "$temporal_module"
}

need_make() {
	if command -v make >/dev/null 2>&1; then
		return 0
	fi
	if can_install; then
		apt_install make
		return 0
	fi
	say "make is missing: $(advise make make make)" >&2
	return 1
}

need_curl() {
	if command -v curl >/dev/null 2>&1; then
		return 0
	fi
	if can_install; then
		apt_install curl
		return 0
	fi
	say "a test runs the documentation's curl commands, and curl is missing: $(advise curl curl curl)" >&2
	return 1
}

need_example() {
	if command -v python3 >/dev/null 2>&1; then
		return 0
	fi
	if can_install; then
		apt_install python3
		return 0
	fi
	say "the example computes one asset by a Python script, and python3 is missing: $(advise python3 python3 python3)" >&2
	return 1
}

need_python() {
	if command -v python3 >/dev/null 2>&1 && python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
		return 0
	fi
	if can_install; then
		apt_install python3 python3-venv
		return 0
	fi
	say "tests run steps that are Python programs, and Python 3 with venv is missing: $(advise python3-venv python3 python3)" >&2
	return 1
}

need_compiler() {
	compiler=$(go env CC)
	if command -v "$compiler" >/dev/null 2>&1; then
		return 0
	fi
	if can_install; then
		apt_install gcc libc6-dev
		return 0
	fi
	say "the race detector needs a C compiler, and $compiler is missing: $(advise gcc gcc gcc)" >&2
	return 1
}

if ! command -v go >/dev/null 2>&1; then
	say "Go is missing: install it from https://go.dev/dl, version $(sed -n 's/^go //p' "$(dirname "$0")/../go.mod") or newer" >&2
	exit 1
fi

case ${1:-} in
'')
	need_postgres
	need_temporal
	;;
make) need_make ;;
curl) need_curl ;;
example) need_example ;;
python) need_python ;;
race) need_compiler ;;
*)
	say "unknown argument $1; known: make, curl, example, python, race, or none" >&2
	exit 2
	;;
esac
