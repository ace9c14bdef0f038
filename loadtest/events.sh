#!/usr/bin/env bash
# The chat sample as the traffic of 2,000 groups, against a bare server, in interleaved rounds; prints one table.
#
# Every run has a fresh server, fresh ids and its statistics compared; every other round runs in reverse order. The open loop
# runs at OPEN_SHARE percent of what the closed loop reached in the same round. See common.sh for what may be set; besides:
#   ROUNDS=7  LENGTH=5s  GROUPS_COUNT=2000  CONNECTIONS=64  OPEN_SHARE=50  RESULTS=FILE (kept; one JSON report a line)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ -n "$SMALL" ]]; then
  ROUNDS="${ROUNDS:-1}" LENGTH="${LENGTH:-1s}" GROUPS_COUNT="${GROUPS_COUNT:-50}" CONNECTIONS="${CONNECTIONS:-8}"
  # A smoke run is about agreement, so everything that can disagree is in it.
  MIX=(--joins-ratio 0.05 --repeat-ratio 0.02)
else
  ROUNDS="${ROUNDS:-7}" LENGTH="${LENGTH:-5s}" GROUPS_COUNT="${GROUPS_COUNT:-2000}" CONNECTIONS="${CONNECTIONS:-64}"
  # Measured runs hold distinct messages only: repeats leave the pipeline early and would flatter the gateway.
  MIX=()
fi
OPEN_SHARE="${OPEN_SHARE:-50}"
RESULTS="${RESULTS:-$WORK/results.ndjson}"
: >"$RESULTS"
HITS=()
[[ -z "$LEXICON" ]] || HITS=(--lexicon "$LEXICON" --hit-ratio 0.01)

COMMON=(--groups "$GROUPS_COUNT" --connections "$CONNECTIONS" --for "$LENGTH" --append "$RESULTS" "${INPUT[@]}")

run_bare() {
  start bare "${ON_SERVER[@]}" "$LOADTEST_BIN" bare
  local pid="$STARTED_PID"
  client events --url "$(field url "$READY")" "${COMMON[@]}" --status-only --server-pid "$pid" --label bare --round "$1"
  stop "$pid" || true
}

# run_gateway ROUND LABEL ARGUMENTS...
run_gateway() {
  local round="$1" label="$2"
  shift 2
  start_gateway
  client events --url "$GATEWAY_URL" --token "$GATEWAY_TOKEN" "${COMMON[@]}" "${MIX[@]}" "${HITS[@]}" --verify \
    --server-pid "$GATEWAY_PID" --label "$label" --round "$round" "$@"
  stop_gateway
}

# The rate for the open loop: a share of what the closed loop of this round reached.
open_rate() {
  local reached
  reached=$(grep -F "\"label\":\"$1\",\"round\":$2," "$RESULTS" | tail -n 1 \
    | sed -n 's/.*"events_per_s":\([0-9.]*\).*/\1/p')
  awk -v reached="${reached:-0}" -v share="$OPEN_SHARE" 'BEGIN { rate = int(reached * share / 100); print (rate > 1 ? rate : 1) }'
}

run_closed_and_open() {
  local round="$1" label="$2"
  shift 2
  run_gateway "$round" "$label, closed" "$@"
  run_gateway "$round" "$label, open at $OPEN_SHARE %" "$@" --rate "$(open_rate "$label, closed" "$round")"
}

for ((round = 1; round <= ROUNDS; round++)); do
  say "round $round of $ROUNDS"
  if ((round % 2 == 1)); then
    run_bare "$round"
    run_closed_and_open "$round" single --mode single
    run_closed_and_open "$round" ndjson-100 --mode ndjson --batch 100
  else
    run_closed_and_open "$round" ndjson-100 --mode ndjson --batch 100
    run_closed_and_open "$round" single --mode single
    run_bare "$round"
  fi
done

machine
echo "traffic: $GROUPS_COUNT groups, $CONNECTIONS connections, $LENGTH a run, lines: $LINES_FROM${LEXICON:+, 1 % with a term of $(basename "$LEXICON")}"
"$LOADTEST_BIN" compare --reference bare "$RESULTS"
((FAILED == 0)) || say "something did not agree: see above"
exit "$FAILED"
