
# ---- how it works

set -Eeuo pipefail
# A command of this script that fails is no answer of the run's, least of all "not reproduced" (1).
trap 'exit 5' ERR
folder='' array='' scheduler='' child='' status=0 time_is_up=''

# Wait for a process to its end, whatever signals come meanwhile: a trap ends `wait` early.
await() {
  while kill -0 "$1" 2>/dev/null; do
    wait "$1" || true
  done
  # It may have ended before anyone waited, or during a trap. Its exit code is kept.
  status=0
  wait "$1" || status=$?
}

# Back into Slurm's queue, under the same number: of an array, this one alone.
queue_again() {
  echo "time is up: back into the queue"
  scontrol requeue "${SLURM_ARRAY_JOB_ID+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID-$SLURM_JOB_ID}"
}

# The command that submits this script again.
how_submitted() {
  local file=''
  if [ -n "${SLURM_JOB_ID-}" ]; then
    file=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's/^ *Command=//p') || true
  fi
  if [ -n "$file" ]; then printf 'sbatch %q' "$file"; else printf 'bash %q' "$0"; fi
}

# The certificate of this run: Dask lets everyone who has it, and nobody else, run code as you.
make_certificate() {
  openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=dask -keyout "$folder/key.pem" \
    -out "$folder/cert.pem" 2>"$folder/openssl.log" || { cat "$folder/openssl.log" >&2 && return 5; }
}

# How Dask's processes reach each other; the engine that asks for steps heeds what is said of TLS.
configure_dask() {
  local part
  export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True
  export DASK_DISTRIBUTED__COMM__TLS__CA_FILE=$folder/cert.pem
  for part in SCHEDULER WORKER CLIENT; do
    export "DASK_DISTRIBUTED__COMM__TLS__${part}__CERT=$folder/cert.pem"
    export "DASK_DISTRIBUTED__COMM__TLS__${part}__KEY=$folder/key.pem"
  done
  # Dask gives a step up that has lost its worker four times. Here workers end when their time is up, which is no
  # fault of a step; one that kills its own process is found by the engine.
  export DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=1000000
  export DASK_LOGGING__DISTRIBUTED=warning
  # No web pages, and their servers on this node alone: others would be open to everyone on the network.
  export DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES='[]' DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'
}

# A worker runs steps until the run or its own time is over. It is killed then, as it may be at any instant: results
# are in the store, and a step cut short goes on elsewhere from its last checkpoint.
work() {
  local scratch
  # An image shows this folder, and not always the one that TMPDIR names.
  scratch=$(mktemp -d /tmp/stilts-artifact.XXXXXX)
  trap 'kill -KILL "$child" 2>/dev/null || true' TERM
  trap 'time_is_up=yes; kill -KILL "$child" 2>/dev/null || true' USR1
  "${python[@]}" -m dask worker --scheduler-file "$folder/scheduler.json" --nthreads 1 --memory-limit 0 --no-nanny \
    --no-dashboard --dashboard-address 127.0.0.1:0 --death-timeout 300 --local-directory "$scratch" "${worker_arguments[@]}" &
  child=$!
  await "$child"
  rm -rf "$scratch"
  if [ -n "$time_is_up" ] && [ -e "$folder/scheduler.json" ]; then queue_again; fi
}

# The leader starts the scheduler, submits the workers, and runs the command; its exit code is this job's.
lead() {
  local address
  # Where all nodes see it, and only this user looks in.
  folder=$(mktemp -d "$PWD/.stilts-artifact.XXXXXX")
  trap finish EXIT
  # The copy that Slurm runs lies on this node alone.
  cp "$0" "$folder/slurm.sh"
  make_certificate
  configure_dask
  # Where nodes reach each other by a network of their own: add --interface ib0, say, here and to the worker above.
  "${python[@]}" -m dask scheduler --scheduler-file "$folder/scheduler.json" --port 0 --no-dashboard \
    --dashboard-address 127.0.0.1:0 &
  scheduler=$!
  until address=$(sed -n 's/.*"address": "\([^"]*\)".*/\1/p' "$folder/scheduler.json" 2>/dev/null) && [ -n "$address" ]; do
    kill -0 "$scheduler" 2>/dev/null || { echo "error: the Dask scheduler ended" >&2 && exit 5; }
    sleep 0.2
  done
  array=$(sbatch --parsable --array="1-$workers" "${worker_options[@]}" "$folder/slurm.sh" work "$folder")
  echo "workers: job ${array%%;*}; scheduler: $address"
  STILTS_ARTIFACT_COMMAND=$(how_submitted)
  export STILTS_ARTIFACT_COMMAND # what the run says of how it is resumed
  trap 'kill -TERM "$child" 2>/dev/null || true' TERM INT
  # Outside of Slurm nobody sends it: there is no time that could be up.
  trap 'time_is_up=yes; kill -TERM "$child" 2>/dev/null || true' USR1
  "${python[@]}" -m stilts_artifact "${command[@]}" --scheduler "$address" &
  child=$!
  await "$child"
  # Interrupted; or ended by the signal itself, if it came before the run was ready to be.
  if [ -n "$time_is_up" ] && [ "$status" -ge 128 ]; then
    finish
    queue_again || exit "$status"
    exit
  fi
  exit "$status"
}

# Whatever ended the run: no worker stays. What cannot be removed (a network file system may keep a file that somebody
# has open) is no matter of the run's.
finish() {
  local status
  trap - EXIT
  rm -f "$folder/scheduler.json" || true
  if [ -n "$array" ]; then scancel "${array%%;*}" 2>/dev/null || true; fi
  if [ -n "$scheduler" ]; then
    kill "$scheduler" 2>/dev/null || true
    await "$scheduler"
  fi
  rm -rf "$folder" || true
}

case ${1-} in
  '') lead ;;
  work)
    folder=$2
    configure_dask
    work
    ;;
  *) echo "usage: sbatch $0" >&2 && exit 2 ;;
esac
