//! Who people are to the brand and to us.

use serde::{Deserialize, Serialize};

/// Who a member is to the brand.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A customer (the default: the stricter treatment).
    #[default]
    Customer,
    /// An employee of the brand.
    Staff,
    /// A program; never answered, so that two programs cannot talk to each other for ever.
    Bot,
}

/// What a member is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kin {
    /// One of those we speak through.
    Ourselves,
    /// Staff of the group: its owner, its shop's manager or deputy.
    Staff,
    /// Nobody we know.
    Other,
}

/// Whose doing it was that a contact ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactEnd {
    /// The customer took the staff member out of their contacts.
    Customer,
    /// The staff member took the customer out.
    Staff,
    /// The customer was handed on to another staff member.
    Transfer,
}
