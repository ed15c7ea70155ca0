//! Ranges and means of the columns, which decide how the data is centred.
//!
//! Two passes, neither of which depends on the order of the rows: minima and maxima, then sums in fixed point.

use super::{first_row, name_for, rows::CentredRows};
use crate::{
    kernel::isa::Isa,
    numeric::{
        exact::ExactSum,
        grid::{Grid, accumulate},
        scalar::Scalar,
    },
};
use mapreduce_core::{Block, prelude::*};
use std::{marker::PhantomData, ops::AddAssign};

/// Finds the smallest and the largest value of every column.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct FindRanges<T>(PhantomData<fn() -> T>);

impl<T> Default for FindRanges<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// The ranges of the columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranges {
    /// The smallest value of each column; empty if there is no row.
    pub min: Vec<f64>,
    /// The largest.
    pub max: Vec<f64>,
    /// Row and column of the first value that is NaN or infinite, counted from 0. The ranges mean nothing then.
    pub not_finite: Option<(u64, u64)>,
    /// The first row of zeros.
    pub zero_row: Option<u64>,
}

impl AddAssign<&Ranges> for Ranges {
    fn add_assign(&mut self, other: &Ranges) {
        if self.min.is_empty() {
            self.min.clone_from(&other.min);
            self.max.clone_from(&other.max);
        }
        for (min, &x) in self.min.iter_mut().zip(&other.min) {
            *min = min.min(x);
        }
        for (max, &x) in self.max.iter_mut().zip(&other.max) {
            *max = max.max(x);
        }
        self.not_finite = [self.not_finite, other.not_finite].into_iter().flatten().min();
        self.zero_row = [self.zero_row, other.zero_row].into_iter().flatten().min();
    }
}

impl<T: Scalar> Mapper for FindRanges<T> {
    type Input = CentredRows<T>;
    type Key = ();
    type Value = Ranges;

    fn map(&self, _: &[T], _: &mut impl Emit<(), Ranges>) -> Result {
        Err("which rows cannot be computed with is told by their index, which only a split knows".into())
    }

    fn map_split(&self, split: &mut Split<'_, CentredRows<T>>, out: &mut impl Emit<(), Ranges>) -> Result {
        let (progress, mut row) = (split.progress(), first_row(split)?);
        let (mut min, mut max, mut not_finite, mut zero_row) = (Vec::new(), Vec::new(), None, None);
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            if min.is_empty() {
                min = block.values[..block.width].to_vec();
                max.clone_from(&min);
            }
            for values in block {
                let (mut finite, mut zero) = (true, true);
                for ((&x, min), max) in values.iter().zip(&mut min).zip(&mut max) {
                    finite &= x.is_finite();
                    zero &= x == T::ZERO;
                    *min = if x < *min { x } else { *min };
                    *max = if x > *max { x } else { *max };
                }
                if !finite && not_finite.is_none() {
                    let column = values.iter().position(|x| !x.is_finite()).unwrap_or_default();
                    not_finite = Some((row, column as u64));
                }
                if zero && zero_row.is_none() {
                    zero_row = Some(row);
                }
                row += 1;
            }
        }
        let wide = |values: Vec<T>| values.into_iter().map(T::to_f64).collect();
        out.emit(&(), &Ranges { min: wide(min), max: wide(max), not_finite, zero_row })
    }
}

impl<T: Scalar> SimpleJob for FindRanges<T> {
    const NAME: &'static str = name_for::<T>("k-means/ranges/f32", "k-means/ranges/f64");
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// Adds up every column in fixed point.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct AddColumns<T> {
    /// The scales of the columns.
    pub grid: Grid<T>,
}

impl<T: Scalar> Mapper for AddColumns<T> {
    type Input = CentredRows<T>;
    type Key = ();
    type Value = Block<T::Sum>;

    fn map(&self, row: &[T], out: &mut impl Emit<(), Block<T::Sum>>) -> Result {
        let sums = row.iter().enumerate().map(|(j, x)| x.quantize(self.grid.scale(j)));
        out.emit(&(), &sums.collect())
    }

    fn map_split(
        &self,
        split: &mut Split<'_, CentredRows<T>>,
        out: &mut impl Emit<(), Block<T::Sum>>,
    ) -> Result {
        let progress = split.progress();
        let mut sums = Block::zeros(self.grid.columns());
        let (mut count, mut labels) = ([0], Vec::new());
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            labels.resize(block.len(), 0);
            accumulate(Isa::detect(), block, &labels, &self.grid, &mut sums, &mut count);
        }
        out.emit(&(), &sums)
    }
}

impl<T: Scalar> SimpleJob for AddColumns<T> {
    const NAME: &'static str = name_for::<T>("k-means/columns/f32", "k-means/columns/f64");
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// Adds up the squares of all elements, exactly.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct AddSquares<T>(PhantomData<fn() -> T>);

impl<T> Default for AddSquares<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Scalar> Mapper for AddSquares<T> {
    type Input = CentredRows<T>;
    type Key = ();
    type Value = ExactSum;

    fn map(&self, row: &[T], out: &mut impl Emit<(), ExactSum>) -> Result {
        let mut sum = ExactSum::new();
        row.iter().for_each(|&x| sum.add_square(x));
        out.emit(&(), &sum)
    }

    fn map_split(&self, split: &mut Split<'_, CentredRows<T>>, out: &mut impl Emit<(), ExactSum>) -> Result {
        let progress = split.progress();
        let mut sum = ExactSum::new();
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            block.values.iter().for_each(|&x| sum.add_square(x));
        }
        out.emit(&(), &sum)
    }
}

impl<T: Scalar> SimpleJob for AddSquares<T> {
    const NAME: &'static str = name_for::<T>("k-means/squares/f32", "k-means/squares/f64");
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}
