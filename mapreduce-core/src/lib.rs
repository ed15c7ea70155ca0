//! Map-reduce as a library.

pub mod block;
pub mod codec;
pub mod datum;
pub mod key;
pub mod schema;

pub use block::Block;
pub use codec::CodecError;
pub use datum::Datum;
pub use key::{Key, KeyPart};
pub use schema::Schema;
