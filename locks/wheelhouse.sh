#!/usr/bin/env bash
# Fills a folder with all the wheels of some locks and with those that build our own, for a build without a network:
#     locks/wheelhouse.sh wheelhouse gpu && docker build --network none .
set -euo pipefail
# shellcheck source=locks/pip.sh
source "$(dirname "$0")/pip.sh"

folder=$1
shift
mkdir -p "$folder"
python=$(find_python)
make_tools "$python" "$work/tools" "$folder"

download=("$work/tools/bin/python" -I -m pip download --no-deps --require-hashes --find-links "$folder" --dest "$folder")
"${download[@]}" --requirement "$locks/build.txt"
seqeval_wheel "$work/tools" "$folder"
for name in "$@"; do
  cpu_torch "$locks/$name.txt" "${download[@]}"
  awk '/^[A-Za-z0-9]/ { on = !/^seqeval==/ } on { print }' "$locks/$name.txt" >"$work/$name.txt"
  "${download[@]}" --requirement "$work/$name.txt"
done
