#!/usr/bin/env bash
# Runs the artifact, or its tests, from a clone:
#
#   ./reproduce.sh --table 1          measure Table 1, compare it with what was reported, give a verdict
#   ./reproduce.sh COMMAND ...        any other command of stilts-artifact (check, fetch, doctor, ...)
#   ./reproduce.sh test [ARGS]        all checks and all tests; ARGS go to pytest
#   ./reproduce.sh test --quick       the same without slow tests and the container: under 2 minutes
#
# Runs in Docker when an engine answers and the image can be built, else in the virtual environment .venv made from
# locks/cpu.txt.
# STILTS_ARTIFACT_RUNNER=docker|local decides it. STILTS_ARTIFACT_BUILD holds further options of docker build, such as
# "--network host" or "--build-arg BASE=IMAGE". The exit code is that of the command.
#
# Nothing of the shell that calls it is used (its functions, BASH_ENV, CDPATH, PYTHONPATH, how its pip installs); a
# mirror of the package index that pip is configured for is.

# -p: bash neither takes functions and options from the environment nor looks at CDPATH.
case $- in *p*) ;; *) exec bash -p "$0" "$@" ;; esac
set -Eeuo pipefail
# Whatever fails here is no verdict.
trap 'echo "reproduce.sh: error: $BASH_COMMAND failed (exit $?, line $LINENO)" >&2; exit 5' ERR
unset CDPATH GREP_OPTIONS POSIXLY_CORRECT GIT_DIR GIT_WORK_TREE
for name in "${!PYTHON@}"; do
  # PYTHON alone names the interpreter that is wanted.
  if [ "$name" != PYTHON ]; then unset "$name"; fi
done
umask u=rwx

# Without links: a clone has one name, by whatever path it is reached.
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
image=stilts-artifact

# As it was typed: the line that resumes an interrupted run.
typed=$(printf '%q ' "$0" "$@")

say() { echo "reproduce.sh: $*" >&2; }

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# ---- local: a virtual environment that holds exactly a lock, and this clone

# make_venv LOCK: makes or renews .venv, a link to one of the environments in .venvs; each lies where it was installed,
# as its scripts name that place. What the lock dev installs includes what cpu does.
make_venv() {
  local stamp dev
  if [ "$(uname -sm)" != "Linux x86_64" ]; then
    say "error: the local environment is for Linux x86_64 and this is $(uname -sm): use Docker"
    exit 5
  fi
  exec 9<"$repo/reproduce.sh" # Two runs at once would make one environment: the second waits here.
  if command -v flock >/dev/null; then flock 9; fi
  stamp="$repo $(cat "$repo/locks/$1.txt" "$repo/locks/build.txt" | sha256)"
  dev="$repo $(cat "$repo/locks/dev.txt" "$repo/locks/build.txt" | sha256)"
  case "$(cat "$repo/.venv/lock.stamp" 2>/dev/null || true)" in
    "$stamp" | "$dev") ;;
    *) install_venv "$1" "$stamp" ;;
  esac
  if [ ! "$repo/.venv/project.stamp" -nt "$repo/pyproject.toml" ]; then
    (
      unset "${!PIP_@}"
      PIP_CONFIG_FILE=/dev/null "$repo/.venv/bin/python" -I -m pip --disable-pip-version-check install --quiet \
        --root-user-action ignore --no-index --no-deps --no-build-isolation --editable "$repo"
    )
    touch "$repo/.venv/project.stamp"
  fi
  # Held for as long as the command runs: nobody removes an environment that is in use.
  exec 8<"$repo/.venv/lock.stamp"
  if command -v flock >/dev/null; then flock --shared 8; fi
  exec 9<&-
}

