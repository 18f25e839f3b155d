#!/bin/sh
# install.sh MODULE@VERSION FILE: builds a Go program of exactly that version as FILE.
set -eu

module=$1
file=$2

folder=$(dirname "$file")
mkdir -p "$folder"
staging=$(mktemp -d "$folder/install.XXXXXX")
trap 'rm -rf "$staging"' EXIT
trap 'exit 1' HUP INT TERM

echo "installing $module into $folder"
# A tool is built for this machine with its own settings, whatever the project is built with.
GOBIN=$(cd "$staging" && pwd) GOFLAGS='' GOOS='' GOARCH='' go install "$module"
mv "$staging"/* "$file"
