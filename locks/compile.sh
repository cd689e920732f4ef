#!/usr/bin/env bash
# Makes every lock of this folder from pyproject.toml and build.in: locks/compile.sh [--upgrade]
# Needs uv: the one in .venv (./reproduce.sh test makes it) or on PATH.
set -euo pipefail
# shellcheck source=locks/pip.sh
source "$(dirname "$0")/pip.sh"
cd "$locks/.."
PATH=$PWD/.venv/bin:$PATH

# A folder with the CPU build of torch and nothing else: uv takes it from there and all else from the index.
python=$(find_python)
make_tools "$python" "$work/tools" wheelhouse
mkdir "$work/torch"
sed -n 's/^cpu = .*"\(torch==[^"]*\)".*/\1+cpu/p' pyproject.toml >"$work/torch.in"
cpu_torch "$work/torch.in" "$work/tools/bin/python" -I -m pip download --no-deps --find-links wheelhouse --dest "$work/torch"

# --no-config, and uv does not read pip's: the locks depend on these arguments alone.
compile() {
  local lock=$1
  shift
  echo "locks/$lock.txt"
  uv pip compile --quiet --no-config --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_36 \
    --custom-compile-command locks/compile.sh --output-file "locks/$lock.txt" "$@"
}

compile cpu --extra cpu --find-links "$work/torch" pyproject.toml "$@"
compile gpu --extra gpu pyproject.toml "$@"
compile dev --extra cpu --extra dev --constraint locks/cpu.txt --find-links "$work/torch" pyproject.toml "$@"
compile build --constraint locks/dev.txt locks/build.in "$@"
# Beside pip and the build tools in one environment, so with their pins; without what is needed for data of theirs alone.
printf '%s\n' playwright dask distributed kopf kr8s kubernetes kubernetes-asyncio pykube-ng >"$work/unneeded.txt"
compile judges --constraint locks/build.txt --excludes "$work/unneeded.txt" locks/judges.in "$@"

# The wheel that an offline build takes instead of seqeval's source gets its hash into the locks too.
seqeval_wheel "$work/tools" "$work"
hash=$(sha256sum <"$(echo "$work"/seqeval-*.whl)" | cut -d ' ' -f 1)
for lock in cpu gpu dev; do
  # uv keeps it when it is there from the last time.
  grep -q "$hash" "locks/$lock.txt" || sed -i "s/^seqeval==.*/&\n    --hash=sha256:$hash \\\\/" "locks/$lock.txt"
done
