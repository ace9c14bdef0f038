//! Rules over several keys. What one value alone must satisfy belongs to its own type.

use super::layers::{Leaf, source_of};
use super::{Config, Problem};

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
    broken
}
