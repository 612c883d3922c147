#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Has a server at every place answer with the base or, when selfalign names one,
# with an adapter, and waits until all of them do: the command of serve.reload
# (docs/scale.md). What it started before is ended first; `serve.sh stop` does
# that alone.
#
#   PLACES    host:port of each server, spaces between
#   STATE     folder for logs and process ids, on a disk that all hosts see
#   SERVER    vllm, llama-server or selfalign, which is selfalign serve
#   MERGE     1: the adapter is merged into a model of its own first, by
#             `selfalign export`, for servers that cannot score with one beside
#   OPTIONS   further arguments of the server
#   SELFALIGN_BASE, SELFALIGN_ADAPTER, SELFALIGN_ADAPTER_NAME: from selfalign
set -euo pipefail
: "${PLACES:?host:port of each server}" "${STATE:?a folder for logs and process ids}"
SERVER=${SERVER:-vllm} MERGE=${MERGE:-0} OPTIONS=${OPTIONS:-}
mkdir -p "$STATE"

# In the background on a host: by Slurm where it is there, else here.
start_on() {
  local place=$1
  shift
  local launch=(setsid)
  if [ -n "${SLURM_JOB_ID:-}" ]; then
    launch=(srun --overlap --nodes=1 --ntasks=1 "--nodelist=${place%%:*}")
  fi
  "${launch[@]}" "$@" >> "$STATE/server-${place/:/-}.log" 2>&1 < /dev/null &
  echo $! >> "$STATE/pids"
}

stop() {
  [ -f "$STATE/pids" ] || return 0
  while read -r pid; do
    # srun passes the signal on; a process of this host leads a group.
    kill -- "-$pid" 2> /dev/null || kill "$pid" 2> /dev/null || true
  done < "$STATE/pids"
  for place in $PLACES; do
    for _ in $(seq 120); do
      curl -s -o /dev/null --max-time 2 "http://$place/health" || break
      sleep 0.5
    done
  done
  rm -f "$STATE/pids"
}

stop
[ "${1:-}" != stop ] || exit 0

model=${SELFALIGN_BASE:?the base model, an HF folder}
adapter=${SELFALIGN_ADAPTER:-}
lora=()
if [ -n "$adapter" ] && { [ "$MERGE" = 1 ] || [ "$SERVER" = llama-server ]; }; then
  merged=$STATE/$SELFALIGN_ADAPTER_NAME
  [ -d "$merged" ] || {
    rm -rf "$merged.new"
    selfalign export "$model" --model merged --adapter "$adapter" --output "$merged.new"
    mv "$merged.new" "$merged"
  }
  model=$merged
elif [ -n "$adapter" ]; then
  lora=(--lora-modules "$SELFALIGN_ADAPTER_NAME=$adapter")
fi
if [ "$SERVER" = llama-server ]; then
  gguf=$STATE/$(basename "$model").gguf
  [ -f "$gguf" ] || {
    rm -rf "$gguf.new"
    selfalign export "$model" --model gguf --type BF16 --output "$gguf.new"
    mv "$gguf.new"/*.gguf "$gguf"
  }
fi
for place in $PLACES; do
  case $SERVER in
    vllm)
      [ "$MERGE" = 1 ] || lora=(--enable-lora --max-lora-rank "${LORA_RANK:-64}" "${lora[@]}")
      # shellcheck disable=SC2086
      start_on "$place" vllm serve "$model" --served-model-name base \
        --host 0.0.0.0 --port "${place##*:}" --enable-prefix-caching "${lora[@]}" $OPTIONS
      ;;
    llama-server)
      # shellcheck disable=SC2086
      start_on "$place" llama-server -m "$gguf" --alias base \
        --host 0.0.0.0 --port "${place##*:}" $OPTIONS
      ;;
    selfalign)
      own=()
      [ -z "$adapter" ] || [ "$model" != "$SELFALIGN_BASE" ] ||
        own=(--adapter "$SELFALIGN_ADAPTER_NAME=$adapter")
      # shellcheck disable=SC2086
      start_on "$place" selfalign serve "$model" --host "${place%%:*}" \
        --port "${place##*:}" "${own[@]}" $OPTIONS
      ;;
    *)
      echo "SERVER: expected vllm, llama-server or selfalign, found $SERVER" >&2
      exit 2
      ;;
  esac
done
for place in $PLACES; do
  for _ in $(seq 1800); do
    curl -sf -o /dev/null --max-time 2 "http://$place/health" && continue 2
    # One that has ended will not come.
    while read -r pid; do
      kill -0 "$pid" 2> /dev/null || {
        echo "a server has ended: $(tail -n 3 "$STATE/server-${place/:/-}.log")" >&2
        exit 1
      }
    done < "$STATE/pids"
    sleep 1
  done
  echo "$place: no answer in half an hour; see $STATE/server-*.log" >&2
  exit 1
done
