//! The part of storage that sending has nothing to do with: original texts.

use async_trait::async_trait;

use super::TestLedger;
use crate::storage::{
    EvidenceOf, EvidenceQuery, EvidenceRoom, EvidenceRow, EvidenceStore, EvidenceStored, EvidenceTotals,
    StorageError,
};

#[async_trait]
impl EvidenceStore for TestLedger {
    async fn evidence_keep(
        &self,
        _: Vec<EvidenceRow>,
        _: EvidenceRoom,
    ) -> Result<EvidenceStored, StorageError> {
        unreachable!("sending keeps no evidence")
    }

    fn evidence_row(&self, _: &str, _: i64) -> Result<Option<EvidenceRow>, StorageError> {
        unreachable!("sending reads no evidence")
    }

    fn evidence_page(&self, _: &EvidenceQuery) -> Result<Vec<EvidenceRow>, StorageError> {
        unreachable!("sending reads no evidence")
    }

    fn evidence_groups(&self, _: &str, _: Option<&str>) -> Result<Vec<String>, StorageError> {
        unreachable!("sending reads no evidence")
    }

    async fn evidence_erase(&self, _: Vec<EvidenceOf>) -> Result<u64, StorageError> {
        unreachable!("sending erases no evidence")
    }

    async fn evidence_prune(&self, _: i64) -> Result<(u64, EvidenceTotals), StorageError> {
        unreachable!("sending prunes no evidence")
    }
}
