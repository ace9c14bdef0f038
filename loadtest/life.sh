#!/usr/bin/env bash
# What life in the group costs: events with 5,000 reply rules, 200 welcomes, conduct with a ladder, a journey, and the notes that
# cases and unanswered questions are found by, against the same without all of them, in interleaved rounds; prints two tables of CPU per event. Few messages are answered, as in groups: it is asking the rules that
# is measured, for messages and joins.
#
# Every run has a fresh server, fresh ids and its statistics compared. See common.sh for what may be set; besides:
#   ROUNDS=7  LENGTH=5s  GROUPS_COUNT=2000  CONNECTIONS=64  RULES=5000  WELCOMES=200  MODES="single ndjson-100"
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ -n "$SMALL" ]]; then
  ROUNDS="${ROUNDS:-1}" LENGTH="${LENGTH:-1s}" GROUPS_COUNT="${GROUPS_COUNT:-50}" CONNECTIONS="${CONNECTIONS:-8}" RULES="${RULES:-500}"
else
  ROUNDS="${ROUNDS:-7}" LENGTH="${LENGTH:-5s}" GROUPS_COUNT="${GROUPS_COUNT:-2000}" CONNECTIONS="${CONNECTIONS:-64}" RULES="${RULES:-5000}"
fi
WELCOMES="${WELCOMES:-200}"
MODES="${MODES:-single ndjson-100}"
COMMON=(--groups "$GROUPS_COUNT" --connections "$CONNECTIONS" --for "$LENGTH" --joins-ratio 0.02 "${INPUT[@]}")

# What shops are asked, about what they sell: a rule for each pair.
awk -v rules="$RULES" 'BEGIN {
  things = split("会员卡 积分 优惠券 礼品卡 停车券 生日礼 三黄鸡 草鸡蛋 冷鲜肉 小龙虾 大闸蟹 基围虾 三文鱼 牛腩 羊排 鲜牛奶 酸奶 豆腐 面包 蛋糕 月饼 粽子 汤圆 大米 面粉 食用油 酱油 白糖 食盐 鸡精 矿泉水 可乐 果汁 啤酒 红酒 白酒 绿茶 咖啡 饼干 巧克力 坚果 薯片 方便面 火腿肠 洗衣液 洗发水 沐浴露 牙膏 牙刷 毛巾 纸巾 保鲜膜 垃圾袋 洗洁精 拖把 扫帚 雨伞 电池 灯泡 插座 充电器 耳机 水杯 饭盒 炒锅 菜刀 砧板 碗 筷子 床单 被子 枕头 拖鞋 袜子 内衣 童装 玩具 绘本 文具 书包 尿不湿 奶粉 奶瓶 湿巾 猫粮 狗粮 鲜花 绿植 苹果 香蕉 橙子 葡萄 西瓜 草莓 蓝莓 芒果 榴莲 土豆 番茄 黄瓜 白菜", thing, " ")
  asked = split("怎么用 在哪领 多少钱 有货吗 什么时候到 能退吗 能换吗 保质期 打折吗 怎么卖 新鲜吗 产地 送货吗 能预订吗 几点有 会员价 满减吗 还有吗 怎么买 有大的吗 有小的吗 能试吗 能自提吗 快递吗 发票 怎么存 怎么做 好吃吗 甜吗 贵吗 便宜点 团购吗 限购吗 缺货吗 补货吗 换购吗 赠品 过期吗 坏了怎么办 质量 尺码 颜色 规格 重量 品牌 进口吗 有机吗 无糖吗 冷藏吗 包邮吗", question, " ")
  for (n = 0; n < rules; n++)
    printf "{\"id\":\"r-%d\",\"keywords\":[\"%s%s\"],\"text\":\"{shop.name|本店}：请稍等，店员马上回复您\"}\n", n, thing[n % things + 1], question[int(n / things) % asked + 1]
}' >"$WORK/replies"
awk -v welcomes="$WELCOMES" 'BEGIN {
  for (n = 0; n < welcomes; n++) printf "{\"id\":\"w-%d\",\"text\":\"欢迎 {member.name}\",\"shops\":[\"s-%d\"]}\n", n, n
}' >"$WORK/welcomes"

# import PATH FILE: every line must be taken.
import() {
  curl --silent --show-error --fail-with-body --max-time 120 --request POST --header "Authorization: Bearer $GATEWAY_TOKEN" \
    --header 'Content-Type: application/x-ndjson' --data-binary "@$2" --output "$WORK/answers" "$GATEWAY_URL$1" \
    || fail "POST $1 was refused: $(head -c 500 "$WORK/answers")"
  ! grep -v '"status":"created"' "$WORK/answers" >&2 || fail "a line of $2 was not taken"
}

# write PATH BODY: one document.
write() {
  curl --silent --show-error --fail-with-body --max-time 60 --request PUT --header "Authorization: Bearer $GATEWAY_TOKEN" \
    --header 'Content-Type: application/json' --data "$2" --output "$WORK/answers" "$GATEWAY_URL$1" \
    || fail "PUT $1 was refused: $(head -c 500 "$WORK/answers")"
}

# run ROUND LABEL MODE...: one fresh gateway, one run of the load.
run() {
  local round="$1" label="$2" mode="$3"
  shift 3
  if [[ "$label" == with ]]; then
    # The load says the same lines in every group within seconds, as nobody does: all of it would be cases.
    MENSHEN_CONDUCT__FLOOD_LINKS_MAX=20 MENSHEN_CONDUCT__NEWCOMERS__PROBATION=24h MENSHEN_CONDUCT__JOIN_WAVE_MAX=10000 \
      MENSHEN_FLEET__CASE_GROUPS_MIN=100000 MENSHEN_FLEET__CASE_GROUPS_MAX=100000 start_gateway
    import /v1/replies "$WORK/replies"
    import /v1/welcomes "$WORK/welcomes"
    write /v1/journeys/first-week '{"start": "member_joined", "steps": [{"id": "d3", "after": "3d", "only_if": "silent", "text": "{member.name}，需要帮忙吗？"}]}'
    write /v1/policies/standard '{"ladder": {"steps": [{"at": 1, "do": "warn"}, {"at": 3, "do": "mute", "for": "10m"}]}}'
  else
    MENSHEN_CONDUCT__FLOOD_MESSAGES_MAX=0 MENSHEN_FLEET__CASE_GROUPS_MIN=0 MENSHEN_QUESTIONS__ENABLED=false start_gateway
  fi
  client events --url "$GATEWAY_URL" --token "$GATEWAY_TOKEN" "${COMMON[@]}" --append "$WORK/$mode" --verify \
    --server-pid "$GATEWAY_PID" --label "$label" --round "$round" "$@"
  stop_gateway
}

for ((round = 1; round <= ROUNDS; round++)); do
  say "round $round of $ROUNDS"
  order=(without with)
  ((round % 2 == 1)) || order=(with without)
  for label in "${order[@]}"; do
    [[ " $MODES " != *" single "* ]] || run "$round" "$label" single --mode single
    [[ " $MODES " != *" ndjson-100 "* ]] || run "$round" "$label" ndjson-100 --mode ndjson --batch 100
  done
done

machine
echo "$RULES reply rules, $WELCOMES welcomes, conduct, a journey, cases and questions; $GROUPS_COUNT groups, $CONNECTIONS connections, $LENGTH a run, lines: $LINES_FROM"
for mode in $MODES; do
  echo "$mode"
  "$LOADTEST_BIN" compare --reference without "$WORK/$mode"
done
((FAILED == 0)) || say "something did not agree: see above"
exit "$FAILED"
