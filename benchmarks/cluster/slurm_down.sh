#!/usr/bin/env bash
# End the SLURM that slurm_up.sh DIR started: its three daemons, by the pid files in DIR, and the link to its slurm.conf.
set -uo pipefail
dir=$(realpath -m "${1:?usage: slurm_down.sh DIR}")
for daemon in slurmd slurmctld munged; do
  file="$dir/run/$daemon.pid"
  if [ -s "$file" ]; then
    pid=$(cat "$file")
    kill "$pid"
    for _ in $(seq 100); do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
  fi
done
if [ "$(readlink /etc/slurm/slurm.conf)" = "$dir/slurm.conf" ]; then rm /etc/slurm/slurm.conf; fi
