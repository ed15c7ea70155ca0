//! [`WeighedRows`]: rows in files, with weights that are in memory.

use super::FileRows;
use crate::{numeric::scalar::Scalar, output::little_endian};
use mapreduce_core::{
    Error, Input, ReadError, RowBlock, Rows, SplitInfo,
    input::{Blocks, SharedFiles},
};

/// Rows of files, each with its weight behind it: put there as they are read.
#[derive(Debug)]
pub(crate) struct WeighedRows<T> {
    rows: FileRows<T>,
    weights: Vec<T>,
}

impl<T: Scalar> WeighedRows<T> {
    /// There is a weight for each row.
    pub(crate) fn new(rows: FileRows<T>, weights: Vec<T>) -> Self {
        Self { rows, weights }
    }

    pub(crate) fn weights(&self) -> &[T] {
        &self.weights
    }

    fn blocks<'a>(&'a self, split: &'a SplitInfo) -> Result<Widened<'a, T>, ReadError> {
        // Files number their rows.
        let first = split.first_record.unwrap_or_default() as usize;
        let weights = self.weights.get(first..).unwrap_or_default();
        Ok(Widened { blocks: self.rows.input().open(split)?, weights, wide: Vec::new() })
    }
}

impl<T: Scalar> Input for WeighedRows<T> {
    type Records = Rows<T>;

    fn shape(&self) -> u64 {
        self.rows.input().shape() + 1
    }

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        self.rows.input().splits(split_bytes)
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Rows<T>> + 'a>, ReadError> {
        Ok(Box::new(self.blocks(split)?))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        self.rows.input().describe(split)
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let mut blocks = self.blocks(split)?;
        while blocks.next_block()?.is_some() {
            sink(little_endian(&mut blocks.wide));
        }
        Ok(())
    }

    /// None that have the weights.
    fn files(&self) -> Option<SharedFiles> {
        None
    }
}

/// Blocks as they are read, a column wider.
struct Widened<'a, T> {
    blocks: Box<dyn Blocks<Rows<T>> + 'a>,
    /// Of the rows that are yet to come, and of those behind the split.
    weights: &'a [T],
    wide: Vec<T>,
}

impl<T: Scalar> Blocks<Rows<T>> for Widened<'_, T> {
    fn next_block(&mut self) -> Result<Option<RowBlock<'_, T>>, ReadError> {
        let Some(block) = self.blocks.next_block()? else { return Ok(None) };
        let (weights, rest) = self.weights.split_at(block.len().min(self.weights.len()));
        self.weights = rest;
        self.wide.clear();
        self.wide.reserve(block.values.len() + block.len());
        for (row, &weight) in block.into_iter().zip(weights) {
            self.wide.extend_from_slice(row);
            self.wide.push(weight);
        }
        Ok(Some(RowBlock { width: block.width + 1, values: &self.wide }))
    }
}
