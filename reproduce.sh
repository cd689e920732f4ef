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
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image=stilts-artifact

say() { echo "reproduce.sh: $*" >&2; }

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# ---- local: a virtual environment that holds exactly a lock, and this clone

# make_venv LOCK: makes or renews .venv. What the lock dev installs includes what cpu does.
make_venv() {
  local venv=$repo/.venv stamp dev
  if [ "$(uname -sm)" != "Linux x86_64" ]; then
    say "error: the local environment is for Linux x86_64 and this is $(uname -sm): use Docker"
    exit 5
  fi
  exec 9<"$repo/reproduce.sh" # Two runs at once would write one .venv: the second waits here.
  if command -v flock >/dev/null; then flock 9; fi
  stamp="$repo $(cat "$repo/locks/$1.txt" "$repo/locks/build.txt" | sha256)"
  dev="$repo $(cat "$repo/locks/dev.txt" "$repo/locks/build.txt" | sha256)"
  case "$(cat "$venv/lock.stamp" 2>/dev/null)" in
    "$stamp" | "$dev") ;;
    *)
      say "installing locks/$1.txt into .venv (once; minutes, 2 GB)"
      "$repo/locks/install.sh" "$venv" "$1"
      echo "$stamp" >"$venv/lock.stamp"
      ;;
  esac
  if [ ! "$venv/project.stamp" -nt "$repo/pyproject.toml" ]; then
    "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --root-user-action ignore \
      --no-index --no-deps --no-build-isolation --editable "$repo"
    touch "$venv/project.stamp"
  fi
  exec 9<&-
}

run_local() {
  make_venv cpu
  exec "$repo/.venv/bin/stilts-artifact" "$@"
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
    mounted="type=bind,\"source=$path\",\"target=$path\""
    case "${mounts[*]-}" in *"$mounted"*) ;; *) mounts+=(--mount "$mounted$suffix") ;; esac
  done
}

# mount_paths ARGUMENT...: the folders a command writes, made if need be, and whatever else of its arguments exists.
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
  if [ "$status" -ne 0 ] && [ "$runner" = docker ]; then exit "$status"; fi
  if [ "$status" -ne 0 ]; then
    say "the image could not be built (docker's messages are above): running in the local environment .venv instead"
    run_local "$@"
  fi
  mount_paths "${@:2}"
  case " $* " in *" --offline "*) network=none ;; esac
  if [ -t 0 ] && [ -t 1 ]; then terminal=(--interactive --tty); fi
  exec "$docker" run --rm --init ${terminal[@]+"${terminal[@]}"} ${gpus[@]+"${gpus[@]}"} --network "$network" \
    --read-only --tmpfs /tmp:rw,exec,nosuid,nodev --shm-size 1g --cap-drop ALL --security-opt no-new-privileges \
    --user "$(id -u):$(id -g)" "${mounts[@]}" --workdir "$PWD" "$image:$variant" "$@"
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
    check pytest pytest -n auto --maxprocesses 4 -m 'not container'
    check "pytest, container" pytest -m container
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
      record) why="it writes into this clone" ;;
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
