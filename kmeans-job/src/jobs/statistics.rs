//! Ranges and means of the columns, which decide how the data is centred.
//!
//! Two passes, neither of which depends on the order of the rows: minima and maxima, then sums in fixed point.

use super::{
    first_row, name_for,
    rows::{CentredRows, weight_of},
};
use crate::{
    kernel::isa::Isa,
    numeric::{
        exact::ExactSum,
        grid::{Grid, accumulate},
        scalar::{Scalar, all_finite},
        squares,
    },
};
use mapreduce_core::{Block, prelude::*};
use std::{marker::PhantomData, ops::AddAssign};

/// Finds the smallest and the largest value of every column.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct FindRanges<T> {
    d: u64,
    scalar: PhantomData<fn() -> T>,
}

impl<T> FindRanges<T> {
    /// For rows of `d` columns.
    pub fn new(d: usize) -> Self {
        Self { d: d as u64, scalar: PhantomData }
    }
}

/// The range of each column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The smallest values; empty if there is no row.
    pub min: Vec<f64>,
    /// The largest.
    pub max: Vec<f64>,
}

impl Range {
    /// The largest magnitude of each column.
    pub fn magnitudes(&self) -> Vec<f64> {
        self.min.iter().zip(&self.max).map(|(min, max)| min.abs().max(max.abs())).collect()
    }
}

impl AddAssign<&Range> for Range {
    fn add_assign(&mut self, other: &Range) {
        if self.min.is_empty() {
            self.clone_from(other);
        }
        for (min, &x) in self.min.iter_mut().zip(&other.min) {
            *min = min.min(x);
        }
        for (max, &x) in self.max.iter_mut().zip(&other.max) {
            *max = max.max(x);
        }
    }
}

/// The ranges of the columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranges {
    /// Of the rows that count.
    pub counted: Range,
    /// Of the rows of weight 0.
    pub idle: Range,
    /// Row and column of the first value that is NaN or infinite, counted from 0. The ranges mean nothing then.
    pub not_finite: Option<(u64, u64)>,
    /// The first row of zeros.
    pub zero_row: Option<u64>,
}

impl AddAssign<&Ranges> for Ranges {
    fn add_assign(&mut self, other: &Ranges) {
        self.counted += &other.counted;
        self.idle += &other.idle;
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
        let (progress, mut row, d) = (split.progress(), first_row(split)?, self.d as usize);
        // Of the rows that count, and of those of weight 0.
        let mut ends: [Option<Ends<T>>; 2] = [None, None];
        let (mut not_finite, mut zero_row) = (None, None);
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            let first_of = |found: Option<usize>| found.map(|i| row + i as u64);
            let is_zero = |values: &[T]| values[..d].iter().all(|&x| x == T::ZERO);
            zero_row = zero_row.or_else(|| first_of(block.into_iter().position(is_zero)));
            if not_finite.is_none() && !all_finite(block.values) {
                let column = |values: &[T]| values[..d].iter().position(|x| !x.is_finite());
                let at = block.into_iter().enumerate().find_map(|(i, values)| Some((i, column(values)?)));
                not_finite = at.map(|(i, column)| (row + i as u64, column as u64));
            }
            match block.width == d {
                true if block.is_empty() => {}
                true => ends[0].get_or_insert_with(|| Ends::of(&block.values[..d])).extend(block.values, d),
                false => {
                    for values in block {
                        let ends = &mut ends[usize::from(weight_of(values, d) == 0.0)];
                        ends.get_or_insert_with(|| Ends::of(&values[..d])).add(&values[..d]);
                    }
                }
            }
            row += block.len() as u64;
        }
        let [counted, idle] = ends.map(|ends| ends.map(Ends::into_range).unwrap_or_default());
        out.emit(&(), &Ranges { counted, idle, not_finite, zero_row })
    }
}

/// The smallest and the largest values so far.
struct Ends<T> {
    min: Vec<T>,
    max: Vec<T>,
}

impl<T: Scalar> Ends<T> {
    fn of(row: &[T]) -> Self {
        Self { min: row.to_vec(), max: row.to_vec() }
    }

    /// Takes in a row.
    fn add(&mut self, row: &[T]) {
        for ((&x, min), max) in row.iter().zip(&mut self.min).zip(&mut self.max) {
            *min = if x < *min { x } else { *min };
            *max = if x > *max { x } else { *max };
        }
    }

    /// Takes in rows, at least one. Several at a time, as one is shorter than a vector register: the columns of so many rows
    /// are columns of their own until the end.
    fn extend(&mut self, rows: &[T], d: usize) {
        let together = (64_usize.div_ceil(d) * d).min(rows.len());
        let mut ends = Ends::of(&rows[..together]);
        rows.chunks(together).for_each(|rows| ends.add(rows));
        ends.min.chunks(d).chain(ends.max.chunks(d)).for_each(|row| self.add(row));
    }

    fn into_range(self) -> Range {
        let wide = |values: Vec<T>| values.into_iter().map(T::to_f64).collect();
        Range { min: wide(self.min), max: wide(self.max) }
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

/// Adds up the squares of all elements, exactly; each as often as its row weighs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct AddSquares<T> {
    d: u64,
    scalar: PhantomData<fn() -> T>,
}

impl<T> AddSquares<T> {
    /// For rows of `d` columns.
    pub fn new(d: usize) -> Self {
        Self { d: d as u64, scalar: PhantomData }
    }
}

impl<T: Scalar> Mapper for AddSquares<T> {
    type Input = CentredRows<T>;
    type Key = ();
    type Value = ExactSum;

    fn map(&self, row: &[T], out: &mut impl Emit<(), ExactSum>) -> Result {
        let mut sum = ExactSum::new();
        add_squares(row, self.d as usize, &mut sum);
        out.emit(&(), &sum)
    }

    fn map_split(&self, split: &mut Split<'_, CentredRows<T>>, out: &mut impl Emit<(), ExactSum>) -> Result {
        let (progress, d) = (split.progress(), self.d as usize);
        let mut sum = ExactSum::new();
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            match block.width == d {
                true => squares::add_squares(Isa::detect(), block.values, &mut sum),
                false => block.into_iter().for_each(|row| add_squares(row, d, &mut sum)),
            }
        }
        out.emit(&(), &sum)
    }
}

/// Adds the squares of a row's `d` columns, as often as it weighs.
fn add_squares<T: Scalar>(row: &[T], d: usize, sum: &mut ExactSum) {
    let Some(weight) = row.get(d) else { return row.iter().for_each(|&x| sum.add_square(x)) };
    for x in &row[..d] {
        let (x, weight) = (x.to_f64(), weight.to_f64());
        let square = x * x;
        sum.add_product(weight, square);
        if !T::SQUARE_IS_EXACT {
            sum.add_product(weight, x.mul_add(x, -square));
        }
    }
}

impl<T: Scalar> SimpleJob for AddSquares<T> {
    const NAME: &'static str = name_for::<T>("k-means/squares/f32", "k-means/squares/f64");
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}
