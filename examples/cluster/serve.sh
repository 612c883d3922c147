#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Has servers answer with the base or, when selfalign names one, with an adapter,
# and waits until all of them do: the command of serve.reload (docs/scale.md). What
# it started at these places before is ended first. The servers stay when selfalign
# ends: `serve.sh stop` ends all that were started with this STATE.
#
#   STATE     folder for logs, process ids and merged models (one for each
#             adapter), on a disk that all hosts see
#   SERVER    vllm, llama-server or selfalign (selfalign serve)
#   MERGE     1: the adapter is merged into a model of its own first, by
#             `selfalign export`, for servers that cannot score with one beside
#   OPTIONS   further arguments of the server, such as --tensor-parallel-size 8;
#             selfalign serve needs --api-key-file where others reach it
#   LORA_RANK of vLLM: the rank of adapters at most, 64 if it is not set
#   PLACES    host:port of each server, spaces between, where selfalign does not
#             say (SELFALIGN_SERVERS)
#   SELFALIGN_BASE, SELFALIGN_ADAPTER, SELFALIGN_ADAPTER_NAME: from selfalign
set -euo pipefail
: "${STATE:?set it to a folder for logs and process ids}"
command -v curl > /dev/null || { echo "serve.sh: curl is not there" >&2; exit 1; }
SERVER=${SERVER:-vllm} MERGE=${MERGE:-0} OPTIONS=${OPTIONS:-}
mkdir -p "$STATE"
places=${PLACES:-}
if [ -n "${SELFALIGN_SERVERS:-}" ]; then
  # http://host:port/v1#name
  places=$(tr ' ' '\n' <<< "$SELFALIGN_SERVERS" |
    sed -nE 's,^https?://([^/#]*).*,\1,p' | sort -u | tr '\n' ' ')
  places=${places:-${PLACES:-}}
fi

# When a process began, in ticks of its host: a number that is used again by
# another process has another one.
begin_of() { sed -E 's/.*\) //' "/proc/$1/stat" 2> /dev/null | cut -d ' ' -f 20; }

# Where a host of that name listens: all its addresses, where the name is only for
# itself, as on Debian.
address_of() {
  local address
  address=$(getent ahostsv4 "$1" | head -n 1 | cut -d ' ' -f 1)
  case $address in
    '' | 127.0.1.*) echo 0.0.0.0 ;;
    *) echo "$address" ;;
  esac
}

# In the background on a host: by Slurm where it is there, else here.
start_on() {
  local place=$1
  shift
  local launch=(setsid)
  if [ -n "${SLURM_JOB_ID:-}" ]; then
    launch=(srun --overlap --nodes=1 --ntasks=1 "--nodelist=${place%%:*}")
  fi
  "${launch[@]}" "$@" >> "$STATE/server-${place/:/-}.log" 2>&1 < /dev/null &
  echo "$! $(begin_of $!) $(hostname)" > "$STATE/pid-${place/:/-}"
}

# True while what was started at a place is at work.
is_alive() {
  local pid begin host
  read -r pid begin host 2> /dev/null < "$STATE/pid-${1/:/-}" || return 1
  [ "$host" = "$(hostname)" ] && [ -n "$begin" ] && [ "$(begin_of "$pid")" = "$begin" ]
}

stop_at() {
  local pid
  if is_alive "$1"; then
    read -r pid _ < "$STATE/pid-${1/:/-}"
    # srun passes the signal on; a server of this host leads a group.
    kill -- "-$pid" 2> /dev/null || kill "$pid" 2> /dev/null || true
    for _ in $(seq 240); do
      is_alive "$1" || break
      sleep 0.5
    done
    ! is_alive "$1" || kill -9 -- "-$pid" 2> /dev/null || kill -9 "$pid" || true
  fi
  rm -f "$STATE/pid-${1/:/-}"
}

if [ "${1:-}" = stop ]; then
  for file in "$STATE"/pid-*; do
    name=${file##*/pid-}
    [ ! -e "$file" ] || stop_at "${name%-*}:${name##*-}"
  done
  exit 0
fi
: "${places:?set PLACES to host:port of each server}"
for place in $places; do stop_at "$place"; done

model=${SELFALIGN_BASE:?set it to the base model, an HF folder}
adapter=${SELFALIGN_ADAPTER:-}
beside=
if [ -n "$adapter" ] && { [ "$MERGE" = 1 ] || [ "$SERVER" = llama-server ]; }; then
  merged=$STATE/$SELFALIGN_ADAPTER_NAME
  [ -d "$merged" ] || {
    rm -rf "$merged.new"
    selfalign export "$model" --model merged --adapter "$adapter" --output "$merged.new"
    mv "$merged.new" "$merged"
  }
  model=$merged
elif [ -n "$adapter" ]; then
  beside=$SELFALIGN_ADAPTER_NAME=$adapter
fi
if [ "$SERVER" = llama-server ]; then
  gguf=$STATE/$(basename "$model").gguf
  [ -f "$gguf" ] || {
    rm -rf "$gguf.new"
    selfalign export "$model" --model gguf --type bf16 --output "$gguf.new"
    mv "$gguf.new"/*.gguf "$gguf"
  }
fi
for place in $places; do
  case $SERVER in
    vllm)
      lora=()
      [ "$MERGE" = 1 ] || lora=(--enable-lora --max-lora-rank "${LORA_RANK:-64}")
      [ -z "$beside" ] || lora+=(--lora-modules "$beside")
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
      # shellcheck disable=SC2086
      start_on "$place" selfalign serve "$model" --host "$(address_of "${place%%:*}")" \
        --port "${place##*:}" ${beside:+--adapter "$beside"} $OPTIONS
      ;;
    *)
      echo "SERVER: expected vllm, llama-server or selfalign, found $SERVER" >&2
      exit 2
      ;;
  esac
done
for place in $places; do
  for _ in $(seq 1800); do
    curl -sf -o /dev/null --max-time 2 "http://$place/health" && continue 2
    is_alive "$place" || {
      echo "$place: the server has ended: $(tail -n 3 "$STATE/server-${place/:/-}.log")" >&2
      exit 1
    }
    sleep 1
  done
  echo "$place: no answer in half an hour; see $STATE/server-${place/:/-}.log" >&2
  exit 1
done
echo "$(date -u +%FT%TZ) $places answer with ${SELFALIGN_ADAPTER_NAME:-the base}"
