#!/usr/bin/env bash
# A one-node Slurm with munge on this machine, for tests and for trying sweeps.
#   sudo scripts/local_slurm.sh up       install what is missing, configure, start; says first what it touches
#   scripts/local_slurm.sh status        whether it runs, its nodes and jobs
#   sudo scripts/local_slurm.sh down     end all jobs and daemons, remove what up wrote
# Debian or Ubuntu; needs root, but no systemd, cgroups or accounting. CPUS=16 and GPUS=8 are what
# the node claims to have: jobs share the real cores; GPUs are pretended where there are none.
set -euo pipefail

PACKAGES=(slurmctld slurmd slurm-client munge)
CONF=/etc/slurm/slurm.conf
GRES=/etc/slurm/gres.conf
CGROUP=/etc/slurm/cgroup.conf
HOME_OF_IT=/var/lib/local-slurm # state, spool, logs, process ids
MARK="# written by scripts/local_slurm.sh"
export SLURM_CONF=$CONF

die() {
  echo "local_slurm: $*" >&2
  exit 2
}

need_root() { [ "$(id -u)" = 0 ] || die "$1 needs root; write sudo $0 $1"; }

ours() { [ ! -e "$1" ] || head -n 1 "$1" | grep -qxF "$MARK"; }

answers() { timeout 10 scontrol ping 2>/dev/null | grep -q "is UP"; }

wait_until() { # seconds, what for, command
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $end ] || die "$what: waited in vain; see $HOME_OF_IT/*.log"
    sleep 0.2
  done
}

node_is_usable() { timeout 10 sinfo -h -o %t 2>/dev/null | grep -qE "^(idle|mix|alloc|comp|plnd)"; }

munge_answers() { munge -n </dev/null 2>/dev/null | unmunge >/dev/null 2>&1; }

running() { # a daemon that this script started
  local pid
  pid=$(cat "$HOME_OF_IT/$1.pid" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]
}

configure() {
  local node cpus memory gpus
  node=$(hostname -s)
  cpus=${CPUS:-16}
  memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  gpus=$(find /dev -maxdepth 1 -name 'nvidia[0-9]*' | sort | wc -l)
  if [ "$gpus" -gt 0 ]; then
    printf '%s\nName=gpu File=/dev/nvidia[0-%d]\n' "$MARK" $((gpus - 1)) >$GRES
  else
    gpus=${GPUS:-8}
    for i in $(seq 0 $((gpus - 1))); do touch "$HOME_OF_IT/gpu$i"; done
    printf '%s\nName=gpu File=%s/gpu[0-%d]\n' "$MARK" "$HOME_OF_IT" $((gpus - 1)) >$GRES
  fi
  # Nothing here uses cgroups, but slurmd loads a plugin; before 23.11 there is no `disabled`, and
  # v1 is the one that asks nothing of the machine.
  local version plugin=disabled
  version=$(slurmd -V | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
  [ "$(printf '%s\n23.11\n' "$version" | sort -V | head -n 1)" = 23.11 ] || plugin=cgroup/v1
  printf '%s\nCgroupPlugin=%s\n' "$MARK" "$plugin" >$CGROUP
  cat >$CONF <<CONF
$MARK
ClusterName=local
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
# How long a requeued job waits before it starts again; the default is two minutes.
AuthInfo=cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=100000
JobRequeue=1
KillWait=30
MinJobAge=20
InactiveLimit=0
ReturnToService=2
MpiDefault=none
MailProg=/bin/true
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
StateSaveLocation=$HOME_OF_IT/state
SlurmdSpoolDir=$HOME_OF_IT/spool
SlurmctldPidFile=$HOME_OF_IT/slurmctld.pid
SlurmdPidFile=$HOME_OF_IT/slurmd.pid
SlurmctldLogFile=$HOME_OF_IT/slurmctld.log
SlurmdLogFile=$HOME_OF_IT/slurmd.log
# The node claims more CPUs than it has.
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory Gres=gpu:$gpus State=UNKNOWN
PartitionName=local Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=FORCE:4 State=UP
CONF
}

up() {
  need_root up
  if answers && node_is_usable && ours $CONF && [ -e $CONF ]; then
    echo "local_slurm: it is up already"
    return
  fi
  for file in $CONF $GRES $CGROUP; do
    ours $file || die "$file is another Slurm's; this script leaves it alone"
  done
  local missing=()
  for package in "${PACKAGES[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" ||
      missing+=("$package")
  done
  echo "local_slurm: this touches"
  [ ${#missing[@]} = 0 ] || echo "  packages to install: ${missing[*]}"
  echo "  $CONF, $GRES, $CGROUP"
  echo "  $HOME_OF_IT (state, spool, logs), /run/munge, /etc/munge/munge.key if there is none"
  echo "  daemons: munged, slurmctld, slurmd"
  if [ ${#missing[@]} != 0 ]; then
    command -v apt-get >/dev/null || die "no apt-get here; install ${missing[*]} by hand"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${missing[@]}" >/dev/null
  fi
  install -d -m 755 "$HOME_OF_IT" "$HOME_OF_IT/state" "$HOME_OF_IT/spool"
  if ! munge_answers; then
    install -d -o munge -g munge -m 755 /run/munge
    if [ ! -e /etc/munge/munge.key ]; then
      (umask 077 && head -c 128 /dev/urandom >/etc/munge/munge.key)
      chown munge:munge /etc/munge/munge.key
    fi
    setpriv --reuid munge --regid munge --clear-groups /usr/sbin/munged \
      --pid-file="/run/munge/munged.pid"
    cp /run/munge/munged.pid "$HOME_OF_IT/munged.pid"
    wait_until 20 munged munge_answers
  fi
  configure
  running slurmctld || slurmctld || die "slurmctld does not start; see $HOME_OF_IT/slurmctld.log"
  wait_until 30 slurmctld answers
  running slurmd || slurmd || die "slurmd does not start; see $HOME_OF_IT/slurmd.log"
  wait_until 30 "the node" node_is_usable
  echo "local_slurm: up"
}

end() { # a daemon of ours: TERM, then KILL
  running "$1" || return 0
  local pid
  pid=$(cat "$HOME_OF_IT/$1.pid")
  kill "$pid"
  for _ in $(seq 50); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid"
}

no_jobs() { [ -z "$(timeout 10 squeue -h 2>/dev/null)" ]; }

down() {
  need_root down
  ours $CONF || die "$CONF is another Slurm's; this script leaves it alone"
  if answers; then
    squeue -h -o %A | sort -u | xargs -r scancel
    for _ in $(seq 100); do
      no_jobs && break
      sleep 0.1
    done
  fi
  for daemon in slurmd slurmctld munged; do end $daemon; done
  for file in $CONF $GRES $CGROUP; do
    ours $file && rm -f $file
  done
  rm -rf "$HOME_OF_IT"
  echo "local_slurm: down; packages and munge's key stay"
}

status() {
  if ! command -v scontrol >/dev/null || ! answers; then
    echo "local_slurm: no Slurm answers here"
    return 1
  fi
  sinfo
  squeue
}

case "${1:-}" in
  up | down | status) "$1" ;;
  *) die "write $0 up|down|status" ;;
esac
