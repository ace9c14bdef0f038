# Shared by the scripts of this folder: builds, starts and stops what they need. Sourced, not run.
#
# What may be set from outside:
#   SMALL=1              a smoke run of a few seconds, as CI does it
#   MENSHEN_BIN          the gateway to test instead of building target/release/menshen
#   LOADTEST_BIN         the load client instead of building it
#   MENSHEN_BENCH_DATA   a folder with chat-sample.txt and lexicon-60k.txt (default: ../shared/data beside the repository)
#   PIN=0                does not pin the server to core 0 and the client to core 1

set -euo pipefail

# === What the gateway is given; the one place to change when its configuration does ===

# Environment of every gateway that a script starts.
gateway_environment() {
  # A drain before each stop would only wait: nobody balances load here.
  export MENSHEN_DRAIN__DELAY=0s
  export MENSHEN_LOG__LEVEL="${MENSHEN_LOG__LEVEL:-warn}"
  # The load client is one token: its quota must not be what is measured.
  export MENSHEN_ACCESS__REQUESTS="${MENSHEN_ACCESS__REQUESTS:-pace:1000000/s}"
  # The sink listens on this machine.
  export MENSHEN_CONNECTORS__ALLOW_PRIVATE="${MENSHEN_CONNECTORS__ALLOW_PRIVATE:-[\"127.0.0.0/8\"]}"
  # 60,000 terms beside the shipped lists, where there is such a lexicon: it is with them that figures are stated.
  if [[ -n "$LEXICON" ]]; then
    mkdir "$WORK/wordlists"
    cp "$LEXICON" "$WORK/wordlists/"
    cp "$ROOT"/wordlists/*.txt "$WORK/wordlists/" 2>/dev/null || true
    export MENSHEN_INTERCEPTION__WORDLISTS_DIR="${MENSHEN_INTERCEPTION__WORDLISTS_DIR:-$WORK/wordlists}"
  fi
}

# configure_webhook_account NAME URL SECRET LIMIT: deliveries of that account go to URL, signed, under LIMIT.
configure_webhook_account() {
  local body
  body=$(printf '{"platform":"webhook","settings":{"url":"%s","receiver_dedupes":true},"secrets":[{"value":"%s"}],"limits":["%s"]}' "$2" "$3" "$4")
  curl --silent --show-error --fail-with-body --max-time 30 --output "$WORK/account.json" \
    --request PUT --header "Authorization: Bearer $GATEWAY_TOKEN" --header 'Content-Type: application/json' \
    --data "$body" "$GATEWAY_URL/v1/accounts/$1" \
    || fail "PUT /v1/accounts/$1 was refused: $(cat "$WORK/account.json" 2>/dev/null)"
}

# === The rest is the scripts' own ===

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SMALL="${SMALL:-}"
WORK=$(mktemp -d)
PIDS=()
FAILED=0

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$(basename "$0"): $*"
  exit 2
}

# Ends exactly what was started here, whatever way the script ends.
cleanup() {
  local pid
  for pid in "${PIDS[@]}"; do
    kill "$pid" 2>/dev/null || true
  done
  for pid in "${PIDS[@]}"; do
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

build() {
  local wanted=()
  [[ -n "${MENSHEN_BIN:-}" ]] || wanted+=(--package menshen)
  [[ -n "${LOADTEST_BIN:-}" ]] || wanted+=(--package loadtest)
  if ((${#wanted[@]} > 0)); then
    (cd "$ROOT" && cargo build --quiet --release --bins "${wanted[@]}") || fail "the build failed"
  fi
  local target="${CARGO_TARGET_DIR:-$ROOT/target}"
  MENSHEN_BIN="${MENSHEN_BIN:-$target/release/menshen}"
  LOADTEST_BIN="${LOADTEST_BIN:-$target/release/loadtest}"
}

# Sets INPUT (arguments for the load client), LEXICON (a path or nothing) and LINES_FROM (for the reader).
find_data() {
  local folder="${MENSHEN_BENCH_DATA:-$ROOT/../shared/data}"
  INPUT=()
  LEXICON=""
  LINES_FROM="generated shop-group talk (no chat-sample.txt in $folder)"
  if [[ -r "$folder/chat-sample.txt" ]]; then
    folder=$(cd "$folder" && pwd)
    INPUT=(--input "$folder/chat-sample.txt")
    LINES_FROM="chat-sample.txt ($(wc -l <"$folder/chat-sample.txt") lines)"
    [[ -r "$folder/lexicon-60k.txt" ]] && LEXICON="$folder/lexicon-60k.txt"
  fi
  return 0
}

# Sets ON_SERVER and ON_CLIENT, prefixes that pin a command to a core.
choose_cores() {
  ON_SERVER=()
  ON_CLIENT=()
  if [[ -z "$SMALL" && "${PIN:-1}" != 0 ]] && command -v taskset >/dev/null && (($(nproc) >= 2)); then
    ON_SERVER=(taskset --cpu-list 0)
    ON_CLIENT=(taskset --cpu-list 1)
  fi
}

machine() {
  local model
  model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
  printf 'machine: %s x %s, Linux %s, pinned: %s\n' \
    "$(nproc)" "${model:-unknown}" "$(uname -r)" "$([[ ${#ON_SERVER[@]} -gt 0 ]] && echo yes || echo no)"
}

# field NAME LINE: a string of a flat JSON line.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$2"; }

# start NAME COMMAND...: starts a server that prints a ready line; sets STARTED_PID and READY.
start() {
  local name="$1" pipe="$WORK/$1.$RANDOM.out"
  shift
  mkfifo "$pipe"
  # Open for reading and writing: neither side waits for the other, and the server never meets a closed pipe.
  exec {READY_FD}<>"$pipe"
  "$@" >"$pipe" 2>"$WORK/$name.log" &
  STARTED_PID=$!
  PIDS+=("$STARTED_PID")
  READY=""
  local waited part
  for waited in {1..60}; do
    # A second may end in the middle of the line: what was read of it is gone from the pipe.
    if read -r -t 1 -u "$READY_FD" part; then
      READY+="$part"
      return 0
    fi
    READY+="$part"
    kill -0 "$STARTED_PID" 2>/dev/null || break
  done
  say "$(tail -n 20 "$WORK/$name.log")"
  fail "$name did not become ready (looked $waited times)"
}

# stop PID: ends one server and waits for its end; gives its exit code.
stop() {
  local pid="$1" kept=() other code=0
  kill "$pid" 2>/dev/null || true
  wait "$pid" || code=$?
  for other in "${PIDS[@]}"; do
    [[ "$other" == "$pid" ]] || kept+=("$other")
  done
  PIDS=("${kept[@]}")
  return "$code"
}

# A fresh gateway on a fresh data directory and free ports; sets GATEWAY_URL, GATEWAY_TOKEN, GATEWAY_PID, GATEWAY_DATA.
start_gateway() {
  GATEWAY_DATA=$(mktemp -d "$WORK/data.XXXXXX")
  start gateway "${ON_SERVER[@]}" "$MENSHEN_BIN" serve \
    --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --data-dir "$GATEWAY_DATA"
  GATEWAY_PID="$STARTED_PID"
  GATEWAY_URL=$(field api "$READY")
  GATEWAY_TOKEN=$(field admin_token "$READY")
  [[ -n "$GATEWAY_URL" && -n "$GATEWAY_TOKEN" ]] || fail "not the ready line of a gateway: $READY"
}

# Ends the gateway; an unclean end is a finding.
stop_gateway() {
  if ! stop "$GATEWAY_PID"; then
    say "the gateway did not end cleanly; its last words:"
    say "$(tail -n 5 "$WORK/gateway.log")"
    FAILED=1
  fi
}

# client ARGUMENTS...: runs the load client; what did not agree is shown and remembered, and the script goes on.
client() {
  local code=0
  "${ON_CLIENT[@]}" "$LOADTEST_BIN" "$@" >"$WORK/client.out" 2>"$WORK/client.err" || code=$?
  if ((code != 0)); then
    cat "$WORK/client.out" "$WORK/client.err" >&2
    FAILED=1
  fi
  if ((code > 1)); then
    say "last words of the gateway:"
    say "$(tail -n 5 "$WORK/gateway.log" 2>/dev/null)"
    fail "loadtest $1 could not be run"
  fi
}

build
find_data
choose_cores
gateway_environment
