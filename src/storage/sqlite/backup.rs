//! Copies of a data directory, and coming back from one.

use std::path::Path;

use crate::storage::StorageError;

/// What a restore did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {}

pub(super) fn backup(_from: &Path, _to: &Path) -> Result<(), StorageError> {
    Ok(())
}

/// Restores.
pub fn restore(_from: &Path, _to: &Path) -> Result<Restored, StorageError> {
    Ok(Restored {})
}
