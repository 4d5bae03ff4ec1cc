#!/usr/bin/env bash
# A real SLURM on this machine alone: one node, on 127.0.0.1, without systemd and accounts, for tests. It needs root and
#   apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
# Usage: slurm_up.sh DIR; slurm_down.sh DIR ends it. All that it writes lies in DIR, but for the link /etc/slurm/slurm.conf:
# the srun inside of a job of Snakemake's plugin has lost SLURM_CONF. A slurm.conf of the machine's own is never touched.
# Checked with SLURM 22.05 of Debian 12.
set -euo pipefail
dir=$(realpath -m "${1:?usage: slurm_up.sh DIR}") host=$(hostname -s) conf=/etc/slurm/slurm.conf
if [ -e "$conf" ] || [ -L "$conf" ]; then echo "$conf exists: this machine has a SLURM already" >&2; exit 1; fi
mkdir -p "$dir"/{state,spool,log,run} /etc/slurm
chmod 755 "$dir" "$dir/run"   # munge asks for it
memory=$(($(free -m | awk '/^Mem:/ {print $2}') * 9 / 10))
cat > "$dir/slurm.conf" <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthInfo=socket=$dir/run/munge.socket
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=1
ReturnToService=2
MinJobAge=3600
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
# An own key and socket of munge, which signs the messages.
dd if=/dev/urandom of="$dir/munge.key" bs=128 count=1 status=none
chmod 400 "$dir/munge.key"
munged --force --key-file="$dir/munge.key" --seed-file="$dir/run/munged.seed" --socket="$dir/run/munge.socket" \
  --pid-file="$dir/run/munged.pid" --log-file="$dir/log/munged.log"
ln -s "$dir/slurm.conf" "$conf"
slurmctld -c
slurmd
for _ in $(seq 60); do
  if [ "$(sinfo --noheader --format=%T 2> "$dir/log/sinfo.log")" = idle ]; then exit 0; fi
  sleep 0.5
done
echo "SLURM did not come up within 30 s: see $dir/log" >&2
exit 1
