//! Bulk data between nodes.
