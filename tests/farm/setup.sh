#!/bin/bash
# Installs what a real farm on this one machine takes, once: Slurm with munge, and node for Flamenco's job types.
# Usage: tests/farm/setup.sh    (as root)
set -euo pipefail

missing=()
command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v sbatch >/dev/null || missing+=(slurm-wlm)
command -v munged >/dev/null || missing+=(munge)
command -v node >/dev/null || missing+=(nodejs)
if [ ${#missing[@]} = 0 ]; then
    echo "farm: Slurm, munge and node are there already"
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "farm: ${missing[*]} can only be installed as root; run tests/farm/setup.sh as root once" >&2
    exit 2
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
