//! What is said between nodes, and how it is framed. `docs/protocol.md` has the messages and layouts in words.

pub(crate) mod frame;
pub(crate) mod message;

pub(crate) use frame::{FrameReader, FrameWriter, WireError};

#[cfg(test)]
pub(crate) mod tests;
