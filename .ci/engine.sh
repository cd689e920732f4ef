# shellcheck shell=bash
# Sourced by .ci/run: a Docker engine, and a base image, on a machine that has neither.

engine_pid=''

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

install_engine() {
  if engine_answers && command -v debootstrap >/dev/null; then return; fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends docker.io debootstrap iptables python3-venv >/dev/null
}

# start_engine SCRATCH: starts dockerd unless an engine answers, and waits for it.
start_engine() {
  if engine_answers; then return; fi
  dockerd >"$1/dockerd.log" 2>&1 </dev/null &
  engine_pid=$!
  local second
  for second in $(seq 60); do
    if engine_answers; then
      echo "dockerd answers after $second s" >&2
      return
    fi
    sleep 1
  done
  tail -n 20 "$1/dockerd.log" >&2
  return 1
}

# stop_engine: ends the engine that start_engine started, and no other.
stop_engine() {
  if [ -n "$engine_pid" ]; then
    kill "$engine_pid" 2>/dev/null || true
    wait "$engine_pid" 2>/dev/null || true
  fi
}

# make_base NAME SCRATCH: a minimal Debian with Python, in place of the pinned base.
make_base() {
  if docker image inspect "$1" >/dev/null 2>&1; then return; fi
  debootstrap --variant=minbase --include=python3,python3-venv bookworm "$2/base" >"$2/debootstrap.log" 2>&1 || {
    tail -n 20 "$2/debootstrap.log" >&2
    return 1
  }
  tar -C "$2/base" -c . | docker import - "$1" >/dev/null
  rm -rf "$2/base"
}
