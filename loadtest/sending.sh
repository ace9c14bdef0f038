#!/usr/bin/env bash
# What sending costs and how fast it obeys: durable sends a second and their CPU against a bare connection, an urgent act and
# a pause in the middle of a broadcast to 24,000 groups, memory of waiting targets and the start with a million of them,
# and 1,200 robots, their app and the account at their limits. Prints tables; fails where something does not fit.
#
# See common.sh for what may be set; besides:
#   MEASURES="cost urgent pause waiting robots"  only some of them
#   ROUNDS=3           interleaved rounds of `cost` and `urgent`
#   WINDOW_S=6         seconds of a window of `robots`; platforms have 60: then it takes 40 minutes, or
#   ROBOT_BROADCASTS=19  with 4 broadcasts to all robots in place of 19 ten
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

MEASURES="${MEASURES:-cost urgent pause waiting robots}"
if [[ -n "$SMALL" ]]; then
  ROUNDS="${ROUNDS:-1}" WINDOW_S="${WINDOW_S:-2}"
  COST=(--targets 1000) BUSY=(--targets 2000 --limit window:200/s) ACTS=20 PAUSES=2
  WAITING=(--targets 2000 --rounds 2) ROBOTS=(--robots 60 --broadcasts 2 --targets 500)
else
  ROUNDS="${ROUNDS:-3}" WINDOW_S="${WINDOW_S:-6}"
  COST=(--targets 24000) BUSY=(--targets 24000) ACTS=200 PAUSES=7
  WAITING=(--targets 100000 --rounds 10) ROBOTS=(--targets 47000 --broadcasts "${ROBOT_BROADCASTS:-19}")
fi

# measure NAME FLAGS...: one figure, kept for the end.
measure() {
  say "measuring $1"
  client sending --url "$GATEWAY_URL" --token "$GATEWAY_TOKEN" --server-pid "$GATEWAY_PID" --measure "$@"
  cat "$WORK/client.out" >>"$WORK/tables"
}

wanted() { [[ " $MEASURES " == *" $1 "* ]]; }

# started_in: milliseconds from the process's start to its ready line, on the data of the gateway before, which is killed.
started_in() {
  local began
  kill -KILL "$GATEWAY_PID"
  wait "$GATEWAY_PID" 2>/dev/null || true
  began=$(date +%s%N)
  start gateway "${ON_SERVER[@]}" "$MENSHEN_BIN" serve \
    --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --data-dir "$GATEWAY_DATA"
  STARTED_MS=$((($(date +%s%N) - began) / 1000000))
  GATEWAY_PID="$STARTED_PID"
}

: >"$WORK/tables"
if wanted cost || wanted urgent || wanted pause; then
  start_gateway
  ! wanted cost || measure cost "${COST[@]}" --rounds "$ROUNDS"
  ! wanted urgent || measure urgent "${BUSY[@]}" --acts "$ACTS" --rounds "$ROUNDS"
  ! wanted pause || measure pause "${BUSY[@]}" --rounds "$PAUSES"
  stop_gateway
fi
if wanted waiting; then
  start_gateway
  started_in
  EMPTY_MS="$STARTED_MS"
  GATEWAY_URL=$(field api "$READY")
  measure waiting "${WAITING[@]}"
  started_in
  printf '  started after a kill                 %s ms; with nothing to send %s ms\n' "$STARTED_MS" "$EMPTY_MS" \
    >>"$WORK/tables"
  stop_gateway
fi
if wanted robots; then
  # What is kept back for urgent calls is a share of the limits that nobody uses here.
  export MENSHEN_OUTBOX__PACING__URGENT_RESERVE_PERCENT=0
  start_gateway
  measure robots "${ROBOTS[@]}" --window-s "$WINDOW_S"
  stop_gateway
fi

if ((FAILED == 0)); then
  machine
  cat "$WORK/tables"
fi
exit "$FAILED"
