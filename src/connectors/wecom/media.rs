//! Ids of uploaded media. WeCom keeps a file three days; what we uploaded lately is not uploaded again.
//!
//! Two scopes: an app's ids are good for the app, a robot's for all robots of the corp. Kept in memory and bounded: after
//! a restart a file is uploaded once more, which costs one call.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::book::millis;
use super::content::Upload;

/// How long an id is used: WeCom keeps it three days, and a message must not meet its end.
const USED: Duration = Duration::from_hours(3 * 24 - 1);
/// Most ids remembered.
const IDS_MAX: usize = 1_000;

/// Whose ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum MediaScope {
    /// The app's.
    App,
    /// The robots'.
    Robots,
}

/// What a file is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct MediaKey {
    scope: MediaScope,
    kind: &'static str,
    digest: [u8; 32],
}

impl MediaKey {
    /// The name counts: it is what people see of a file.
    pub(super) fn of(scope: MediaScope, upload: &Upload) -> Self {
        let mut digest = Sha256::new();
        digest.update(upload.name.len().to_le_bytes());
        digest.update(&upload.name);
        digest.update(&upload.bytes);
        Self { scope, kind: upload.kind, digest: digest.finalize().into() }
    }
}

/// Ids by file.
#[derive(Debug, Default)]
pub(super) struct MediaIds(Mutex<HashMap<MediaKey, (String, i64)>>);

impl MediaIds {
    /// Looks up an id that is still good.
    pub(super) fn find(&self, key: &MediaKey, now_ms: i64) -> Option<String> {
        let ids = self.0.lock();
        ids.get(key).filter(|(_, until_ms)| now_ms < *until_ms).map(|(id, _)| id.clone())
    }

    /// Remembers an id from now on.
    pub(super) fn remember(&self, key: MediaKey, id: String, now_ms: i64) {
        let mut ids = self.0.lock();
        if ids.len() >= IDS_MAX {
            ids.retain(|_, (_, until_ms)| now_ms < *until_ms);
        }
        if ids.len() >= IDS_MAX {
            let oldest = ids.iter().min_by_key(|(_, (_, until_ms))| *until_ms).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| ids.remove(&oldest));
        }
        ids.insert(key, (id, now_ms.saturating_add(millis(USED))));
    }

    /// Forgets an id that WeCom did not know.
    pub(super) fn forget(&self, key: &MediaKey) {
        self.0.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn upload(name: &str, bytes: &str) -> Upload {
        Upload { kind: "file", name: name.to_owned(), bytes: Bytes::copy_from_slice(bytes.as_bytes()) }
    }

    #[test]
    fn a_file_is_known_by_scope_name_and_bytes_until_its_time_is_up() {
        let ids = MediaIds::default();
        let key = MediaKey::of(MediaScope::App, &upload("a", "bc"));
        ids.remember(key.clone(), "M1".to_owned(), 0);
        let last = millis(USED) - 1;
        assert_eq!(ids.find(&key, last).as_deref(), Some("M1"));
        assert_eq!(ids.find(&key, last + 1), None);
        for other in [
            MediaKey::of(MediaScope::Robots, &upload("a", "bc")),
            MediaKey::of(MediaScope::App, &upload("ab", "c")),
            MediaKey::of(MediaScope::App, &upload("a", "bd")),
        ] {
            assert_eq!(ids.find(&other, 0), None);
        }
        ids.forget(&key);
        assert_eq!(ids.find(&key, 0), None);
    }

    #[test]
    fn the_oldest_id_makes_room() {
        let ids = MediaIds::default();
        let key = |nth: usize| MediaKey::of(MediaScope::App, &upload(&nth.to_string(), "bytes"));
        for nth in 0..=IDS_MAX {
            ids.remember(key(nth), nth.to_string(), i64::try_from(nth).unwrap());
        }
        assert_eq!(ids.0.lock().len(), IDS_MAX);
        assert_eq!(ids.find(&key(0), 0), None);
        assert!(ids.find(&key(1), 0).is_some() && ids.find(&key(IDS_MAX), 0).is_some());
    }
}
