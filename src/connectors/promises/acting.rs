//! What we can do in a group, and say.

use super::{Facts, Kept, Promise, PromiseName, StaffWords, own};
use crate::connectors::ContentType;

pub(super) fn recall(facts: &Facts<'_>) -> Promise {
    let draft = facts.promise(PromiseName::Recall, "撤回", "can_recall");
    match (facts.capabilities.can_recall, facts.capabilities.can_edit) {
        (true, true) => draft.say(
            Kept::Yes,
            "违规消息可以撤回；群发错了可以撤回，也可以改正。",
            "A message that breaks the rules can be withdrawn; a broadcast can be withdrawn or corrected.",
        ),
        (true, false) => draft.say(
            Kept::Yes,
            "违规消息可以撤回；群发错了可以撤回，但不能改正。",
            "A message that breaks the rules can be withdrawn; a broadcast can be withdrawn but not corrected.",
        ),
        (false, true) => draft.say(
            Kept::Partly,
            "平台没有撤回别人消息的接口，请群主或群管理员在客户端删除；群发错了可以改正。",
            "The platform has no way for us to withdraw somebody's message; the owner or an admin can in the client. A \
             broadcast can be corrected.",
        ),
        (false, false) => draft.say(
            Kept::No,
            "平台没有撤回消息的接口，群发出去的也收不回；请群主或群管理员在客户端删除。",
            "The platform has no way for us to withdraw a message, our own broadcasts included; the owner or an admin \
             can in the client.",
        ),
    }
}

pub(super) fn mute(facts: &Facts<'_>) -> Promise {
    let draft = facts.promise(PromiseName::Mute, "禁言", "can_mute");
    if facts.capabilities.can_mute {
        draft.say(Kept::Yes, "可以让群成员暂时不能发言。", "A member can be kept from speaking for a time.")
    } else {
        draft.say(
            Kept::No,
            "平台没有禁言的接口；需要时由群主在客户端处理。",
            "The platform has no way for us to mute; the owner can act in the client.",
        )
    }
}

pub(super) fn remove(facts: &Facts<'_>) -> Promise {
    let draft = facts.promise(PromiseName::Remove, "移出", "can_remove");
    if facts.capabilities.can_remove {
        draft.say(
            Kept::Yes,
            "可以把成员移出群；次数有上限，超过的转人工确认。",
            "A member can be taken out; how often is capped, and what is beyond waits for a person.",
        )
    } else {
        draft.say(
            Kept::No,
            "平台没有移出成员的接口；我们会记录并提醒，移出由群主在客户端操作。",
            "The platform has no way for us to take a member out; we record and remind, the owner does it in the client.",
        )
    }
}

pub(super) fn staff_interception(facts: &Facts<'_>) -> Promise {
    let source = "whether the platform offers word rules for staff, and what was handed to it";
    let draft = own(PromiseName::StaffInterception, "员工违规词拦截", source);
    match (facts.staff_words, facts.capabilities.can_block_before) {
        (_, true) => draft.say(
            Kept::Yes,
            "员工发的消息同样在发出前判定。",
            "What staff write is judged before it is shown as well.",
        ),
        (StaffWords::NotOffered, false) => draft.say(
            Kept::No,
            "平台没有员工敏感词接口；员工的消息只能事后判定。",
            "The platform has no word rules for staff; what they write can only be judged afterwards.",
        ),
        (StaffWords::Nothing, false) => draft.say(
            Kept::No,
            "平台支持员工敏感词拦截，但还没有下发任何词。在策略里写上 push_down（下发到哪些部门或员工）即可启用。",
            "The platform can stop listed words in what staff send, but no word was handed to it yet: add `push_down` \
             with departments or staff to a policy.",
        ),
        (StaffWords::Pushed { words, left_out: 0, since_ms }, false) => draft
            .say(
                Kept::Partly,
                format!("已下发 {words} 个词，员工发送时由平台拦截或提醒；平台只认原词，也不回报命中，所以没有命中统计。"),
                format!(
                    "{words} words were handed to the platform, which stops or warns staff by itself. It matches words \
                     as written only and reports no hits, so there are no numbers on them."
                ),
            )
            .since(since_ms),
        (StaffWords::Pushed { words, left_out, since_ms }, false) => draft
            .say(
                Kept::Partly,
                format!(
                    "已下发 {words} 个词，另有 {left_out} 个词放不下（平台限制），清单见账号的拦截页；平台只认原词，也不回报命中。"
                ),
                format!(
                    "{words} words were handed to the platform; {left_out} do not fit its limits and are listed on the \
                     account's interception page. It matches words as written only and reports no hits."
                ),
            )
            .since(since_ms),
    }
}

/// Chinese characters take three bytes each.
const BYTES_A_CHARACTER: usize = 3;

