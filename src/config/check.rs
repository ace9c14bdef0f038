//! Rules over several keys. What one value alone must satisfy belongs to its own type.

use std::time::Duration;

use super::layers::{Leaf, source_of};
use super::{Config, Problem};
use crate::conduct::{PROBATION_MAX, TIMES_MAX, WINDOW_MAX};
use crate::near::{LANES, near_min};

/// A rule that the configuration breaks.
struct Broken {
    /// The key to change, first; then the others it is about.
    keys: &'static [&'static str],
    value: String,
    detail: String,
    remedy: String,
}

/// Applies every rule. One about a key that already has a problem is left out: it would speak of the default instead.
pub(super) fn check(config: &Config, problems: &[Problem], leaves: &[Leaf]) -> Vec<Problem> {
    let known_bad = |key: &&str| problems.iter().any(|problem| problem.key == **key);
    rules(config)
        .into_iter()
        .filter(|broken| !broken.keys.iter().any(known_bad))
        .map(|broken| Problem {
            key: broken.keys.first().copied().unwrap_or_default().to_owned(),
            source: broken
                .keys
                .iter()
                .map(|key| source_of(leaves, key))
                .max_by_key(rank)
                .unwrap_or(super::Source::Default),
            value: Some(broken.value),
            detail: broken.detail,
            remedy: broken.remedy,
        })
        .collect()
}

/// What the operator wrote says more about a contradiction than what we wrote.
fn rank(source: &super::Source) -> u8 {
    u8::from(*source != super::Source::Default)
}

fn rules(config: &Config) -> Vec<Broken> {
    let mut broken = Vec::new();
    server(config, &mut broken);
    sending(config, &mut broken);
    pacing(config, &mut broken);
    callbacks(config, &mut broken);
    sizes(config, &mut broken);
    evidence(config, &mut broken);
    hook(config, &mut broken);
    subscriptions(config, &mut broken);
    conduct(config, &mut broken);
    alerts(config, &mut broken);
    if config.fleet.case_groups_min > config.fleet.case_groups_max {
        broken.push(Broken {
            keys: &["fleet.case_groups_max", "fleet.case_groups_min"],
            value: config.fleet.case_groups_max.to_string(),
            detail: "less than `fleet.case_groups_min`: no case could name its groups".to_owned(),
            remedy: format!("raise it to {} at least", config.fleet.case_groups_min),
        });
    }
    let least = near_min(2);
    if config.fleet.near_min > 0 && !(least..=LANES).contains(&config.fleet.near_min) {
        broken.push(Broken {
            keys: &["fleet.near_min"],
            value: config.fleet.near_min.to_string(),
            detail: format!("texts are near with {least} to {LANES} of {LANES} numbers in common"),
            remedy: format!("write {least} to {LANES}, or 0 for equal texts only"),
        });
    }
    broken
}

fn alerts(config: &Config, broken: &mut Vec<Broken>) {
    if let Err(detail) = config.alerts.life.check() {
        broken.push(Broken {
            keys: &["alerts.life"],
            value: "its keys".to_owned(),
            detail,
            remedy: "see `menshen config default` for values that work".to_owned(),
        });
    }
    if config.alerts.watch.members_max == 0 {
        broken.push(Broken {
            keys: &["alerts.watch.members_max"],
            value: "0".to_owned(),
            detail: "every group would be full".to_owned(),
            remedy: "write how many members your platform allows, like 500".to_owned(),
        });
    }
    if let Err((key, detail)) = config.alerts.kinds.check() {
        broken.push(Broken {
            keys: &["alerts.kinds"],
            value: format!("`{key}`"),
            detail: format!("`{key}` {detail}"),
            remedy: "see `menshen config default` for values that work".to_owned(),
        });
    }
}

