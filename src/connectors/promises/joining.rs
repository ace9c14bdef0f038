//! How newcomers and customers are answered.

use super::acting::words;
use super::{Facts, Greeting, Kept, Promise, PromiseName};

pub(super) fn keyword_replies(facts: &Facts<'_>) -> Promise {
    let can = &facts.capabilities;
    let flag = if can.gives_message_text { "can_post_into_group" } else { "gives_message_text" };
    let draft = facts.promise(PromiseName::KeywordReplies, "关键词自动回复", flag);
    match (can.gives_message_text, can.can_post_into_group) {
        (true, true) => draft.say(
            Kept::Yes,
            "客户说到关键词，群里自动回答。",
            "When a customer uses a keyword, the answer comes in the group by itself.",
        ),
        (true, false) => draft.say(
            Kept::No,
            "看得到关键词，但平台不让程序在群里回答。",
            "Keywords are seen, but the platform lets no program answer in the group.",
        ),
        (false, _) => draft.say(
            Kept::No,
            "平台不把群消息给我们，没法按关键词回复；可以在平台后台设置它自带的关键词回复。",
            "The platform does not give us the group's messages, so keywords go unseen; its own keyword replies can be \
             set up in its console.",
        ),
    }
}

pub(super) fn group_welcome(facts: &Facts<'_>) -> Promise {
    let can = &facts.capabilities;
    if can.can_post_into_group && can.gives_member_ids {
        return facts.promise(PromiseName::GroupWelcome, "入群欢迎语", "can_post_into_group").say(
            Kept::Yes,
            "新成员入群后自动问候；短时间进来多人只问候一次。",
            "New members are greeted by themselves; several at once are greeted together.",
        );
    }
    let flag = if can.can_post_into_group { "gives_member_ids" } else { "can_post_into_group" };
    let draft = facts.promise(PromiseName::GroupWelcome, "入群欢迎语", flag);
    match facts.greeting {
        Greeting::NoLibrary => draft.say(
            Kept::No,
            "这类群不能自动欢迎新成员。",
            "Newcomers cannot be greeted in groups of this kind.",
        ),
        Greeting::Unplanned => draft.say(
            Kept::No,
            "平台可以自动欢迎新成员，但还没有给这个群安排欢迎语模板。",
            "The platform can greet newcomers, but no welcome template is planned for this group.",
        ),
        Greeting::ToDo(template) => draft.say(
            Kept::No,
            format!(
                "欢迎语模板“{template}”已备好，要群主在客户端打开群设置、选用它才会生效；还没有人确认已选用。"
            ),
            format!(
                "The template \"{template}\" is ready; it works once the owner picks it in the group's settings in the \
                 client, and nobody has confirmed that yet."
            ),
        ),
        Greeting::Marked(template, at_ms) => draft
            .say(
                Kept::Partly,
                format!("有人确认群主已选用欢迎语模板“{template}”，由平台发送；平台不告诉我们现在是否仍在用。"),
                format!(
                    "Somebody confirmed that the owner picked the template \"{template}\"; the platform sends it and does \
                     not tell us whether it is still in use."
                ),
            )
            .since(at_ms),
    }
}

pub(super) fn contact_welcome(facts: &Facts<'_>) -> Promise {
    let draft = facts.promise(PromiseName::ContactWelcome, "新客欢迎语", "can_welcome_by_code");
    if facts.capabilities.can_welcome_by_code {
        let (zh, en) = match facts.capabilities.welcome_content_types {
            [] => ("不能带附件".to_owned(), "Nothing can go with it".to_owned()),
            kinds => {
                let (zh, en) = words(kinds);
                (
                    format!("可以附带：{zh}，其他附件会略去"),
                    format!("With it can go: {en}; other attachments are left out"),
                )
            }
        };
        draft.say(
            Kept::Yes,
            format!("客户加店员为好友时自动发一条欢迎语；平台只给几秒到二十秒，过时不补。{zh}。"),
            format!(
                "A customer who adds a member of staff is greeted once; the platform allows seconds for it, and a greeting \
                 that is late is not sent. {en}."
            ),
        )
    } else {
        draft.say(
            Kept::No,
            "平台不支持客户加好友时由程序发欢迎语。",
            "The platform lets no program greet a customer who adds a member of staff.",
        )
    }
}
