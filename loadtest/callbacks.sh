#!/usr/bin/env bash
# The same joins as encrypted WeCom callbacks and as plain JSON events, in interleaved rounds over one gateway; prints one
# table. Fails when an answer, a count, or the ratio is not as it must be; a small run only reports the ratio, which a few
# hundred requests cannot tell.
#
# See common.sh for what may be set; besides:
#   ROUNDS=7  JOINS=20000 (of each kind in a round)  GROUPS_COUNT=2000  CONNECTIONS=64  MAX_RATIO=1.7 (empty: not checked)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ -n "$SMALL" ]]; then
  ROUNDS="${ROUNDS:-2}" JOINS="${JOINS:-400}" GROUPS_COUNT="${GROUPS_COUNT:-40}" CONNECTIONS="${CONNECTIONS:-8}"
  SETTLE="${SETTLE:-250ms}" MAX_RATIO="${MAX_RATIO:-}"
else
  ROUNDS="${ROUNDS:-7}" JOINS="${JOINS:-20000}" GROUPS_COUNT="${GROUPS_COUNT:-2000}" CONNECTIONS="${CONNECTIONS:-64}"
  SETTLE="${SETTLE:-2s}" MAX_RATIO="${MAX_RATIO-1.7}"
fi
LIMIT=()
[[ -z "$MAX_RATIO" ]] || LIMIT=(--max-ratio "$MAX_RATIO")

# Whoever joined is looked up at the platform when a group has come to rest, some groups are looked at in any case, and
# what is kept in order on the platform is looked at in turn. None of it is part of a callback, so it happens long after
# the run.
export MENSHEN_CONNECTORS__ROSTERS__QUIET=2h MENSHEN_CONNECTORS__ROSTERS__QUIET_MAX=2h
export MENSHEN_CONNECTORS__ROSTERS__PROBE_EVERY=2h MENSHEN_DUTIES__TICK=2h

start_gateway
client callbacks --url "$GATEWAY_URL" --token "$GATEWAY_TOKEN" --server-pid "$GATEWAY_PID" --groups "$GROUPS_COUNT" \
  --joins "$JOINS" --connections "$CONNECTIONS" --rounds "$ROUNDS" --settle "$SETTLE" "${LIMIT[@]}"
mv "$WORK/client.out" "$WORK/table"
stop_gateway

if ((FAILED == 0)); then
  machine
  cat "$WORK/table"
fi
exit "$FAILED"
