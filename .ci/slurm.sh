#!/usr/bin/env bash
# A Slurm of one node for tests, beside any other on the machine: own configuration, key, sockets and ports.
#   slurm.sh install        Debian's packages, unless they are there
#   slurm.sh start FOLDER   FOLDER: absolute and short (it holds a socket); needs root
#   slurm.sh stop FOLDER
# Its clients find it through SLURM_CONF=FOLDER/slurm.conf. SlurmUser=root and linuxproc are for tests only; so are the
# two GPUs, cores and memory that the node says it has, so that scripts for real clusters run here as they are. As on many
# a site, no job goes back into the queue unless it asks for that (JobRequeue).
set -euo pipefail
command=$1 folder=${2-}

install_packages() {
  if command -v slurmctld >/dev/null && command -v slurmd >/dev/null &&
    command -v sbatch >/dev/null && command -v munged >/dev/null; then return; fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 \
    slurmctld slurmd slurm-client munge >/dev/null
}

configure() {
  local host port
  host=$(hostname -s)
  # Below those that the system gives to clients, and another one for each start.
  port=$((20000 + $$ % 6000 * 2))
  mkdir -p "$folder"/{state,spool,log}
  head -c 1024 /dev/urandom >"$folder/munge.key"
  chmod 400 "$folder/munge.key"
  cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,sched_interval=1
ReturnToService=2
JobRequeue=0
MpiDefault=none
SwitchType=switch/none
KillWait=5
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 RealMemory=1000000 Gres=gpu:2 State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=512
CONF
  printf 'Name=gpu File=%s\n' /dev/null /dev/zero >"$folder/gres.conf"
}

start() {
  install_packages
  configure
  export SLURM_CONF=$folder/slurm.conf
  munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/log/munged.log" --seed-file="$folder/munged.seed"
  slurmctld -f "$SLURM_CONF"
  slurmd -f "$SLURM_CONF"
  for _ in $(seq 60); do
    if sinfo --noheader --format=%t 2>/dev/null | grep -q '^idle$'; then return; fi
    sleep 0.5
  done
  tail -n 20 "$folder"/log/*.log >&2
  return 1
}

stop() {
  SLURM_CONF=$folder/slurm.conf scancel --user=root 2>/dev/null || true
  local name pid
  for name in slurmd slurmctld munged; do
    if [ ! -s "$folder/$name.pid" ]; then continue; fi
    pid=$(cat "$folder/$name.pid")
    kill "$pid" 2>/dev/null || continue
    # Ended, or a zombie that this machine's init does not reap.
    for _ in $(seq 100); do
      if ! ps -o stat= -p "$pid" | grep -q '^[^Z]'; then break; fi
      sleep 0.1
    done
  done
}

case $command in
  install) install_packages ;;
  start) start ;;
  stop) stop ;;
  *) echo "usage: slurm.sh install | start FOLDER | stop FOLDER" >&2 && exit 2 ;;
esac