# install_venv LOCK STAMP: the environment in use stays until the new one is complete.
install_venv() {
  local made old
  made=$repo/.venvs/$(echo "$2" | sha256 | cut -c 1-12)
  if [ "$(cat "$made/lock.stamp" 2>/dev/null || true)" != "$2" ]; then
    say "installing locks/$1.txt into .venv (once; minutes, 2 GB)"
    rm -rf "$made" # what a killed installation left
    mkdir -p "$repo/.venvs"
    "$repo/locks/install.sh" "$made" "$1" || {
      say "error: the installation failed (its messages are above); what was installed before is untouched"
      exit 5
    }
    echo "$2" >|"$made/lock.stamp"
  fi
  if [ -d "$repo/.venv" ] && [ ! -L "$repo/.venv" ]; then mv "$repo/.venv" "$repo/.venvs/old"; fi
  ln -sfn ".venvs/${made##*/}" "$repo/.venv.new"
  mv -fT "$repo/.venv.new" "$repo/.venv"
  for old in "$repo"/.venvs/*; do
    if [ "$old" != "$made" ] && is_unused "$old"; then rm -rf "$old"; fi
  done
}

is_unused() {
  if [ ! -e "$1/lock.stamp" ] || ! command -v flock >/dev/null; then return; fi
  flock --exclusive --nonblock "$1/lock.stamp" true
}

run_local() {
  make_venv cpu
  STILTS_ARTIFACT_COMMAND=${typed% } exec "$repo/.venv/bin/python" -I -m stilts_artifact "$@"
}

# ---- Docker

# find_docker: sets docker to a client whose engine answers and which can build with BuildKit, or says why there is none.
find_docker() {
  local candidate limit=()
  if ! command -v docker >/dev/null; then
    why="no docker command"
    return 1
  fi
  if command -v timeout >/dev/null; then limit=(timeout 20); fi
  if ! ${limit[@]+"${limit[@]}"} docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
    why="no Docker engine answers"
    return 1
  fi
  # More than one client may be installed, and the newer ones build only with their buildx plugin.
  while read -r candidate; do
    if DOCKER_BUILDKIT=1 "$candidate" build --help >/dev/null 2>&1; then
      docker=$candidate
      return
    fi
  done < <(type -ap docker)
  why="the docker command cannot build: it lacks the buildx plugin"
  return 1
}

build_image() {
  local variant=$1 options quiet=()
  read -ra options <<<"${STILTS_ARTIFACT_BUILD-}"
  # The first build takes minutes and shows its progress; later ones find most of it done.
  if "$docker" image inspect "$image:$variant" >/dev/null 2>&1; then quiet=(--quiet); fi
  DOCKER_BUILDKIT=1 "$docker" build ${quiet[@]+"${quiet[@]}"} --tag "$image" --tag "$image:$variant" \
    ${options[@]+"${options[@]}"} \
    --build-arg "VARIANT=$variant" \
    --build-arg "VERSION=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$repo/stilts_artifact/__init__.py")" \
    --build-arg "REVISION=$(git -C "$repo" describe --always --dirty --abbrev=40 2>/dev/null || echo unknown)" \
    --build-arg "CREATED=$(git -C "$repo" log -1 --format=%cI 2>/dev/null || echo unknown)" \
    --build-arg "LOCK_SHA256=$(sha256 <"$repo/locks/$variant.txt")" \
    "$repo" >/dev/null
}

# absolute PATH: without the need to exist.
absolute() {
  case "$1" in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
  esac
}

# mount SUFFIX PATH...: adds folders or files to mounts, once each and under their own paths, so that every path the
# command is given or prints means the same inside and outside. The inner quotes make commas in it harmless.
mount() {
  local suffix=$1 path mounted
  for path in "${@:2}"; do
    path=$(absolute "$path")
    if [ "$path" != / ]; then path=${path%/}; fi
    mounted="type=bind,\"source=$path\",\"target=$path\""
    case "${mounts[*]-}" in *"$mounted"*) ;; *) mounts+=(--mount "$mounted$suffix") ;; esac
  done
}

# mount_paths ARGUMENT...: the folders a command writes, or writes a file into, made if need be, and whatever else of its
# arguments exists.
mount_paths() {
  local written=(results) read=() argument option=''
  for argument in "$@"; do
    case "$argument" in
      --*=*) option=${argument%%=*} argument=${argument#*=} ;;
      -*) option=$argument && continue ;;
    esac
    case "$option" in
      --results) written[0]=$argument ;;
      --store) written[1]=$argument ;;
      --out | --plot | --crate)
        argument=$(absolute "$argument")
        written+=("${argument%/*}/")
        ;;
      --table | --scale | --mirror) ;;
      *) if [ -e "$argument" ]; then read+=("$argument"); fi ;;
    esac
    option=''
  done
  mkdir -p "${written[@]}"
  mount "" "${written[@]}"
  if [ "${#read[@]}" -gt 0 ]; then mount ,readonly "${read[@]}"; fi
}

run_docker() {
  local variant=cpu status=0 gpus=() network=bridge terminal=() mounts=()
  if nvidia-smi >/dev/null 2>&1 && "$docker" info --format '{{json .Runtimes}}' | grep -q nvidia; then
    variant=gpu gpus=(--gpus all)
  fi
  say "building the image $image:$variant if anything changed"
  build_image "$variant" || status=$?
  if [ "$status" -ne 0 ] && [ "$runner" = docker ]; then
    say "error: the image could not be built (docker's messages are above)"
    exit 5
  fi
  if [ "$status" -ne 0 ]; then
    say "the image could not be built (docker's messages are above): running in the local environment .venv instead"
    run_local "$@"
  fi
  mount_paths "${@:2}"
  case " $* " in *" --offline "*) network=none ;; esac
  if [ -t 0 ] && [ -t 1 ]; then terminal=(--interactive --tty); fi
  exec "$docker" run --rm --init ${terminal[@]+"${terminal[@]}"} ${gpus[@]+"${gpus[@]}"} --network "$network" \
    --read-only --tmpfs /tmp:rw,exec,nosuid,nodev --shm-size 1g --cap-drop ALL --security-opt no-new-privileges \
    --env "STILTS_ARTIFACT_COMMAND=${typed% }" --user "$(id -u):$(id -g)" "${mounts[@]}" --workdir "$PWD" \
    "$image:$variant" "$@"
}

# ---- tests

# check NAME COMMAND...: runs on after a failure, so that one run shows all that is wrong.
check() {
  local name=$1 status=0
  shift
  say "$name"
  "$@" || status=$?
  if [ "$status" -ne 0 ]; then failed+=("$name (exit $status)"); fi
}

run_tests() {
  local failed=() scripts
  make_venv dev
  cd "$repo"
  PATH=$repo/.venv/bin:$PATH
  scripts=(reproduce.sh .ci/run .ci/*.sh locks/*.sh)
  check "ruff check" ruff check .
  check "ruff format" ruff format --check .
  check mypy mypy
  check lint-imports lint-imports
  check shellcheck shellcheck -x "${scripts[@]}"
  if [ "${1-}" = --quick ]; then
    check pytest pytest -n auto --maxprocesses 4 -m 'not slow and not container' "${@:2}"
  elif [ $# -gt 0 ]; then
    check pytest pytest "$@"
  else
    # Long preparations are made by one process, and the longest come first (tests/conftest.py).
    check pytest pytest -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder
  fi
  if [ "${#failed[@]}" -gt 0 ]; then
    say "FAILED: $(printf '%s; ' "${failed[@]}")"
    exit 1
  fi
  say "all checks passed"
}

case "${1-}" in
  "" | -h | --help)
    sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p;}' "$repo/reproduce.sh"
    if [ -z "${1-}" ]; then exit 2; fi
    exit 0
    ;;
  test)
    shift
    run_tests "$@"
    exit
    ;;
  --version) ;;
  -*) set -- reproduce "$@" ;;
esac

runner=${STILTS_ARTIFACT_RUNNER-}
docker='' why=''
case "$runner" in
  docker)
    find_docker || { say "error: STILTS_ARTIFACT_RUNNER=docker, but $why" && exit 5; }
    why="as STILTS_ARTIFACT_RUNNER says"
    ;;
  local) why="as STILTS_ARTIFACT_RUNNER says" ;;
  "")
    case "$1" in
      container) why="it drives Docker itself" ;;
      expected | record) why="it writes into this clone" ;;
      cluster) why="it names this environment to other machines" ;;
      *) if find_docker; then why="an engine answers"; fi ;;
    esac
    ;;
  *) say "error: STILTS_ARTIFACT_RUNNER is '$runner', expected docker or local" && exit 2 ;;
esac
if [ -n "$docker" ]; then
  say "running in Docker ($why)"
  run_docker "$@"
else
  say "running in the local environment .venv ($why)"
  run_local "$@"
fi
