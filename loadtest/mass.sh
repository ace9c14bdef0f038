#!/usr/bin/env bash
# Mass sends as a company has them: 24,000 customer groups of 4,000 owners on a simulated WeCom. Some owners confirm soon, some
# late, some only when reminded, some never. Groups change hands unheard, groups are at their receiving cap, answers get lost,
# the platform is away in the middle. Days pass by hops of the rehearsal clock, each of them a SIGKILL and a start.
#
# In the end every target must have an outcome with its reason, the platform's own book must name the same groups and tasks as
# the gateway's results and nobody twice, and the range that was given for the finish must have held. Prints one table.
#
# See common.sh for what may be set; besides:
#   GROUPS_COUNT=24000  OWNERS_COUNT=4000  MOVED_COUNT=60 (groups that change hands unheard)
#   PATIENCE_S=900 (longest wait for one condition)  KEEP=DIR (where the gateway's log and the results are left)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ -n "$SMALL" ]]; then
  GROUPS_COUNT="${GROUPS_COUNT:-180}" OWNERS_COUNT="${OWNERS_COUNT:-60}" MOVED_COUNT="${MOVED_COUNT:-6}"
  LIMIT=window:40/s OUTAGE_S=1 QUIET_S=0.6 SLACK_PERCENT=20 LOSSES='"add_msg_template:reset@first:3","add_msg_template:cut@first:2"'
  # Of so few owners some must forget for sure: else the finish is chance.
  OWNERS='{"prompt":0.6,"late":0.2,"prompt_ms":[60000,1800000],"late_ms":[7200000,129600000],"reminded":0.3}'
  export MENSHEN_BROADCASTS__CONFIRMATIONS__LOOK=200ms MENSHEN_BROADCASTS__WATCH=500ms MENSHEN_OUTBOX__RESOLVE_AFTER=1s
else
  GROUPS_COUNT="${GROUPS_COUNT:-24000}" OWNERS_COUNT="${OWNERS_COUNT:-4000}" MOVED_COUNT="${MOVED_COUNT:-60}"
  LIMIT=window:150/s OUTAGE_S=20 QUIET_S=1.5 SLACK_PERCENT=5 LOSSES='"add_msg_template:reset@2%","add_msg_template:cut@2%"'
  OWNERS='{"prompt":0.7,"late":0.2,"prompt_ms":[60000,1800000],"late_ms":[7200000,129600000],"reminded":0.5}'
fi
PATIENCE_S="${PATIENCE_S:-900}"
KEEP="${KEEP:-}"
SECRET="s-$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')"
KEY=$(head -c 128 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | head -c 43)
DATA="$WORK/data"
IDS=() WANTED=() DEATHS=0 RSS_KB=0 SEEN=""

# The day begins at ten in China, tomorrow: no cap's day ends between two steps, no reminder falls into the night.
BEGAN=$(date +%s)
AHEAD_S=$(((BEGAN / 86400 + 1) * 86400 + 2 * 3600 - BEGAN))

# sim METHOD PATH [BODY]: asks the platform's book, or does what people do.
sim() {
  curl --silent --show-error --fail-with-body --max-time 60 --request "$1" ${3:+--data "$3"} "$WECOM_API/_sim/$2"
}

# api METHOD PATH [BODY [KEY]]
api() {
  curl --silent --show-error --fail-with-body --max-time 120 --request "$1" -H "Authorization: Bearer $GATEWAY_TOKEN" \
    -H 'Content-Type: application/json' ${4:+-H "Idempotency-Key: \"$4\""} ${3:+--data "$3"} "$GATEWAY_URL/v1/$2"
}

# number NAME JSON: a number of a flat part of some JSON; 0 when it is not there.
number() {
  local found
  found=$(sed -n "s/.*\"$1\": *\([0-9][0-9]*\).*/\1/p" <<<"$2")
  printf '%s' "${found:-0}"
}

book() { sim GET report | tr -d '\n' | sed 's/.*"mass": *{\([^}]*\)}.*/{\1}/'; }

# wait_for WHAT COMMAND...: repeats it until it succeeds.
wait_for() {
  local what="$1" deadline=$((SECONDS + PATIENCE_S))
  shift
  until "$@"; do
    if ((SECONDS >= deadline)); then
      say "$(tail -n 5 "$WORK/gateway.log")"
      fail "not within $PATIENCE_S s: $what; last seen: ${SEEN:-nothing}"
    fi
    read -r -t 0.2 <> <(:) || true
  done
}

