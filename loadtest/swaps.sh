#!/usr/bin/env bash
# How long it takes until a new term is live, over a base of many terms while messages flow; prints one line.
#
# The base is the lexicon where there is one, else the shipped lists. Every change is a PUT of a list of its own, which is
# acknowledged when it is in force; each is then asked for once and has to be caught. See common.sh for what may be set;
# besides:
#   SWAPS=30  GROUPS_COUNT=500  CONNECTIONS=8
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ -n "$SMALL" ]]; then
  SWAPS="${SWAPS:-3}" GROUPS_COUNT="${GROUPS_COUNT:-20}" CONNECTIONS="${CONNECTIONS:-2}"
else
  SWAPS="${SWAPS:-30}" GROUPS_COUNT="${GROUPS_COUNT:-500}" CONNECTIONS="${CONNECTIONS:-8}"
fi

BASE="the shipped wordlists"
if [[ -n "$LEXICON" ]]; then
  mkdir "$WORK/lists"
  cut -f 1 "$LEXICON" >"$WORK/lists/lexicon.txt"
  BASE="$(wc -l <"$WORK/lists/lexicon.txt") terms of the lexicon"
  export MENSHEN_INTERCEPTION__WORDLISTS_DIR="$WORK/lists"
fi

# ask METHOD PATH BODY: writes the answer to $WORK/answer and prints the seconds it took.
ask() {
  curl --silent --show-error --fail --max-time 30 --request "$1" --header "authorization: Bearer $GATEWAY_TOKEN" \
    --header "content-type: application/json" --data "$3" --output "$WORK/answer" --write-out '%{time_total}\n' \
    "$GATEWAY_URL$2"
}

start_gateway
"${ON_CLIENT[@]}" "$LOADTEST_BIN" events --url "$GATEWAY_URL" --token "$GATEWAY_TOKEN" --groups "$GROUPS_COUNT" \
  --connections "$CONNECTIONS" --for 600s "${INPUT[@]}" >"$WORK/traffic.out" 2>&1 &
TRAFFIC_PID=$!
PIDS+=("$TRAFFIC_PID")

for ((number = 1; number <= SWAPS; number++)); do
  term="换词暗号第${number}号"
  ask PUT "/v1/wordlists/swap?reason=load" "{\"level\":\"high\",\"terms\":[{\"text\":\"$term\"}]}" >>"$WORK/seconds"
  ask POST /v1/moderate "{\"text\":\"请看$term吧\"}" >>"$WORK/judged"
  grep -q '"verdict":"block"' "$WORK/answer" || fail "a term that was acknowledged is not live: $(cat "$WORK/answer")"
done
kill -0 "$TRAFFIC_PID" 2>/dev/null || { cat "$WORK/traffic.out" >&2; fail "the traffic ended early"; }
stop "$TRAFFIC_PID" || true
stop_gateway

machine
sort -n "$WORK/seconds" | awk -v base="$BASE" '{ all[NR] = $1 }
  END { printf "a new term over %s, messages flowing: live after %.3f s (median of %d), %.3f s at most\n", base, all[int((NR + 1) / 2)], NR, all[NR] }'
exit "$FAILED"
