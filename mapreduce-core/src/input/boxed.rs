//! Inputs behind a pointer: of which kind they are is known when the program runs.

use super::{Blocks, Input, ReadError, Records, SharedFiles, SplitInfo};
use crate::Error;

/// ```
/// use mapreduce_core::{Dataset, Input, RowFiles, RowSlice, Rows};
/// use std::path::Path;
///
/// fn numbers(path: Option<&Path>) -> Result<Box<dyn Input<Records = Rows<u8>>>, mapreduce_core::Error> {
///     Ok(match path {
///         Some(path) => Box::new(RowFiles::open(path, 0, 1)?),
///         None => Box::new(RowSlice::new(vec![1, 2, 3], 1)?),
///     })
/// }
///
/// assert_eq!(Dataset::new(numbers(None)?)?.bytes(), 3);
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
impl<I: Input + ?Sized> Input for Box<I> {
    type Records = I::Records;

    fn shape(&self) -> <I::Records as Records>::Shape {
        (**self).shape()
    }

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        (**self).splits(split_bytes)
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<I::Records> + 'a>, ReadError> {
        (**self).open(split)
    }

    fn describe(&self, split: &SplitInfo) -> String {
        (**self).describe(split)
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        (**self).ship(split, sink)
    }

    fn excerpts(&self, split: &SplitInfo, count: usize) -> Vec<SplitInfo> {
        (**self).excerpts(split, count)
    }

    fn files(&self) -> Option<SharedFiles> {
        (**self).files()
    }
}