wake() {
  start gateway env MENSHEN_SERVER__CLOCK_AHEAD="${AHEAD_S}s" "${ON_SERVER[@]}" "$MENSHEN_BIN" serve \
    --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --data-dir "$DATA"
  GATEWAY_PID="$STARTED_PID"
  GATEWAY_URL=$(field api "$READY")
  [[ -n "$GATEWAY_URL" ]] || fail "not the ready line of a gateway: $READY"
}

note_rss() {
  local peak
  peak=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$GATEWAY_PID/status")
  ((peak <= RSS_KB)) || RSS_KB="$peak"
}

# hop SECONDS: so much later, killed and started again.
hop() {
  note_rss
  kill -KILL "$GATEWAY_PID"
  stop "$GATEWAY_PID" 2>/dev/null || true
  DEATHS=$((DEATHS + 1))
  sim POST clock "{\"advance_ms\":${1}000}" >/dev/null
  AHEAD_S=$((AHEAD_S + $1))
  wake
}

now_s() { echo $(($(date +%s) + AHEAD_S)); }

# hop_to SECOND: until a moment of the rehearsal; one that is past is now.
hop_to() {
  local ahead=$(($1 - $(now_s)))
  hop $((ahead > 0 ? ahead : 0))
}

moment() { date -u -d "@$1" +%Y-%m-%dT%H:%M:%SZ; }

# broadcast NAME TEXT [MORE [FILE]]: to every group, or to those of a file; sets ID.
broadcast() {
  local audience='"all"' count="$GROUPS_COUNT"
  if [[ -n "${4:-}" ]]; then
    audience="{\"groups\":[$(sed 's/.*/"wecom\/&"/' "$4" | paste -sd,)]}" count=$(wc -l <"$4")
  fi
  printf '{"name":"%s","account":"wecom","text":"%s","audience":%s%s}' "$1" "$2" "$audience" "${3:-}" >"$WORK/asked"
  api POST broadcasts "@$WORK/asked" "$1" >"$WORK/answer"
  ID=$(sed -n 's/^{"id":"\([^"]*\)".*/\1/p' "$WORK/answer")
  [[ -n "$ID" ]] || fail "the $1 broadcast was not accepted: $(cat "$WORK/answer")"
  IDS+=("$ID") WANTED+=("$count")
}

# look ID: sets VIEW, COUNTS and STATE.
look() {
  VIEW=$(api GET "broadcasts/$1")
  COUNTS=$(sed 's/.*"counts":\({[^}]*}\).*/\1/' <<<"$VIEW")
  STATE=$(sed 's/.*"state":"\([^"]*\)".*/\1/' <<<"$VIEW")
  SEEN="$STATE $COUNTS"
}

# handed_out: no task of the latest is still to be made, and no answer is missing.
handed_out() {
  look "$ID"
  local name open=0 all=0
  for name in pending sending uncertain; do open=$((open + $(number "$name" "$COUNTS"))); done
  for name in awaiting_confirmation sent failed expired cancelled; do all=$((all + $(number "$name" "$COUNTS"))); done
  ((open == 0 && all == WANTED[-1]))
}

tasks_made() { SEEN=$(book) && (($(number tasks "$SEEN") >= $1)); }

is_finished() { look "$1" && [[ "$STATE" == finished ]]; }

is_read() { SEEN=$(api GET accounts/wecom/sync) && [[ "$SEEN" == *'"state":"done"'* ]]; }

# asked: how often the platform was asked about mass sends, as text.
asked() { sim GET report | tr -d '\n ' | grep -o '"externalcontact/[a-z_]*groupmsg[a-z_0-9]*":{[^}]*}' || true; }

# agrees: what the platform has sent is what the broadcasts count, and nothing more is asked of it for a while.
agrees() {
  local id sent=0 truth before
  truth=$(book)
  for id in "${IDS[@]}"; do
    look "$id"
    sent=$((sent + $(number sent "$COUNTS")))
  done
  SEEN="gateway $sent, platform $truth"
  ((sent == $(number sent "$truth"))) || return 1
  before=$(asked)
  read -r -t "$QUIET_S" <> <(:) || true
  [[ "$before" == "$(asked)" ]]
}

