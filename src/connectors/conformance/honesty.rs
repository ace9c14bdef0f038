//! Promises about what it says of itself.

use super::Rig;
use crate::outbox::limit::{AccountLimits, Limit};

/// The flags, as they are spelled in the API.
fn flags() -> Vec<String> {
    let can = crate::connectors::Capabilities {
        can_block_before: false,
        can_recall: false,
        can_edit: false,
        can_mute: false,
        can_remove: false,
        can_post_into_group: false,
        can_welcome_by_code: false,
        sends_need_confirmation: false,
        gives_member_ids: false,
        gives_message_text: false,
        max_text_bytes: 0,
        content_types: &[],
        welcome_content_types: &[],
    };
    let can = serde_json::to_value(can).unwrap();
    can.as_object().unwrap().keys().cloned().collect()
}

pub(in crate::connectors) async fn every_flag_has_a_source<R: Rig>(rig: &R) {
    let sources = rig.connect().sources();
    for flag in flags() {
        let found: Vec<_> = sources.iter().filter(|source| source.flag == flag).collect();
        let [source] = found.as_slice() else { panic!("`{flag}` has {} sources", found.len()) };
        assert!(source.source.len() > 10, "`{flag}`: {}", source.source);
    }
    for source in sources {
        assert!(flags().iter().any(|flag| flag == source.flag), "`{}` is no flag", source.flag);
    }
}

pub(in crate::connectors) async fn limits_can_be_read<R: Rig>(rig: &R) {
    let connector = rig.connect();
    AccountLimits::parse(connector.limits_default()).unwrap();
    for preset in connector.limit_presets() {
        let limit: Limit = preset.limit.parse().unwrap_or_else(|error| panic!("{}: {error}", preset.of));
        assert_eq!(limit.to_string(), preset.limit, "{}", preset.of);
        assert!(!preset.of.is_empty() && preset.source.len() > 10, "{preset:?}");
    }
}

pub(in crate::connectors) async fn offers_match_the_flags<R: Rig>(rig: &R) {
    let connector = rig.connect();
    let can = connector.capabilities_of(&rig.group());
    assert_eq!(connector.mass_sends().is_some(), can.sends_need_confirmation);
    assert_eq!(connector.capabilities(), can, "`capabilities` speaks of this kind of group");
    assert!(can.max_text_bytes > 0);
    if can.can_block_before {
        assert!(can.gives_message_text, "what is not seen cannot be blocked");
    }
    if can.sends_need_confirmation {
        assert!(!can.can_post_into_group, "what a person must confirm we do not say ourselves");
    }
    let life = connector.welcome_code_life();
    assert_eq!(life.is_some(), can.can_welcome_by_code, "a code lives for some time");
    assert!(life.is_none_or(|life| !life.is_zero()));
    if let Some(mass) = connector.mass_sends() {
        assert!(mass.targets_max() > 0);
    }
    if let Some(templates) = connector.welcome_templates() {
        assert!(templates.templates_max() > 0);
    }
    if let Some(interception) = connector.staff_interception() {
        let (rules, words, characters) = interception.limits();
        assert!(rules > 0 && words > 0 && characters > 0);
    }
}
