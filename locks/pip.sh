# shellcheck shell=bash
# Sourced by this folder's scripts: installing a lock, every file checked against its hash, wheels at hand used first.

locks=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for name in "${!PYTHON@}"; do
  # PYTHON alone names the interpreter that is wanted.
  if [ "$name" != PYTHON ]; then unset "$name"; fi
done
# A wheel built twice from one source is then the same bytes: fixed times, fixed modes.
export SOURCE_DATE_EPOCH=315532800
umask 022

# find_python: the interpreter the locks are for; PYTHON, if set, is looked at first.
find_python() {
  local name
  for name in ${PYTHON:+"$PYTHON"} python3.11 python3; do
    if "$name" -I -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "error: no Python 3.11 with its venv module here, and the locks are for 3.11: install both, or Docker" >&2
  return 5
}

# keep_sources PYTHON: of pip's settings, in its files and variables alike, leaves those that say where packages come
# from. Those that say where they go, or which (user, target, prefix, require-virtualenv, no-binary, constraint ...),
# are for other installations than this one.
keep_sources() {
  local setting kept=()
  # `user = true`, meant for installations, would also choose the file that is listed, and `quiet` list nothing.
  mapfile -d '' -t kept < <(PIP_USER=0 PIP_GLOBAL=0 PIP_SITE=0 PIP_QUIET=0 "$1" -I -m pip config list | "$1" -I -c '
import ast, re, sys
names = ("index-url extra-index-url find-links no-index trusted-host cert client-cert proxy timeout default-timeout "
         "retries keyring-provider cache-dir no-cache-dir").split()
lines, found = sys.stdin.read().splitlines(), {}
for section in ("global", "download", "wheel", "install", ":env:"):
    for line in lines:
        match = re.fullmatch(re.escape(section) + r"\.([a-z-]+)=(.*)", line)
        if match and match[1] in names:
            found[match[1].upper().replace("-", "_")] = " ".join(ast.literal_eval(match[2]).split())
for name, value in found.items():
    print(f"PIP_{name}={value}", end="\0")
')
  unset "${!PIP_@}"
  for setting in ${kept[@]+"${kept[@]}"}; do export "${setting?}"; done
  export PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PIP_QUIET=1
}

# only LOCK NAME: the path of a file with that one requirement and its hashes.
only() {
  awk -v start="$2==" 'index($0, start) == 1 { on = 1 } on { print } on && !/\\$/ { exit }' "$1" >"$work/$2.txt"
  echo "$work/$2.txt"
}

# at_hand LOCK FOLDER: the wheels of a folder that the lock names by hash, one per line.
at_hand() {
  local wheel
  for wheel in "$2"/*.whl; do
    if [ -f "$wheel" ] && grep -q "$(sha256sum <"$wheel" | cut -d ' ' -f 1)" "$1"; then
      printf '%s\n' "$wheel"
    fi
  done
}

# cpu_torch LOCK COMMAND...: a pip command for the lock's torch, if that is the CPU build, which package indexes lack:
# with the index and wheel folders as configured and, if they have no such file, with PyTorch's own index.
cpu_torch() {
  local lock=$1
  shift
  grep -q '^torch==.*+cpu' "$lock" || return 0
  "$@" --requirement "$(only "$lock" torch)" 2>/dev/null || {
    echo "torch: not on the configured package index, asking PyTorch's" >&2
    "$@" --requirement "$(only "$lock" torch)" --requirement "$locks/pytorch-cpu.txt"
  }
}

# make_tools PYTHON VENV FOLDER: a virtual environment with pip and what builds wheels (build.txt).
make_tools() {
  "$1" -I -m venv --clear "$2"
  keep_sources "$2/bin/python"
  install_lock "$2" "$2" "$locks/build.txt" "$3"
}

# seqeval_wheel TOOLS FOLDER: seqeval is published as source only; this makes its wheel.
seqeval_wheel() {
  "$1/bin/python" -I -m pip wheel --no-deps --no-build-isolation --no-cache-dir --require-hashes --wheel-dir "$2" \
    --requirement "$(only "$locks/cpu.txt" seqeval)"
}

# install_lock TOOLS VENV LOCK FOLDER: the pip of TOOLS installs LOCK into VENV, taking the wheels of FOLDER first.
# What one step has installed the next does not ask for again.
install_lock() {
  local tools=$1 lock=$3 wheels
  local pip=("$tools/bin/python" -I -m pip --python "$2/bin/python" install --no-compile --no-deps)
  mapfile -t wheels < <(at_hand "$lock" "$4")
  if grep -q '^seqeval==' "$lock" && [[ "${wheels[*]-}" != */seqeval-* ]]; then
    # Built with the pinned tools; left to itself, pip would take the newest of the day.
    seqeval_wheel "$tools" "$work"
    wheels+=("$work"/seqeval-*.whl)
  fi
  if [ "${#wheels[@]}" -gt 0 ]; then
    "${pip[@]}" --no-index "${wheels[@]}"
  fi
  cpu_torch "$lock" "${pip[@]}" --require-hashes
  "${pip[@]}" --require-hashes --requirement "$lock"
}