pub(super) fn posting(facts: &Facts<'_>) -> Promise {
    let can = &facts.capabilities;
    let draft = facts.promise(PromiseName::Posting, "主动发言", "can_post_into_group");
    let characters = can.max_text_bytes / BYTES_A_CHARACTER;
    if !can.can_post_into_group {
        let (zh, en) = if facts.robots > 0 {
            (
                format!("账号另有 {} 个内部群机器人，可以马上通知店员。", facts.robots),
                format!(" {} internal groups have a robot that can tell staff at once.", facts.robots),
            )
        } else {
            (String::new(), String::new())
        };
        return draft.say(
            Kept::No,
            format!("平台不允许程序直接在这类群里说话，要由店员在客户端发送。{zh}"),
            format!("The platform lets no program speak in groups of this kind; a person sends it in the client.{en}"),
        );
    }
    draft.say(
        Kept::Yes,
        format!("可以直接在群里说话，一次最多约 {characters} 个汉字（{} 字节）。", can.max_text_bytes),
        format!("We can speak in the group, up to {} bytes of text at a time.", can.max_text_bytes),
    )
}

pub(super) fn rich_content(facts: &Facts<'_>) -> Promise {
    let can = &facts.capabilities;
    let draft = facts.promise(PromiseName::RichContent, "图文内容", "content_types");
    let rich: Vec<_> = can.content_types.iter().copied().filter(|kind| *kind != ContentType::Text).collect();
    if rich.is_empty() {
        let (zh, en) = if can.content_types.is_empty() {
            ("这里什么内容都发不了。", "Nothing can be sent here.")
        } else {
            ("只能发文字。", "Only text can be sent.")
        };
        return draft.say(Kept::No, zh, en);
    }
    let (zh, en) = words(&rich);
    if can.sends_need_confirmation {
        return draft.say(
            Kept::Yes,
            format!("群发任务里除文字外还可以带：{zh}。"),
            format!("A broadcast's task takes besides text: {en}."),
        );
    }
    draft.say(Kept::Yes, format!("除文字外还可以发：{zh}。"), format!("Besides text: {en}."))
}

/// Lists kinds of content in both languages.
pub(super) fn words(kinds: &[ContentType]) -> (String, String) {
    let zh: Vec<_> = kinds.iter().map(|kind| word(*kind).0).collect();
    let en: Vec<_> = kinds.iter().map(|kind| word(*kind).1).collect();
    (zh.join("、"), en.join(", "))
}

fn word(kind: ContentType) -> (&'static str, &'static str) {
    match kind {
        ContentType::Text => ("文字", "text"),
        ContentType::Markdown => ("带格式的文字", "text with marks"),
        ContentType::Image => ("图片", "pictures"),
        ContentType::Video => ("视频", "films"),
        ContentType::File => ("文件", "files"),
        ContentType::Link => ("链接", "links"),
        ContentType::Miniprogram => ("小程序", "mini programs"),
        ContentType::Voice => ("语音", "recordings"),
        ContentType::News => ("多条图文", "several links in one"),
        ContentType::Card => ("卡片", "cards"),
        ContentType::Reference => ("按网址发的文件", "files by address"),
    }
}

pub(super) fn broadcast(facts: &Facts<'_>) -> Promise {
    let can = &facts.capabilities;
    if can.sends_need_confirmation {
        let draft = facts.promise(PromiseName::Broadcast, "群发", "sends_need_confirmation");
        return match facts.owner {
            Some(owner) => draft.say(
                Kept::Partly,
                format!(
                    "群发会变成群主（{owner}）的待办：TA 在客户端点确认后才真正发出；不确认就不会发，完成时间只能估计。"
                ),
                format!(
                    "A broadcast becomes a task of the owner ({owner}), who has to confirm it in the client. What is not \
                     confirmed is not sent, so the finish can only be estimated."
                ),
            ),
            None => draft.say(
                Kept::No,
                "群发要由群主确认，但还不知道这个群的群主是谁；同步名单后即可。",
                "A broadcast has to be confirmed by the owner, and who owns this group is not known yet: sync the rosters.",
            ),
        };
    }
    let draft = facts.promise(PromiseName::Broadcast, "群发", "can_post_into_group");
    if can.can_post_into_group {
        draft.say(
            Kept::Yes,
            format!("群发直接送达，每个群最多一次，一次最多 {} 字节。", can.max_text_bytes),
            format!("A broadcast arrives by itself, at most once, up to {} bytes.", can.max_text_bytes),
        )
    } else {
        draft.say(Kept::No, "这类群不能群发。", "A broadcast cannot reach groups of this kind.")
    }
}

pub(super) fn staff_notices(facts: &Facts<'_>) -> Promise {
    let source = "what the account can do one to one, and its robots";
    let draft = own(PromiseName::StaffNotices, "店员通知", source);
    match (facts.reaches_staff, facts.robots) {
        (true, 0) => {
            draft.say(Kept::Yes, "可以一对一给店员发通知。", "Staff can be told something one to one.")
        }
        (true, robots) => draft.say(
            Kept::Yes,
            format!("可以一对一给店员发通知，也可以通过 {robots} 个内部群机器人通知。"),
            format!("Staff can be told something one to one, and in {robots} internal groups with a robot."),
        ),
        (false, 0) => {
            draft.say(Kept::No, "没有能通知店员的渠道。", "There is no way to tell staff something.")
        }
        (false, robots) => draft.say(
            Kept::Partly,
            format!("只能通过 {robots} 个内部群机器人通知，不能一对一。"),
            format!("Only in {robots} internal groups with a robot, not one to one."),
        ),
    }
}
