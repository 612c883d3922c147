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
torchrun=("${TORCHRUN:-torchrun}" --shutdown-timeout 120 --rdzv-conf read_timeout=900
  --nproc-per-node "${PROCESSES:-gpu}")
if [ -n "${SLURM_JOB_ID:-}" ] && [ "${SLURM_JOB_NUM_NODES:-1}" -gt 1 ]; then
  first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
  exec srun --overlap --ntasks-per-node=1 "${torchrun[@]}" \
    --nnodes "$SLURM_JOB_NUM_NODES" --rdzv-backend c10d \
    --rdzv-endpoint "$first:29500" train.py
fi
exec "${torchrun[@]}" train.py
