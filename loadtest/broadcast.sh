#!/usr/bin/env bash
# One broadcast to 5,000 groups at 500/s against a sink whose auditor confirms the limit; prints one table.
#
# See common.sh for what may be set; besides:
#   GROUPS_COUNT=5000  RATE=500  FAULTS="503@0.02 delay=5ms..20ms" (what the sink does wrong; nothing by default)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ -n "$SMALL" ]]; then
  GROUPS_COUNT="${GROUPS_COUNT:-200}" RATE="${RATE:-100}"
else
  GROUPS_COUNT="${GROUPS_COUNT:-5000}" RATE="${RATE:-500}"
fi
LIMIT="window:$RATE/s"
ACCOUNT=shops
# A key made for this run: nothing that could be configured elsewhere.
SECRET="whsec_$(head -c 32 /dev/urandom | base64 | tr -d '\n')"

SINK_FAULTS=()
for fault in ${FAULTS:-}; do
  SINK_FAULTS+=(--fault "$fault")
done

start sink "${ON_CLIENT[@]}" "$LOADTEST_BIN" sink --listen 127.0.0.1:0 --secret "$SECRET" --audit "$LIMIT" \
  "${SINK_FAULTS[@]}" --report "$WORK/sink.json"
SINK_PID="$STARTED_PID"
SINK_URL=$(field url "$READY")

start_gateway
configure_webhook_account "$ACCOUNT" "$SINK_URL/" "$SECRET" "$LIMIT"
say "broadcast to $GROUPS_COUNT groups at $RATE/s, about $((GROUPS_COUNT / RATE)) s"
client broadcast --url "$GATEWAY_URL" --token "$GATEWAY_TOKEN" --account "$ACCOUNT" --groups "$GROUPS_COUNT" \
  --rate "$RATE" --sink-report-url "$SINK_URL/_sink/report"
mv "$WORK/client.out" "$WORK/table"
stop_gateway

# The sink's own verdict, after everything has arrived that could.
if ! stop "$SINK_PID"; then
  say "the sink found something wrong:"
  say "$(cat "$WORK/sink.json" 2>/dev/null)"
  FAILED=1
fi

if ((FAILED == 0)); then
  machine
  cat "$WORK/table"
fi
exit "$FAILED"