settle() { wait_for "the gateway knows what the platform knows" agrees; }

# unanswered SEQ: how many calls to make a task got no answer after a call.
unanswered() {
  local after="$1" count=0 page
  while page=$(sim GET "calls?after=$after" | grep -o '{"seq":[^}]*}'); do
    count=$((count + $(grep 'add_msg_template"' <<<"$page" | grep -cE '"end":"(reset|cut|hang)"' || true)))
    after=$(tail -n 1 <<<"$page" | sed 's/^{"seq":\([0-9]*\),.*/\1/')
  done
  echo "$count"
}

# read_range: of the broadcast that was looked at last.
read_range() {
  local range='"estimated_finish":{"from":"\([^"]*\)","to":"\([^"]*\)"}'
  RANGE_FROM=$(sed -n "s/.*$range.*/\1/p" <<<"$VIEW") RANGE_TO=$(sed -n "s/.*$range.*/\2/p" <<<"$VIEW")
  [[ -n "$RANGE_FROM" && -n "$RANGE_TO" ]] || fail "no range was given: $VIEW"
}

# read_sends: the platform's book as `group task text time`, the text as a digest.
read_sends() {
  local after=0
  : >"$WORK/reached"
  while sim GET "sends?after=$after" | grep -o '{"seq":[^}]*}' >"$WORK/page"; do
    sed -n 's/.*"at_ms":\([0-9]*\),"via":"mass","target":"\([^"]*\)","message":"\([^"]*\)","content":"\([^"]*\)".*/\2 \3 \4 \1/p' \
      "$WORK/page" >>"$WORK/reached"
    after=$(tail -n 1 "$WORK/page" | sed 's/^{"seq":\([0-9]*\),.*/\1/')
  done
}

# give CHAT OWNER: the group changes hands; the gateway gets no callback.
give() {
  sim POST act "{\"act\":\"change_owner\",\"chat_id\":\"$1\",\"owner\":\"owner$(printf '%05d' "$2")\"}" >/dev/null
}

chats() { sim GET "groups?limit=$1" | grep -o '"chat_id":"[^"]*"' | sed 's/.*:"\(.*\)"/\1/'; }

account() {
  api PUT accounts/wecom "{\"platform\":\"wecom\",\"settings\":{\"corp_id\":\"ww1f2e3d4c5b6a7988\",\"agent_id\":1000002,\"api_url\":\"$WECOM_API\"$1},\"secrets\":[{\"name\":\"app_secret\",\"value\":\"$SECRET\"},{\"name\":\"callback_token\",\"value\":\"SimulatedToken1\"},{\"name\":\"callback_key\",\"value\":\"$KEY\"}],\"limits\":[\"$LIMIT\"]}" >/dev/null
}

# === The rehearsal ===

connect() {
  start wecom "${ON_CLIENT[@]}" "$LOADTEST_BIN" wecom --listen 127.0.0.1:0 --groups "$GROUPS_COUNT" \
    --owners "$OWNERS_COUNT" --members $((GROUPS_COUNT * 2)) --secret "$SECRET" --aes-key "$KEY" --report "$WORK/sim.json"
  SIM_PID="$STARTED_PID"
  WECOM_API=$(field url "$READY")
  sim POST clock "{\"advance_ms\":${AHEAD_S}000}" >/dev/null
  sim POST acting "{\"owners\":$OWNERS}" >/dev/null
  wake
  GATEWAY_TOKEN=$(field admin_token "$READY")
  account ""
  say "reading $GROUPS_COUNT groups of $OWNERS_COUNT owners"
  api POST accounts/wecom/sync '{}' >/dev/null
  wait_for "every group is read" is_read
}

