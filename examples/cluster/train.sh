#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command of train.command (docs/handoff.md): ends the servers, whose memory
# training needs, and trains on all hosts. The servers come back when the next
# stage asks them.
#
#   PROCESSES   of each host: a number, or gpu for one on each
#   TORCHRUN    where it is not on the PATH
#   and what serve.sh has
set -euo pipefail
bash "$(dirname "$0")/serve.sh" stop
# Time for a last checkpoint when the job is to end, and for hosts that read their
# libraries slowly to meet.
torchrun=("${TORCHRUN:-torchrun}" --shutdown-timeout 120 --rdzv-conf timeout=900
  --nproc-per-node "${PROCESSES:-gpu}")
if [ -n "${SLURM_JOB_ID:-}" ] && [ "${SLURM_JOB_NUM_NODES:-1}" -gt 1 ]; then
  first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
  # The first node is the one where others meet by its number in the job: torchrun's
  # own way, by names and addresses, finds none where a node has several of them.
  # shellcheck disable=SC2016  # expanded on each node
  exec srun --overlap --ntasks-per-node=1 bash -c \
    'exec "$@" --node-rank "$SLURM_NODEID" train.py' - "${torchrun[@]}" \
    --nnodes "$SLURM_JOB_NUM_NODES" --master-addr "$first" --master-port 29500
fi
exec "${torchrun[@]}" train.py