fn conduct(config: &Config, broken: &mut Vec<Broken>) {
    let conduct = &config.conduct;
    let new = &conduct.newcomers;
    let most: [(&'static [&'static str], usize); 8] = [
        (&["conduct.flood_messages_max"], conduct.flood_messages_max),
        (&["conduct.flood_links_max"], conduct.flood_links_max),
        (&["conduct.flood_images_max"], conduct.flood_images_max),
        (&["conduct.flood_mentions_max"], conduct.flood_mentions_max),
        (&["conduct.newcomers.messages_max"], new.messages_max),
        (&["conduct.newcomers.links_max"], new.links_max),
        (&["conduct.newcomers.images_max"], new.images_max),
        (&["conduct.newcomers.mentions_max"], new.mentions_max),
    ];
    for (keys, max) in most.into_iter().filter(|(_, max)| *max > TIMES_MAX) {
        broken.push(Broken {
            keys,
            value: max.to_string(),
            detail: format!("{TIMES_MAX} messages are remembered of a member, so it would never be reached"),
            remedy: format!("{TIMES_MAX} at most; 0 switches the limit off"),
        });
    }
    let longest: [(&'static [&'static str], Duration, Duration); 2] = [
        (&["conduct.flood_window"], conduct.flood_window, WINDOW_MAX),
        (&["conduct.newcomers.probation"], new.probation, PROBATION_MAX),
    ];
    for (keys, length, max) in longest.into_iter().filter(|(_, length, max)| length > max) {
        broken.push(Broken {
            keys,
            value: quoted(length),
            detail: "longer than it is remembered".to_owned(),
            remedy: format!("{} at most", quoted(max)),
        });
    }
}

fn evidence(config: &Config, broken: &mut Vec<Broken>) {
    if config.evidence.enabled && config.directory.key.is_none() {
        broken.push(Broken {
            keys: &["evidence.enabled", "directory.key", "directory.key_file"],
            value: "true".to_owned(),
            detail: "no key is configured, and one that lies beside the data protects nothing".to_owned(),
            remedy: "make one with `openssl rand -base64 32 > /etc/menshen/key` (mode 0600) and name it in \
                     `directory.key_file`; where the data directory has a file `key`, add its lines below the new one"
                .to_owned(),
        });
    }
    if config.questions.keep_text && !config.evidence.enabled {
        broken.push(Broken {
            keys: &["questions.keep_text", "evidence.enabled"],
            value: "true".to_owned(),
            detail: "no text is kept at all while `evidence.enabled` is false".to_owned(),
            remedy: "set `evidence.enabled = true` too".to_owned(),
        });
    }
    if config.evidence.history && !config.evidence.enabled {
        broken.push(Broken {
            keys: &["evidence.history", "evidence.enabled"],
            value: "true".to_owned(),
            detail: "no text is kept at all while `evidence.enabled` is false".to_owned(),
            remedy: "set `evidence.enabled = true` too".to_owned(),
        });
    }
    if config.reviews.keep < config.reviews.lapse_after {
        broken.push(Broken {
            keys: &["reviews.keep", "reviews.lapse_after"],
            value: quoted(config.reviews.keep),
            detail: "shorter than `reviews.lapse_after`: what lapses would be forgotten at once".to_owned(),
            remedy: format!("{} at least", quoted(config.reviews.lapse_after)),
        });
    }
}

fn server(config: &Config, broken: &mut Vec<Broken>) {
    let server = &config.server;
    if server.listen == server.metrics_listen && server.listen.port() != 0 {
        broken.push(Broken {
            keys: &["server.metrics_listen", "server.listen"],
            value: format!("\"{}\"", server.metrics_listen),
            detail: "the same address as `server.listen`".to_owned(),
            remedy: "give metrics and health a port of their own".to_owned(),
        });
    }
    if server.data_dir.as_os_str().is_empty() {
        broken.push(Broken {
            keys: &["server.data_dir"],
            value: "\"\"".to_owned(),
            detail: "no directory".to_owned(),
            remedy: "name a directory for everything durable, like \"/var/lib/menshen\"".to_owned(),
        });
    }
    if config.drain.timeout.is_zero() {
        broken.push(Broken {
            keys: &["drain.timeout"],
            value: "\"0s\"".to_owned(),
            detail: "every send in flight would become uncertain at each stop".to_owned(),
            remedy: "give them some seconds, like \"25s\"".to_owned(),
        });
    }
}

