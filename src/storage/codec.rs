//! The journal's record format: versioned, checksummed, typed.

use crate::event::Effects;
use thiserror::Error;
/// Why bytes are not effects.
#[derive(Debug, Error)]
pub enum CodecError {}
/// Appends the record of one event's effects.
pub fn encode(_effects: &Effects<'_>, _out: &mut Vec<u8>) {}
/// Calls `visit` for each event's effects in a payload.
pub fn decode(_payload: &[u8], _visit: &mut dyn FnMut(&Effects<'_>)) -> Result<(), CodecError> {
    Ok(())
}
