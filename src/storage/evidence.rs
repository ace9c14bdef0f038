//! The evidence store's rows: sealed original texts, short-lived, in a file of their own.
//!
//! Not for: sealing and opening (storage never has the key), nor for whom a row may be shown.
//! Invariants: what has expired is never given out, also before it is pruned; rows and bytes are bounded, and when the
//! room is used up the history goes first, oldest first; nothing of it is in a backup.

use async_trait::async_trait;

use super::StorageError;
use crate::event::{EvidenceKind, Partition};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 24;

/// What a row costs beside its sealed bytes, as the limit counts it.
pub(super) const ROW_BYTES: u64 = 256;

/// One sealed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceRow {
    /// Position in the file, for paging; 0 until stored.
    pub seq: u64,
    /// Unique; derived from the event, so that a text is kept once.
    pub id: String,
    /// Where its group belongs.
    pub partition: Partition,
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Who said it; empty where nobody was named.
    pub member: String,
    /// When it was said.
    pub at_ms: i64,
    /// What it is kept for.
    pub kind: EvidenceKind,
    /// Which key sealed it.
    pub key: String,
    /// The row's own nonce.
    pub nonce: [u8; NONCE_BYTES],
    /// The sealed bytes with their tag.
    pub data: Vec<u8>,
    /// When it is erased.
    pub expires_ms: i64,
}

impl EvidenceRow {
    /// What it takes of the room.
    pub(super) fn bytes(&self) -> u64 {
        self.data.len() as u64 + ROW_BYTES
    }
}

/// How much the store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceRoom {
    /// Rows.
    pub rows_max: u64,
    /// Bytes of sealed texts with their rows.
    pub bytes_max: u64,
    /// Rows of the history of one group; the oldest go.
    pub group_history_max: u32,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvidenceTotals {
    /// Rows.
    pub rows: u64,
    /// Bytes, as [`EvidenceRoom`] counts them.
    pub bytes: u64,
}

/// What became of rows that were to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvidenceStored {
    /// Rows for which there was no room.
    pub refused: u64,
    /// What the store holds now.
    pub totals: EvidenceTotals,
}

/// Which rows, in the order they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvidenceQuery {
    /// Only of this account and group.
    pub group: Option<(String, String)>,
    /// Only what was said then or later.
    pub since_ms: i64,
    /// Now: what has expired is left out.
    pub now_ms: i64,
    /// After this `seq`.
    pub after: u64,
    /// At most.
    pub limit: usize,
}

/// What is to be erased: a member in a group, or a whole group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceOf {
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Member; `None` for everybody.
    pub member: Option<String>,
}

/// Sealed texts. Every implementation of [`super::Storage`] has them too.
#[async_trait]
pub trait EvidenceStore: Send + Sync + 'static {
    /// Stores rows in one commit; those whose id is there already are left alone. Makes room by letting the oldest
    /// history go; what does not fit then is refused and counted.
    async fn evidence_keep(
        &self,
        rows: Vec<EvidenceRow>,
        room: EvidenceRoom,
    ) -> Result<EvidenceStored, StorageError>;

    /// Returns one row that has not expired. Blocking, like the two below.
    fn evidence_row(&self, id: &str, now_ms: i64) -> Result<Option<EvidenceRow>, StorageError>;

    /// Returns rows that have not expired, in the order they came in.
    fn evidence_page(&self, query: &EvidenceQuery) -> Result<Vec<EvidenceRow>, StorageError>;

    /// Returns the groups of an account in which something of a member (or of anybody) is kept, in order.
    fn evidence_groups(&self, account: &str, member: Option<&str>) -> Result<Vec<String>, StorageError>;

    /// Erases in one commit, also from the write-ahead log; returns how many rows went.
    async fn evidence_erase(&self, what: Vec<EvidenceOf>) -> Result<u64, StorageError>;

    /// Removes what has expired; returns how many rows went and what is left.
    async fn evidence_prune(&self, now_ms: i64) -> Result<(u64, EvidenceTotals), StorageError>;
}
