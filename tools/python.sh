#!/bin/sh
# python.sh prints the path of a Python interpreter that has the packages of python-requirements.txt. The first time, it
# makes a virtual environment for them in the user's cache; a change of the list makes another one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
case $(uname -s) in
Darwin) cache="$HOME/Library/Caches/perdure" ;;
*) cache="${XDG_CACHE_HOME:-$HOME/.cache}/perdure" ;;
esac
folder=$cache/python-$(cksum "$here/python-requirements.txt" | cut -d ' ' -f 1)
if [ -x "$folder/bin/python3" ]; then
	echo "$folder/bin/python3"
	exit 0
fi

"$here/deps.sh" python >&2
mkdir -p "$cache"
staging=$(mktemp -d "$cache/python.XXXXXX")
trap 'rm -rf "$staging"' EXIT
trap 'exit 1' HUP INT TERM
echo "python: installing the packages of tools/python-requirements.txt into $folder" >&2
python3 -m venv "$staging/made"
"$staging/made/bin/python3" -m pip install --quiet --disable-pip-version-check --requirement "$here/python-requirements.txt" >&2
# Whoever was first at the same time has made the same.
mv "$staging/made" "$folder" 2>/dev/null || [ -x "$folder/bin/python3" ]
echo "$folder/bin/python3"