fn sending(config: &Config, broken: &mut Vec<Broken>) {
    let (connectors, keep) = (&config.connectors, config.storage.deliveries_keep);
    if connectors.connect_timeout > connectors.total_timeout {
        broken.push(Broken {
            keys: &["connectors.connect_timeout", "connectors.total_timeout"],
            value: quoted(connectors.connect_timeout),
            detail: "longer than `connectors.total_timeout`, so it would never apply".to_owned(),
            remedy: format!("{} at most", quoted(connectors.total_timeout)),
        });
    }
    if config.outbox.call_timeout <= connectors.total_timeout {
        broken.push(Broken {
            keys: &["outbox.call_timeout", "connectors.total_timeout"],
            value: quoted(config.outbox.call_timeout),
            detail: "calls would be uncertain before the connector can say what became of them".to_owned(),
            remedy: format!("more than `connectors.total_timeout`: {}", quoted(connectors.total_timeout)),
        });
    }
    // A delivery forgotten while it may still be sent would be taken for a new one after a restart.
    let longest = config.replies.expiry.max(config.welcomes.expiry).max(config.journeys.expiry);
    let longest = longest.max(config.notices.expiry);
    if keep <= longest {
        broken.push(Broken {
            keys: &[
                "storage.deliveries_keep",
                "replies.expiry",
                "welcomes.expiry",
                "journeys.expiry",
                "notices.expiry",
            ],
            value: quoted(keep),
            detail: "replies, welcomes, journeys and notices may wait longer than they are remembered"
                .to_owned(),
            remedy: format!("more than {}", quoted(longest)),
        });
    }
}

/// Limits inside each other: one above the limit that contains it would never be reached, and the operator who raised it
/// would wonder why nothing changed.
fn sizes(config: &Config, broken: &mut Vec<Broken>) {
    let (ingest, api) = (&config.ingest, &config.api);
    // In JSON three bytes of a file are four characters.
    let media = config.notices.media_bytes_max.saturating_add(2) / 3 * 4;
    let pairs: [(&'static [&'static str], usize, usize); 6] = [
        (&["notices.media_bytes_max", "api.body_bytes_max"], media, api.body_bytes_max),
        (&["ingest.text_bytes_max", "ingest.line_bytes_max"], ingest.text_bytes_max, ingest.line_bytes_max),
        (
            &["ingest.line_bytes_max", "ingest.decoded_bytes_max"],
            ingest.line_bytes_max,
            ingest.decoded_bytes_max,
        ),
        (
            &["ingest.body_bytes_max", "ingest.decoded_bytes_max"],
            ingest.body_bytes_max,
            ingest.decoded_bytes_max,
        ),
        (
            &["ingest.decoded_bytes_max", "ingest.in_flight_bytes_max"],
            ingest.decoded_bytes_max,
            ingest.in_flight_bytes_max,
        ),
        (&["api.page_rows_default", "api.page_rows_max"], api.page_rows_default, api.page_rows_max),
    ];
    for (keys, inner, outer) in pairs {
        if inner > outer {
            let outer_key = keys.last().copied().unwrap_or_default();
            broken.push(Broken {
                keys,
                value: inner.to_string(),
                detail: format!("more than `{outer_key}`, which is {outer}"),
                remedy: format!("lower it, or raise `{outer_key}`"),
            });
        }
    }
    let lanes = &config.outbox.lanes;
    if lanes.normal_share_percent.saturating_add(lanes.bulk_share_percent) >= 100 {
        broken.push(Broken {
            keys: &["outbox.lanes.bulk_share_percent", "outbox.lanes.normal_share_percent"],
            value: lanes.bulk_share_percent.to_string(),
            detail: "with `outbox.lanes.normal_share_percent` it leaves nothing to moderation actions"
                .to_owned(),
            remedy: "keep the two together below 100".to_owned(),
        });
    }
}

