//! What we see of a group, and what follows from that.

use super::{Facts, Kept, Promise, PromiseName, own};

pub(super) fn protection(facts: &Facts<'_>) -> Promise {
    let draft =
        own(PromiseName::Protection, "实时守护", "the gateway's own watch over callbacks and rosters");
    match &facts.unprotected {
        None => draft.say(
            Kept::Yes,
            "正在守护：平台的通知能送到我们这里，没有发现遗漏。",
            "On guard: the platform's notifications reach us, and nothing is known to be missing.",
        ),
        Some(trouble) => draft
            .say(
                Kept::No,
                format!("暂未守护：{}", trouble.zh),
                format!("Not protected at the moment: {}", trouble.en),
            )
            .since(trouble.since_ms),
    }
}

pub(super) fn block_before(facts: &Facts<'_>) -> Promise {
    let draft = facts.promise(PromiseName::BlockBefore, "发出前拦截", "can_block_before");
    match (facts.capabilities.can_block_before, facts.capabilities.gives_message_text) {
        (true, true) => draft.say(
            Kept::Yes,
            "违规消息在群成员看到之前就被拦下。",
            "A message with a listed word is stopped before members see it.",
        ),
        (true, false) => draft.say(
            Kept::No,
            "平台肯等我们的判定，但不把消息内容给我们，无从判断。",
            "The platform would wait for our verdict but does not show us the text, so there is nothing to judge.",
        ),
        (false, _) => draft.say(
            Kept::No,
            "平台不会等我们判断：消息一发出，群成员就能看到。",
            "The platform does not wait for us: members see a message the moment it is sent.",
        ),
    }
}

pub(super) fn judging(facts: &Facts<'_>) -> Promise {
    let draft = facts.promise(PromiseName::Judging, "违规识别", "gives_message_text");
    if facts.capabilities.gives_message_text {
        draft.say(
            Kept::Yes,
            "群里每条消息都按词库判定，命中的词和原因可以查到。",
            "Every message is judged by the wordlists; which word matched, and why, can be looked up.",
        )
    } else {
        draft.say(
            Kept::No,
            "平台不把群消息给我们，所以看不到也判不了群里说了什么。请群主或群管理员留意，发现违规在客户端处理。",
            "The platform does not give us the group's messages, so nothing said there is seen or judged. The owner or \
             an admin has to keep an eye on it and act in the client.",
        )
    }
}

pub(super) fn conduct(facts: &Facts<'_>) -> Promise {
    let can = &facts.capabilities;
    let flag = if can.gives_message_text { "gives_member_ids" } else { "gives_message_text" };
    let draft = facts.promise(PromiseName::Conduct, "防刷屏、防同一广告刷多群", flag);
    match (can.gives_message_text, can.gives_member_ids) {
        (true, true) => draft.say(
            Kept::Yes,
            "同一个人短时间刷屏、同一段广告出现在多个群，都会被发现。",
            "Somebody flooding the group, and the same advert in many groups, are noticed.",
        ),
        (true, false) => draft.say(
            Kept::Partly,
            "同一段广告出现在多个群能发现；平台不告诉我们是谁发的，所以识别不了个人刷屏。",
            "The same advert in many groups is noticed; the platform does not say who wrote, so one person's flood is not.",
        ),
        (false, _) => draft.say(
            Kept::No,
            "看不到群消息，发现不了刷屏和广告。",
            "Without the group's messages, floods and adverts go unnoticed.",
        ),
    }
}

pub(super) fn roster(facts: &Facts<'_>) -> Promise {
    let draft = facts.promise(PromiseName::Roster, "成员名单", "gives_member_ids");
    match (facts.capabilities.gives_member_ids, &facts.unprotected) {
        (true, None) => draft.say(
            Kept::Yes,
            "谁在群里、什么时候怎么进的群，都有记录。",
            "Who is in the group, since when and by which way, is on record.",
        ),
        (true, Some(trouble)) => draft
            .say(
                Kept::Partly,
                "名单可能缺最近的变动；恢复后会和平台核对补齐。",
                "The latest changes may be missing from the list; it is compared with the platform's once that is possible.",
            )
            .since(trouble.since_ms),
        (false, _) => draft.say(
            Kept::No,
            "平台不告诉我们这类群里有谁。",
            "The platform does not tell who is in groups of this kind.",
        ),
    }
}

pub(super) fn joins_and_leaves(facts: &Facts<'_>) -> Promise {
    let draft = facts.promise(PromiseName::JoinsAndLeaves, "入群退群统计", "gives_member_ids");
    match (facts.capabilities.gives_member_ids, &facts.unprotected) {
        (true, None) => draft.say(
            Kept::Yes,
            "每次入群、退群各计一次，不重不漏。",
            "Each join and each leave is counted exactly once.",
        ),
        (true, Some(trouble)) => draft
            .say(
                Kept::Partly,
                "这段时间的进出要等恢复后核对名单才能补上；补记的退群只知道不晚于核对的时间。",
                "Joins and leaves of this time are added once the lists can be compared; a leave found that way is only \
                 known to have happened by then.",
            )
            .since(trouble.since_ms),
        (false, _) => draft.say(
            Kept::No,
            "平台不通知这类群的进出，没有数据，报表里显示为空而不是 0。",
            "The platform does not tell of joins and leaves here; reports show nothing rather than 0.",
        ),
    }
}

pub(super) fn message_numbers(facts: &Facts<'_>) -> Promise {
    let can = &facts.capabilities;
    let draft = facts.promise(PromiseName::MessageNumbers, "消息统计", "gives_message_text");
    match (can.gives_message_text, can.gives_member_ids) {
        (true, true) => draft.say(
            Kept::Yes,
            "消息数、发言人数按小时和按天统计。",
            "Messages and people who spoke are counted by hour and day.",
        ),
        (true, false) => draft.say(
            Kept::Partly,
            "消息数能统计；平台不告诉我们是谁发的，发言人数没有数据。",
            "Messages are counted; who spoke is not known, so people who spoke are not.",
        ),
        (false, _) => draft.say(
            Kept::No,
            "看不到群消息，消息数和发言人数没有数据，报表里显示为空而不是 0。",
            "Without the group's messages there are no numbers on them; reports show nothing rather than 0.",
        ),
    }
}
