//! Standard Webhooks 1.0.0: the keys, signing and verifying, and the one way our HTTP requests leave the house.
//!
//! Not for: what a request means (`connectors`), when it is sent or sent again (`outbox`), or whether its events were
//! seen before (`dedupe`).
//!
//! Invariants: bytes are signed and verified as they are on the wire, never re-serialised; signatures are compared in
//! constant time; keys never show in `Debug`; a request only ever goes to an address that was checked, and the checked
//! address is the one connected to. `now` is an argument; only [`client`] does I/O.

pub mod address;
pub mod client;
mod key;
mod replay;
pub mod retry_after;
mod sign;
mod verify;

#[cfg(test)]
mod vectors;

pub use key::{KeyError, SignKey, VerifyKey};
pub use replay::{Memory, Seen};
pub use sign::{SignError, Signed, sign};
pub use verify::{Verified, VerifyError, verify};

/// Header with the id of what is told: the same over retries.
pub const HEADER_ID: &str = "webhook-id";
/// Header with the time of the attempt, in whole Unix seconds.
pub const HEADER_TIMESTAMP: &str = "webhook-timestamp";
/// Header with the signatures, separated by spaces.
pub const HEADER_SIGNATURE: &str = "webhook-signature";

/// Feeds the signed content, `id.timestamp.body`, to `sink`.
fn signed_content(id: &str, timestamp: &str, body: &[u8], mut sink: impl FnMut(&[u8])) {
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        sink(part);
    }
}
