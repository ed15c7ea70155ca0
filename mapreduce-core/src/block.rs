//! Blocks: vectors of numbers that are encoded as raw little-endian bytes.

use std::{
    fmt,
    marker::PhantomData,
    ops::{AddAssign, Deref, DerefMut},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// A vector of numbers that is encoded as raw bytes.
///
/// A `Vec<f64>` is encoded number by number; a block is copied as one piece, and costs no more than its bytes. Use it for
/// rows, sums and centroids. It is a `Vec` in all but name: it dereferences to `[T]`, and converts from and into `Vec<T>`
/// for free.
///
/// `sums += &block` adds element by element. A block that is shorter counts as one filled up with zeros, so
/// `Block::default()` is a zero of every length. A sum that overflows does what `+=` on a `T` does: with overflow checks
/// (a debug build) it panics, and without them it wraps.
///
/// On the wire a block is the number of bytes, then each number in little-endian order. Formats for people, such as JSON,
/// get a list of numbers.
///
/// # Examples
///
/// ```
/// use mapreduce_core::{Block, codec};
///
/// let mut sums = Block::from(vec![1.0, 2.0]);
/// sums += &Block::from(vec![0.5, 0.5]);
/// assert_eq!(*sums, [1.5, 2.5]);
///
/// let mut bytes = Vec::new();
/// codec::encode(&sums, &mut bytes)?;
/// assert_eq!(bytes.len(), 1 + 2 * 8);
/// assert_eq!(codec::decode::<Block<f64>>(&bytes)?, sums);
/// # Ok::<(), mapreduce_core::CodecError>(())
/// ```
///
/// Only numbers of a fixed width are allowed, because `usize` differs between machines:
///
/// ```compile_fail
/// let block = mapreduce_core::Block::<usize>::default();
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block<T: Number>(Vec<T>);

/// A number of a fixed width: `u8` to `u128`, `i8` to `i128`, `f32` and `f64`.
///
/// The trait is sealed: what it stands for is part of the wire format.
pub trait Number: sealed::Number {}

impl<T: Number> Block<T> {
    /// A block of `len` zeros.
    ///
    /// ```
    /// assert_eq!(*mapreduce_core::Block::<u64>::zeros(3), [0, 0, 0]);
    /// ```
    pub fn zeros(len: usize) -> Self {
        Self(vec![T::zeroed(); len])
    }

    /// The numbers, without a copy.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T: Number> Default for Block<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Number> fmt::Debug for Block<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<T: Number> Deref for Block<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Number> DerefMut for Block<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Number> From<Vec<T>> for Block<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self(numbers)
    }
}

impl<T: Number> From<Block<T>> for Vec<T> {
    fn from(block: Block<T>) -> Self {
        block.0
    }
}

impl<T: Number> FromIterator<T> for Block<T> {
    fn from_iter<I: IntoIterator<Item = T>>(numbers: I) -> Self {
        Self(numbers.into_iter().collect())
    }
}

impl<T: Number> AddAssign<&Block<T>> for Block<T> {
    fn add_assign(&mut self, other: &Block<T>) {
        if self.len() < other.len() {
            self.0.resize(other.len(), T::zeroed());
        }
        for (sum, number) in self.0.iter_mut().zip(&other.0) {
            *sum += *number;
        }
    }
}

impl<T: Number> Serialize for Block<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_seq(&self.0);
        }
        serializer.serialize_newtype_struct(T::BLOCK_NAME, &Raw(&self.0))
    }
}

impl<'de, T: Number> Deserialize<'de> for Block<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Vec::deserialize(deserializer).map(Self);
        }
        // The newtype takes no bytes; its name is what tells the schemas of two number types apart.
        deserializer.deserialize_newtype_struct(T::BLOCK_NAME, RawVisitor(PhantomData))
    }
}

/// The bytes of the numbers in wire order.
struct Raw<'a, T>(&'a [T]);

impl<T: Number> Serialize for Raw<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if cfg!(target_endian = "little") {
            serializer.serialize_bytes(bytemuck::cast_slice(self.0))
        } else {
            let swapped: Vec<T> = self.0.iter().map(|number| number.swapped_if_big_endian()).collect();
            serializer.serialize_bytes(bytemuck::cast_slice(&swapped))
        }
    }
}

struct RawVisitor<T>(PhantomData<T>);

impl<'de, T: Number> Visitor<'de> for RawVisitor<T> {
    type Value = Block<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} as raw bytes, a multiple of {}", T::BLOCK_NAME, size_of::<T>())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Block<T>, D::Error> {
        deserializer.deserialize_bytes(self)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Block<T>, E> {
        if !bytes.len().is_multiple_of(size_of::<T>()) {
            return Err(E::invalid_length(bytes.len(), &self));
        }
        let mut block = Block::zeros(bytes.len() / size_of::<T>());
        bytemuck::cast_slice_mut::<T, u8>(&mut block.0).copy_from_slice(bytes);
        if cfg!(target_endian = "big") {
            block.0.iter_mut().for_each(|number| *number = number.swapped_if_big_endian());
        }
        Ok(block)
    }
}

mod sealed {
    use std::{fmt, ops::AddAssign};

    use serde::{Serialize, de::DeserializeOwned};

    pub trait Number:
        bytemuck::Pod + fmt::Debug + AddAssign + Serialize + DeserializeOwned + Send + Sync
    {
        /// What a block of these numbers is called in a schema.
        const BLOCK_NAME: &'static str;

        /// The number with its bytes in little-endian order, or the other way round.
        fn swapped_if_big_endian(self) -> Self;
    }
}

macro_rules! numbers {
    ($($number:ty: |$value:ident| $to_le:expr),* $(,)?) => {$(
        impl sealed::Number for $number {
            const BLOCK_NAME: &'static str = concat!("Block<", stringify!($number), ">");

            fn swapped_if_big_endian(self) -> Self {
                let $value = self;
                $to_le
            }
        }

        impl Number for $number {}
    )*};
}

numbers! {
    u8: |n| n.to_le(), u16: |n| n.to_le(), u32: |n| n.to_le(), u64: |n| n.to_le(), u128: |n| n.to_le(),
    i8: |n| n.to_le(), i16: |n| n.to_le(), i32: |n| n.to_le(), i64: |n| n.to_le(), i128: |n| n.to_le(),
    f32: |n| f32::from_bits(n.to_bits().to_le()), f64: |n| f64::from_bits(n.to_bits().to_le()),
}