# The first: what everybody is like. A third of its tasks are made when the platform goes away for a while; before and after
# that some of its answers get lost. Some groups have gone to another owner before their task is made, some go after it.
first() {
  local moved=() chat
  mapfile -t moved < <(chats $((MOVED_COUNT * 2)))
  for chat in "${moved[@]:0:MOVED_COUNT}"; do give "$chat" $((OWNERS_COUNT - 1)); done
  say "the first: what everybody is like; an outage in the middle"
  sim POST faults "[$LOSSES]" >/dev/null
  broadcast first 上午好，今日到店有礼
  local first="$ID" calls
  FIRST_BEGAN=$(now_s)
  calls=$(number calls "$(sim GET report | tr -d '\n')")
  wait_for "a third of the tasks is made" tasks_made $((OWNERS_COUNT / 3))
  sim POST faults "[\"*:outage=0s..${OUTAGE_S}s\"]" >/dev/null
  # Killed in the middle of it. Whether a call that was cut off made a task is known a minute later.
  read -r -t "$OUTAGE_S" <> <(:) || true
  hop 75
  wait_for "every owner has the task" handed_out
  sim POST faults '[]' >/dev/null
  LOST=$(unanswered "$calls")
  for chat in "${moved[@]:MOVED_COUNT}"; do give "$chat" $((OWNERS_COUNT - 1)); done
  local after
  for after in 3000 23400 131400 606600; do
    hop_to $((FIRST_BEGAN + after))
    settle
  done
  wait_for "the first is finished" is_finished "$first"
}

# The second: with a range for its finish. The administrator has limited every group to one a day meanwhile, and nobody told us.
second() {
  say "the second: within the range that is given for it"
  sim POST acting "{\"owners\":$OWNERS,\"cap\":\"one_per_day\"}" >/dev/null
  broadcast second 会员日最后一天
  SECOND="$ID" SECOND_BEGAN=$(now_s)
  wait_for "every owner has the task" handed_out
  read_range
  FROM="$RANGE_FROM" TO="$RANGE_TO"
  hop 2400
  settle
}

# The same day: two more. Most groups are at their cap; of the third we learn it from the platform, of the fourth beforehand.
same_day() {
  say "the same day: most groups are at their cap"
  local ends=$((SECOND_BEGAN + 8 * 3600)) third
  broadcast third 再来一次 ",\"expires_at\":\"$(moment "$ends")\""
  third="$ID"
  wait_for "every owner has the task" handed_out
  hop 7500
  settle
  hop 2100
  settle
  account ',"receiving_cap":"once_a_day"'
  broadcast fourth 最后一次 ",\"expires_at\":\"$(moment "$ends")\""
  wait_for "every owner has the task" handed_out
  hop_to $((ends + 60))
  wait_for "the third is finished" is_finished "$third"
  wait_for "the fourth is finished" is_finished "$ID"
  settle
}

# A quarter of an hour before the range the second must not be over, a quarter after it must: tasks are asked about that often.
within_the_range() {
  hop_to $(($(date -d "$FROM" +%s) - 900))
  settle
  look "$SECOND"
  if [[ "$STATE" == finished ]]; then
    say "the second was over before the range from $FROM to $TO"
    FAILED=1
  fi
  hop_to $(($(date -d "$TO" +%s) + 900))
  wait_for "the second is finished just after its range, $TO" is_finished "$SECOND"
  FINISHED_BY=$(now_s)
  settle
}

# The last: to groups whose owners were quick the first time. Nobody forgets, so the range is one of half an hour, and the
# platform's book knows to the second when the last of them got it.
soon() {
  say "the last: to those who confirm soon"
  sim POST acting "{\"owners\":$OWNERS}" >/dev/null
  read_sends
  awk -v until="$((FIRST_BEGAN + 3600))000" '$4 < until {print $1}' "$WORK/reached" >"$WORK/soon"
  local began slack
  began=$(now_s)
  broadcast last 谢谢大家 "" "$WORK/soon"
  wait_for "every owner has the task" handed_out
  read_range
  hop 2400
  settle
  wait_for "the last is finished" is_finished "$ID"
  read_sends
  TRUTH=$(awk -v since="${began}000" '$4 > since && $4 > last {last = $4} END {print substr(last, 1, length(last) - 3)}' "$WORK/reached")
  slack=$((($(date -d "$RANGE_TO" +%s) - began) * SLACK_PERCENT / 100))
  if ((TRUTH < $(date -d "$RANGE_FROM" +%s) - slack || TRUTH > $(date -d "$RANGE_TO" +%s) + slack)); then
    say "the last owner confirmed at $(moment "$TRUTH"), the range was from $RANGE_FROM to $RANGE_TO"
    FAILED=1
  fi
}

# === What came of it ===

