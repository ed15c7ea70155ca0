//! Map-reduce as a library.
