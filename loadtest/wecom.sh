#!/usr/bin/env bash
# Connects a simulated WeCom as if it were the real one, by docs/WECOM.md and nothing else: the blocks marked `sh connect`
# are run in order as they stand there, and what a person clicks in the console is done at the simulator. Then members
# move, and both sides must name the same people.
#
# See common.sh for what may be set; besides:
#   GROUPS_COUNT=200  OWNERS_COUNT=40  MEMBERS_COUNT=10000  PAGE=docs/WECOM.md
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ -n "$SMALL" ]]; then
  GROUPS_COUNT="${GROUPS_COUNT:-30}" OWNERS_COUNT="${OWNERS_COUNT:-6}" MEMBERS_COUNT="${MEMBERS_COUNT:-600}"
else
  GROUPS_COUNT="${GROUPS_COUNT:-200}" OWNERS_COUNT="${OWNERS_COUNT:-40}" MEMBERS_COUNT="${MEMBERS_COUNT:-10000}"
fi
PAGE="${PAGE:-$ROOT/docs/WECOM.md}"

# What a colleague with console rights would hand over.
export WECOM_CORP_ID=ww1f2e3d4c5b6a7988 WECOM_AGENT_ID=1000002
WECOM_SECRET="s-$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')"
WECOM_TOKEN=$(head -c 64 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | head -c 16)
# 43 characters as the console's `Random` makes them.
WECOM_AES_KEY=$(head -c 128 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | head -c 43)
export WECOM_SECRET WECOM_TOKEN WECOM_AES_KEY

start wecom "${ON_CLIENT[@]}" "$LOADTEST_BIN" wecom --listen 127.0.0.1:0 --groups "$GROUPS_COUNT" \
  --owners "$OWNERS_COUNT" --members "$MEMBERS_COUNT" --corpid "$WECOM_CORP_ID" --agentid "$WECOM_AGENT_ID" \
  --secret "$WECOM_SECRET" --token "$WECOM_TOKEN" --aes-key "$WECOM_AES_KEY"
WECOM_API=$(field url "$READY")
export WECOM_API

# The page's commands stand in the directory where the gateway was started, as a reader's would.
mkdir "$WORK/home"
cd "$WORK/home"
start gateway "${ON_SERVER[@]}" "$MENSHEN_BIN" serve --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0
GATEWAY_PID="$STARTED_PID"
MENSHEN=$(field api "$READY")
export MENSHEN
PATH="$(dirname "$MENSHEN_BIN"):$PATH"

# sim METHOD PATH [BODY]: asks the simulator about itself, or does what people do.
sim() {
  curl --silent --show-error --fail-with-body --max-time 30 --request "$1" ${3:+--data "$3"} "$WECOM_API/_sim/$2"
}

# Saves the callback's address in the console: WeCom asks it at once whether it is ours.
save_in_console() {
  sim POST callback "{\"app\":\"gateway\",\"url\":\"$MENSHEN/hooks/wecom\"}" >/dev/null \
    || fail "the simulated console refused the callback's address"
}

# blocks PAGE: its commands, one shell for all of them, a stop where a person clicks.
blocks() {
  awk '/^```sh connect$/ {inside = 1; nth++; print "block " nth " || true"; next}
       /^```$/ {inside = 0}
       inside {print}' "$1" \
    | sed 's/curl -s /curl --silent --show-error --fail-with-body /'
}

block() {
  # Step 7 stands between the first block and the second.
  [[ "$1" != 2 ]] || save_in_console
  say "-- block $1 of $(basename "$PAGE")"
}

export -f sim fail say save_in_console block
say "walking through $(basename "$PAGE") with $GROUPS_COUNT groups of $MEMBERS_COUNT members"
diff <(blocks "$ROOT/docs/WECOM.md") <(blocks "$ROOT/docs/WECOM.zh-CN.md") >&2 \
  || fail "the page says something else in Chinese"
blocks "$PAGE" >"$WORK/page.sh"
if ! WORK="$WORK" bash -euo pipefail "$WORK/page.sh" >"$WORK/page.out" 2>"$WORK/page.err"; then
  cat "$WORK/page.out" "$WORK/page.err" >&2
  fail "the page does not work as it stands"
fi
grep -q 'everything is in place' "$WORK/page.out" || fail "the check was not content: $(cat "$WORK/page.out")"

# Both sides name the same people, also after somebody came and somebody left.
AUTH="Authorization: Bearer $(cat data/admin-token)"
members() {
  curl --silent --show-error --fail-with-body -H "$AUTH" "$MENSHEN/v1/groups/wecom/$1/members?limit=1000" \
    | grep -o '"member":"[^"]*","[^}]*"present":true' | sed 's/^"member":"\([^"]*\)".*/\1/' | sort
}
# Whoever invited somebody, or is an admin, is named beside the list as well.
true_members() {
  sim GET "groups/$1" | sed 's/"invitor":{[^}]*}//g; s/"admin_list":\[[^]]*\]//g' \
    | grep -o '"userid":"[^"]*"' | sed 's/^"userid":"\([^"]*\)"/\1/' | sort
}

CHAT=$(sim GET 'groups?limit=1' | sed 's/.*"chat_id":"\([^"]*\)".*/\1/')
sim POST act "{\"act\":\"join\",\"chat_id\":\"$CHAT\",\"newcomers\":2}" >/dev/null
agree=""
for _ in {1..100}; do
  if [[ "$(members "$CHAT")" == "$(true_members "$CHAT")" ]]; then
    agree=yes
    break
  fi
  read -r -t 0.1 <> <(:) || true
done
if [[ -z "$agree" ]]; then
  say "menshen and WeCom name different members of $CHAT:"
  diff <(members "$CHAT") <(true_members "$CHAT") >&2 || true
  FAILED=1
fi

stop_gateway
if ((FAILED == 0)); then
  machine
  say "connected by the page alone: $(grep -c '^block' "$WORK/page.sh") blocks, rosters agree"
fi
exit "$FAILED"
