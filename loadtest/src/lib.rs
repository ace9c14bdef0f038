//! Placeholder crate root, replaced by the load client.
