//! Every metric by name, in one place; `docs/OPERATING.md` describes each.
