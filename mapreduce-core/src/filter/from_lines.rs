//! [`FromLines`]: records that a filter can read from a stream of lines.

use crate::{
    Lines, Records, Utf8Lines,
    input::{Either, ReadError},
};

/// Records that are lines of text, or of two texts. To be implemented for records of your own whose block is whole lines.
pub trait FromLines: Records<Shape: Default> {
    /// How many inputs there are.
    const INPUTS: u32 = 1;

    /// Reads a block of whole lines of an input, counted from 0 and below [`INPUTS`](Self::INPUTS). The last line need not end
    /// with a line feed. The default is for one input.
    ///
    /// # Errors
    /// When the lines are not such records.
    fn from_lines<'a>(
        input: u32,
        lines: &'a [u8],
        buffer: &'a mut Self::Buffer,
    ) -> Result<Self::Block<'a>, ReadError> {
        let _ = input;
        Self::block(&Self::Shape::default(), lines, buffer)
    }
}

impl FromLines for Lines {}
impl FromLines for Utf8Lines {}

impl<A: FromLines, B: FromLines> FromLines for Either<A, B> {
    const INPUTS: u32 = A::INPUTS + B::INPUTS;

    fn from_lines<'a>(
        input: u32,
        lines: &'a [u8],
        buffer: &'a mut Self::Buffer,
    ) -> Result<Self::Block<'a>, ReadError> {
        match input.checked_sub(A::INPUTS) {
            None => A::from_lines(input, lines, &mut buffer.0).map(Either::Left),
            Some(input) => B::from_lines(input, lines, &mut buffer.1).map(Either::Right),
        }
    }
}