fn pacing(config: &Config, broken: &mut Vec<Broken>) {
    let pacing = &config.outbox.pacing;
    let shares: [(&'static [&'static str], u8, u8, u8); 4] = [
        (&["outbox.pacing.urgent_reserve_percent"], pacing.urgent_reserve_percent, 0, 50),
        (&["outbox.pacing.shared_headroom_percent"], pacing.shared_headroom_percent, 0, 50),
        (&["outbox.pacing.learning.regain_percent"], pacing.learning.regain_percent, 1, 100),
        (&["outbox.pacing.learning.rate_percent_min"], pacing.learning.rate_percent_min, 1, 100),
    ];
    for (keys, value, least, most) in shares {
        if !(least..=most).contains(&value) {
            broken.push(Broken {
                keys,
                value: value.to_string(),
                detail: "a share beyond what makes sense, in percent".to_owned(),
                remedy: format!("write {least} at least and {most} at most"),
            });
        }
    }
}

fn hook(config: &Config, broken: &mut Vec<Broken>) {
    let hook = &config.hook;
    if let (Some(url), None) = (&hook.url, &hook.secret) {
        broken.push(Broken {
            keys: &["hook.url", "hook.secret"],
            value: format!("\"{url}\""),
            detail: "there is no `hook.secret` to sign questions with".to_owned(),
            remedy: "give it in hook.secret_file: `whsec_` and 24 to 64 random bytes in base64".to_owned(),
        });
    }
    if hook.timeout.is_zero() {
        broken.push(Broken {
            keys: &["hook.timeout"],
            value: quoted(hook.timeout),
            detail: "no question could ever be answered".to_owned(),
            remedy: "give the hook some time, like \"10s\"".to_owned(),
        });
    }
}

fn subscriptions(config: &Config, broken: &mut Vec<Broken>) {
    let subscriptions = &config.subscriptions;
    for (key, value) in [
        (&["subscriptions.look"], subscriptions.look),
        (&["subscriptions.timeout"], subscriptions.timeout),
        (&["subscriptions.retry_delay"], subscriptions.retry_delay),
    ] {
        if value.is_zero() {
            broken.push(Broken {
                keys: key,
                value: quoted(value),
                detail: "endpoints would be asked without a pause, or never in time".to_owned(),
                remedy: "give some time, like \"1s\"".to_owned(),
            });
        }
    }
    if subscriptions.retry_delay > subscriptions.retry_delay_max {
        broken.push(Broken {
            keys: &["subscriptions.retry_delay", "subscriptions.retry_delay_max"],
            value: quoted(subscriptions.retry_delay),
            detail: "longer than `subscriptions.retry_delay_max`, so it would never apply".to_owned(),
            remedy: format!("{} at most", quoted(subscriptions.retry_delay_max)),
        });
    }
}

fn callbacks(config: &Config, broken: &mut Vec<Broken>) {
    // A callback dated ahead by the tolerance stays acceptable for twice the tolerance.
    let needed = config.connectors.signature_tolerance.saturating_mul(2);
    if config.connectors.replay_window < needed {
        broken.push(Broken {
            keys: &["connectors.replay_window", "connectors.signature_tolerance"],
            value: quoted(config.connectors.replay_window),
            detail: "a callback could be forgotten while its signature still counts".to_owned(),
            remedy: format!("twice `connectors.signature_tolerance` at least: {}", quoted(needed)),
        });
    }
}

fn quoted(duration: Duration) -> String {
    format!("\"{}\"", crate::units::format_duration(duration))
}