# Every target of every broadcast as `group state code task`, and the platform's book.
read_books() {
  local id
  for id in "${IDS[@]}"; do
    api GET "broadcasts/$id/results?format=ndjson" \
      | sed 's/.*"group":"\([^"]*\)".*"state":"\([^"]*\)","code":"\{0,1\}\([^",]*\)"\{0,1\},.*"platform_id":"\{0,1\}\([^",]*\)"\{0,1\},.*/\1 \2 \3 \4/; s/ null/ -/g; s/  / - /; s/ $/ -/' \
      >"$WORK/results.$id"
    cat "$WORK/results.$id" >>"$WORK/results"
  done
  read_sends
}

# check WHAT FOUND WANTED
check() {
  if [[ "$2" != "$3" ]]; then
    say "DOES NOT AGREE: $1: $2, not $3"
    FAILED=1
  fi
}

judge() {
  local n
  for n in "${!IDS[@]}"; do
    check "targets of ${IDS[n]} with an outcome" "$(grep -cE ' (sent|failed|expired|cancelled) ' "$WORK/results.${IDS[n]}")" \
      "${WANTED[n]}"
  done
  check "outcomes but sent without a reason" "$(grep -cE ' (failed|expired|cancelled) - ' "$WORK/results")" 0
  check "groups and tasks that one book has and the other has not" \
    "$(diff <(sed -n 's/^\([^ ]*\) sent [^ ]* /\1 /p' "$WORK/results" | sort) <(cut -d' ' -f1,2 "$WORK/reached" | sort) | grep -c '^[<>]')" 0
  TWICE=$(cut -d' ' -f1,3 "$WORK/reached" | sort | uniq -d | wc -l)
  check "groups that the same text reached twice" "$TWICE" 0
  check "the platform's count of texts that came again" "$(number sends_repeated "$REPORT")" 0
  check "groups asked for twice with one text" "$(number asked_twice "$MASS")" 0
  check "messages in the platform's book" "$(wc -l <"$WORK/reached")" "$(number sent "$MASS")"
  OURS=$(awk '$4 != "-" {print $4}' "$WORK/results" | sort -u | wc -l)
  check "tasks that we know" "$OURS" "$(number tasks "$MASS")"
  # What the rehearsal is to show must have happened.
  local reason
  for reason in refused_by_platform not_a_friend already_received receiving_cap not_confirmed; do
    grep -q " $reason " "$WORK/results" || check "targets that ended with $reason" none some
  done
}

table() {
  local title="$GROUPS_COUNT groups of $OWNERS_COUNT owners, ${#IDS[@]} mass sends" n state code line
  line() { printf '  %-46s %s\n' "$1" "$2"; }
  echo "$title"
  line "tasks made, by the platform's count and ours" "$(number tasks "$MASS"), $OURS"
  line "targets sent, by the platform's count" "$(number sent "$MASS")"
  while read -r n state code; do
    [[ "$state" == sent ]] || line "targets $state, $code" "$n"
  done < <(awk '{print $2, $3}' "$WORK/results" | sort | uniq -c | sort -rn)
  line "refused at creation, by the platform (fail_list)" "$(number failed_at_once "$MASS")"
  line "calls to make a task that got no answer" "$LOST"
  line "owners who confirmed; reminders" "$(number confirmed "$MASS"); $(number reminders "$MASS")"
  line "sent twice" "$TWICE"
  line "range given for the second" "$FROM to $TO"
  line "it was over" "after $(moment $(($(date -d "$FROM" +%s) - 900))), by $(moment "$FINISHED_BY")"
  line "range given for the last" "$RANGE_FROM to $RANGE_TO"
  line "its last group had it" "$(moment "$TRUTH")"
  line "days rehearsed; SIGKILLs" "$(((FINISHED_BY - BEGAN) / 86400)); $DEATHS"
  line "took; peak memory of the gateway" "$((SECONDS)) s; $((RSS_KB / 1024)) MiB"
}

connect
first
second
same_day
within_the_range
soon
note_rss
REPORT=$(sim GET report | tr -d '\n')
MASS=$(book)
read_books
judge
stop_gateway
if ! stop "$SIM_PID"; then
  say "the platform's limits were not kept"
  FAILED=1
fi
if [[ -n "$KEEP" ]]; then
  mkdir -p "$KEEP"
  cp "$WORK"/gateway.log "$WORK"/results "$WORK"/reached "$KEEP/"
  printf '%s' "$REPORT" >"$KEEP/report.json"
fi
machine
table
exit "$FAILED"
