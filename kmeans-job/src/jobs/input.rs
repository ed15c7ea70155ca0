//! [`CentredFiles`]: the rows of a fit or a prediction as its jobs read them from files: centred as they are read.

use super::rows::{CentredRows, Preparation, RowShape, prepare};
use crate::numeric::scalar::Scalar;
use mapreduce_core::{
    Error, Input, ReadError, RowBlock, Rows, SplitInfo,
    input::{Blocks, SharedFiles},
};

/// Rows of files, and what is to be done to them.
pub(crate) struct CentredFiles<'a, T: Scalar> {
    rows: &'a dyn Input<Records = Rows<T>>,
    /// If not all of the rows are meant.
    splits: Option<&'a [SplitInfo]>,
    preparation: Preparation<T>,
}

impl<'a, T: Scalar> CentredFiles<'a, T> {
    /// All rows, or those of some splits that were planned for them.
    pub(crate) fn new(
        rows: &'a dyn Input<Records = Rows<T>>,
        splits: Option<&'a [SplitInfo]>,
        preparation: Preparation<T>,
    ) -> Self {
        Self { rows, splits, preparation }
    }
}

impl<T: Scalar> Input for CentredFiles<'_, T> {
    type Records = CentredRows<T>;

    fn shape(&self) -> RowShape<T> {
        RowShape { width: self.rows.shape(), preparation: self.preparation.clone() }
    }

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        self.splits.map_or_else(|| self.rows.splits(split_bytes), |splits| Ok(splits.to_vec()))
    }

    fn open<'b>(&'b self, split: &'b SplitInfo) -> Result<Box<dyn Blocks<CentredRows<T>> + 'b>, ReadError> {
        let blocks = self.rows.open(split)?;
        Ok(Box::new(Prepared { blocks, preparation: &self.preparation, prepared: Vec::new() }))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        self.rows.describe(split)
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        self.rows.ship(split, sink)
    }

    fn files(&self) -> Option<SharedFiles> {
        self.rows.files()
    }
}

/// Blocks as they are read, prepared.
struct Prepared<'a, T: Scalar> {
    blocks: Box<dyn Blocks<Rows<T>> + 'a>,
    preparation: &'a Preparation<T>,
    prepared: Vec<T>,
}

impl<T: Scalar> Blocks<CentredRows<T>> for Prepared<'_, T> {
    fn next_block(&mut self) -> Result<Option<RowBlock<'_, T>>, ReadError> {
        let Some(block) = self.blocks.next_block()? else { return Ok(None) };
        prepare(block, self.preparation, &mut self.prepared).map(Some)
    }
}
