//! What each member said last, for rules over several messages: in memory only, short, and soon forgotten.
//!
//! Bounded in members, in messages of each, in bytes, and in age. A text is kept folded and only when it is short:
//! the longer one is no piece of a word that somebody split. Of every message the terms of rules that were seen in it
//! are kept, as their stable ids, so that a new ruleset can go on with them.
//!
//! Not for: deciding (the ruleset does). Never written anywhere: what is lost in a crash is a few minutes of hints.
//! Invariant: `now_ms` comes from the caller; nothing older than the expiry is ever given out.

use std::collections::{HashMap, VecDeque};
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::interception::Config;

/// Names one member in one group for the time that messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpeakerKey(u64);

impl SpeakerKey {
    /// Hashes account, group and member under a secret, so that nobody can make two members share a key.
    pub fn new(secret: &[u8; 16], account: &str, group: &str, member: &str) -> Self {
        let mut hasher = SipHasher13::new_with_key(secret);
        for part in [account, group, member] {
            hasher.write(part.as_bytes());
            hasher.write(&[0xFF]);
        }
        Self(hasher.finish())
    }
}

/// What is kept of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The folded text; empty where it is too long to be a piece of a word.
    pub(in crate::interception) folded: Box<str>,
    /// Stable ids of the terms of rules that were seen.
    pub(in crate::interception) parts: Box<[u64]>,
}

/// The last messages of many members.
#[derive(Debug, Default)]
pub struct Recent {
    members: HashMap<SpeakerKey, Ring>,
    /// Members by their last message, the oldest first; entries with an old stamp are skipped.
    order: VecDeque<(SpeakerKey, u64)>,
    stamp: u64,
    bytes: usize,
    /// The expiry that the last message was noted under.
    expiry_ms: i64,
}

#[derive(Debug, Default)]
struct Ring {
    /// With their times, the oldest first.
    messages: VecDeque<(i64, Said)>,
    stamp: u64,
}

/// A member, its ring and its places in the order, about.
const MEMBER_BYTES: usize = 128;

impl Recent {
    /// Returns what a member said lately, the oldest first, with the times. Nothing that is expired.
    pub fn before<'r>(
        &'r self,
        speaker: SpeakerKey,
        now_ms: i64,
        limits: &Config,
    ) -> impl Iterator<Item = (i64, &'r Said)> + use<'r> {
        let since_ms = now_ms.saturating_sub(expiry_ms(limits));
        let messages = self.members.get(&speaker).map(|ring| ring.messages.iter());
        messages.into_iter().flatten().filter(move |(at, _)| *at >= since_ms).map(|(at, said)| (*at, said))
    }

    /// Keeps a message of a member, and forgets what is over a limit: the member's own oldest messages, then the
    /// members who have been silent for longest.
    pub fn note(&mut self, speaker: SpeakerKey, said: Said, now_ms: i64, limits: &Config) {
        let messages_max = limits.recent_messages_max;
        if messages_max == 0 || limits.recent_members_max == 0 {
            return;
        }
        self.stamp += 1;
        self.expiry_ms = expiry_ms(limits);
        let since_ms = now_ms.saturating_sub(self.expiry_ms);
        let ring = self.members.entry(speaker).or_insert_with(|| {
            self.bytes += MEMBER_BYTES;
            Ring::default()
        });
        self.bytes += bytes_of(&said);
        ring.messages.push_back((now_ms, said));
        ring.stamp = self.stamp;
        while ring.messages.len() > messages_max
            || ring.messages.front().is_some_and(|(at, _)| *at < since_ms)
        {
            let Some((_, old)) = ring.messages.pop_front() else { break };
            self.bytes -= bytes_of(&old);
        }
        self.order.push_back((speaker, self.stamp));
        self.forget(since_ms, limits.recent_members_max, limits.recent_bytes_max);
    }

    /// Drops the members all of whose messages have expired: what is never given out need not be held either.
    pub fn sweep(&mut self, now_ms: i64) {
        self.forget(now_ms.saturating_sub(self.expiry_ms), usize::MAX, usize::MAX);
    }

    /// Returns about how many bytes are held.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many members are held.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    fn forget(&mut self, since_ms: i64, members_max: usize, bytes_max: usize) {
        while let Some((speaker, stamp)) = self.order.front().copied() {
            let current = self.members.get(&speaker).filter(|ring| ring.stamp == stamp);
            let stays = current.is_some_and(|ring| {
                let fresh = ring.messages.back().is_some_and(|(at, _)| *at >= since_ms);
                fresh && self.members.len() <= members_max && self.bytes <= bytes_max
            });
            if stays {
                break;
            }
            if current.is_some()
                && let Some(ring) = self.members.remove(&speaker)
            {
                let said: usize = ring.messages.iter().map(|(_, said)| bytes_of(said)).sum();
                self.bytes -= said + MEMBER_BYTES;
            }
            self.order.pop_front();
        }
        // One member who writes much leaves old entries behind the first: at most as many again as members.
        if self.order.len() > 2 * self.members.len() + 16 {
            let members = &self.members;
            self.order.retain(|(speaker, stamp)| members.get(speaker).is_some_and(|r| r.stamp == *stamp));
        }
    }
}

