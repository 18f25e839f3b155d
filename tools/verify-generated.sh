#!/bin/sh
# Generates everything in a copy of the work tree, and fails when a file comes out differently.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' HUP INT TERM

cd "$root"
# What git would take: tracked files that still exist, and new ones that are not ignored.
git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
	if [ -f "$file" ]; then
		printf '%s\n' "$file"
	fi
done >"$copy/files"
mkdir "$copy/before" "$copy/after"
tar -cf - -T "$copy/files" | tar -xf - -C "$copy/before"
cp -R "$copy/before/." "$copy/after"

(cd "$copy/after" && go generate ./...)

cd "$copy"
if ! diff -r before after; then
	echo "what is generated is not up to date (the lines above): run make generate" >&2
	exit 1
fi
