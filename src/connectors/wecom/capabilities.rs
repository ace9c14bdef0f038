//! What WeCom can do in each kind of its groups, each flag with the page it is from (`developer.work.weixin.qq.com`).

use super::kind::GroupKind;
use crate::connectors::{Capabilities, CapabilitySource, ContentType};

/// Longest text of a mass send or of a greeting, in bytes (pages 92135, 92137).
const MASS_SEND_BYTES: usize = 4000;
/// Longest text of a robot's message: 2048 as text; 4096 only as markdown (page 91770 is cited by SDKs).
const ROBOT_BYTES: usize = 2048;
/// Longest text of a message to a group of the app's, or to staff (pages 90248, 90236).
const APP_BYTES: usize = 2048;

/// A customer group: nothing can be taken back, nobody can be muted or removed, and a person confirms each send.
const CUSTOMER: Capabilities = Capabilities {
    can_block_before: false,
    can_recall: false,
    can_edit: false,
    can_mute: false,
    can_remove: false,
    can_post_into_group: false,
    can_welcome_by_code: true,
    sends_need_confirmation: true,
    gives_member_ids: true,
    gives_message_text: false,
    max_text_bytes: MASS_SEND_BYTES,
    // Each goes with a mass send; what lies at an address is fetched and uploaded, recordings aside, which no task takes.
    content_types: &[ContentType::Text, ContentType::Link, ContentType::Miniprogram, ContentType::Reference],
    // The page has pictures, films, files and mini programs too, but by ids of uploads, which a greeting by addresses has not.
    welcome_content_types: &[ContentType::Link],
};

/// The internal group that a robot sits in: one way, in.
const ROBOT: Capabilities = Capabilities {
    can_post_into_group: true,
    can_welcome_by_code: false,
    welcome_content_types: &[],
    sends_need_confirmation: false,
    gives_member_ids: false,
    max_text_bytes: ROBOT_BYTES,
    content_types: &[
        ContentType::Text,
        ContentType::Markdown,
        ContentType::Image,
        ContentType::Link,
        ContentType::News,
        ContentType::File,
        ContentType::Voice,
        ContentType::Card,
    ],
    ..CUSTOMER
};

/// A group that our app made: it alone can be posted into and changed.
const APPCHAT: Capabilities = Capabilities {
    can_remove: true,
    can_post_into_group: true,
    can_welcome_by_code: false,
    welcome_content_types: &[],
    sends_need_confirmation: false,
    gives_member_ids: false,
    max_text_bytes: APP_BYTES,
    content_types: &[
        ContentType::Text,
        ContentType::Markdown,
        ContentType::Image,
        ContentType::Voice,
        ContentType::Video,
        ContentType::File,
        ContentType::Link,
        ContentType::News,
    ],
    ..CUSTOMER
};

/// A member, one to one: staff by the app, a new contact by the code; nobody has to confirm it.
const DIRECT: Capabilities = Capabilities {
    can_post_into_group: true,
    sends_need_confirmation: false,
    max_text_bytes: APP_BYTES,
    content_types: &[
        ContentType::Text,
        ContentType::Markdown,
        ContentType::Image,
        ContentType::Voice,
        ContentType::Video,
        ContentType::File,
        ContentType::Link,
        ContentType::News,
        ContentType::Card,
    ],
    ..CUSTOMER
};

/// Returns what can be done in a kind of group.
pub(super) const fn of(kind: GroupKind<'_>) -> Capabilities {
    match kind {
        GroupKind::Customer(_) => CUSTOMER,
        GroupKind::Robot(_) => ROBOT,
        GroupKind::Appchat(_) => APPCHAT,
        GroupKind::Direct => DIRECT,
    }
}

const fn source(flag: &'static str, source: &'static str) -> CapabilitySource {
    CapabilitySource { flag, source }
}

pub(super) const SOURCES: &[CapabilitySource] = &[
    source(
        "can_block_before",
        "developer.work.weixin.qq.com/document/path/95130: intercept rules act on what staff send, and only the platform applies them; messages of customers are in no callback (92277)",
    ),
    source(
        "can_recall",
        "no interface found that takes a message out of a group; message/recall is for messages of apps to staff",
    ),
    source("can_edit", "no interface found that changes what was sent to a group"),
    source("can_mute", "no interface found; 客户群防骚扰 is a setting of the console and the clients only"),
    source(
        "can_remove",
        "customer groups: no interface found; groups that the app made: developer.work.weixin.qq.com/document/path/98913 (del_user_list)",
    ),
    source(
        "can_post_into_group",
        "customer groups: only a mass send that a person confirms (developer.work.weixin.qq.com/document/path/92135); groups of the app: 98914; robots: their webhook",
    ),
    source("can_welcome_by_code", "developer.work.weixin.qq.com/document/path/92137"),
    source("sends_need_confirmation", "developer.work.weixin.qq.com/document/path/92135"),
    source("gives_member_ids", "developer.work.weixin.qq.com/document/path/92277 (MemChangeList)"),
    source(
        "gives_message_text",
        "developer.work.weixin.qq.com/document/path/92277 has no event for a message; only the paid archive does (91774)",
    ),
    source(
        "max_text_bytes",
        "developer.work.weixin.qq.com/document/path/92135 (4000), 98914 and message/send (2048), the robot's own page (2048 as text)",
    ),
    source(
        "content_types",
        "developer.work.weixin.qq.com/document/path/92135, 98914, message/send, the robot's own page",
    ),
    source("welcome_content_types", "developer.work.weixin.qq.com/document/path/92137 (attachments)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_its_source() {
        let flags = serde_json::to_value(CUSTOMER).unwrap();
        for flag in flags.as_object().unwrap().keys() {
            assert_eq!(SOURCES.iter().filter(|source| source.flag == flag).count(), 1, "{flag}");
        }
        assert_eq!(SOURCES.len(), flags.as_object().unwrap().len());
    }

    #[test]
    fn a_customer_group_promises_nothing_that_the_platform_has_no_interface_for() {
        let group = of(GroupKind::Customer("wr1"));
        let impossible =
            [group.can_block_before, group.can_recall, group.can_edit, group.can_mute, group.can_remove];
        assert_eq!(impossible, [false; 5]);
        assert!(!group.can_post_into_group && group.sends_need_confirmation && !group.gives_message_text);
        assert!(of(GroupKind::Appchat("a")).can_remove && !of(GroupKind::Robot("r")).can_remove);
    }
}