fn bytes_of(said: &Said) -> usize {
    size_of::<(i64, Said)>() + said.folded.len() + size_of_val(&*said.parts)
}

fn expiry_ms(limits: &Config) -> i64 {
    i64::try_from(limits.recent_expiry.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn limits(members: usize, messages: usize, seconds: u64) -> Config {
        Config {
            recent_members_max: members,
            recent_messages_max: messages,
            recent_expiry: Duration::from_secs(seconds),
            ..Config::default()
        }
    }

    fn said(text: &str) -> Said {
        Said { folded: text.into(), parts: Box::default() }
    }

    fn texts(recent: &Recent, speaker: u64, now_ms: i64, limits: &Config) -> Vec<String> {
        recent.before(SpeakerKey(speaker), now_ms, limits).map(|(_, said)| said.folded.to_string()).collect()
    }

    #[test]
    fn the_last_messages_are_kept_until_they_expire() {
        let limits = limits(10, 2, 60);
        let mut recent = Recent::default();
        for (at, text) in [(0, "a"), (1_000, "b"), (2_000, "c")] {
            recent.note(SpeakerKey(1), said(text), at, &limits);
        }
        assert_eq!(texts(&recent, 1, 2_000, &limits), ["b", "c"]);
        assert_eq!(texts(&recent, 1, 61_500, &limits), ["c"]);
        assert!(texts(&recent, 1, 62_001, &limits).is_empty());
        assert!(texts(&recent, 2, 2_000, &limits).is_empty());
        recent.sweep(62_000);
        assert_eq!(recent.members(), 1);
        recent.sweep(62_001);
        assert_eq!((recent.members(), recent.memory_bytes()), (0, 0));
    }

    #[test]
    fn members_are_told_apart() {
        let key = |account, group, member| SpeakerKey::new(&[7; 16], account, group, member);
        let all = [key("a", "b", "c"), key("ab", "", "c"), key("a", "bc", ""), key("a", "b", "d")];
        for (index, one) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| other != one));
        }
        assert_ne!(key("a", "b", "c"), SpeakerKey::new(&[8; 16], "a", "b", "c"));
    }

    proptest! {
        #[test]
        fn every_limit_holds_and_only_the_oldest_are_forgotten(
            notes in prop::collection::vec((0_u64..6, 0_i64..30, "[a-z]{0,8}"), 0..60),
            members in 1_usize..5, messages in 1_usize..4, bytes in 400_usize..2_000,
        ) {
            let limits = Config { recent_bytes_max: bytes, ..limits(members, messages, 60) };
            let mut recent = Recent::default();
            let mut now_ms = 0;
            let mut all: Vec<(u64, i64, String)> = Vec::new();
            for (speaker, seconds, text) in notes {
                now_ms += seconds * 1_000;
                recent.note(SpeakerKey(speaker), said(&text), now_ms, &limits);
                all.push((speaker, now_ms, text));
                prop_assert!(recent.members() <= members);
                prop_assert!(recent.memory_bytes() <= bytes);
                prop_assert!(recent.order.len() <= 2 * recent.members() + 16);
                for speaker in 0..6 {
                    // What is held is the end of what was said.
                    let of_member = all.iter().filter(|(s, at, _)| *s == speaker && *at >= now_ms - 60_000);
                    let expect: Vec<_> = of_member.map(|(.., text)| text.clone()).collect();
                    let held = texts(&recent, speaker, now_ms, &limits);
                    prop_assert!(held.len() <= messages);
                    prop_assert!(expect.ends_with(&held), "{:?} {:?}", expect, held);
                }
            }
            let held: usize = recent.members.values().flat_map(|ring| &ring.messages).map(|(_, s)| bytes_of(s)).sum();
            prop_assert_eq!(recent.memory_bytes(), held + recent.members() * MEMBER_BYTES);
        }
    }
}
