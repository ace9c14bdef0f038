//! Storage in memory, whose disk fails when told to.
