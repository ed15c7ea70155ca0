//! One round of k-means|| or k-means++: rows far from the candidates so far are sampled, or the candidates weighed or
//! tried.
//!
//! Source: Bahmani et al., "Scalable k-means++", VLDB 2012. Their round draws each row with a probability that needs
//! the total of the distances first; here a round draws a fixed number of rows without replacement, with
//! probabilities proportional to the squared distances, by exponential keys (see
//! [`sampling_key`]), which takes one pass and no total.

use super::{
    Candidate, TopRows, fingerprint, first_row, name_for, rounded,
    rows::{CentredRows, weight_of},
};
use crate::{
    kernel::{assign::assign, distance::squared_distances, isa::Isa, pack::Packed},
    numeric::{
        exact::ExactSum,
        random::{sampling_key, uniform},
        scalar::Scalar,
    },
};
use mapreduce_core::{Block, RowBlock, prelude::*};
use std::{marker::PhantomData, ops::AddAssign};

/// What a round is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Purpose {
    /// Draws this many rows.
    Draw {
        /// How many.
        count: u64,
        /// Which sequence of random numbers of the seed.
        stream: u64,
        /// Whether their coordinates come along. Rows with the same coordinates then count once.
        with_points: bool,
    },
    /// Weighs for each candidate the rows that are nearest to it.
    Weigh,
    /// Finds for each candidate of the last batch what it would take off the sum of the squared distances of all rows to
    /// the nearest candidate, if it alone joined those of the batches before.
    Try,
}

/// A round of k-means||. The broadcast value holds the candidates, in the batches in which they were drawn.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Sample<T> {
    purpose: Purpose,
    seed: u64,
    d: u64,
    /// The bits of weights behind the point.
    weight_bits: u8,
    scalar: PhantomData<fn() -> T>,
}

impl<T> Sample<T> {
    /// A round over rows of `d` columns. Weights, if they have any, are multiples of `2^-weight_bits`.
    pub fn new(purpose: Purpose, seed: u64, d: usize, weight_bits: u8) -> Self {
        Self { purpose, seed, d: d as u64, weight_bits, scalar: PhantomData }
    }
}

/// What a round gives: the rows that were drawn, without their coordinates, or the weights of the candidates.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sampled {
    /// The rows.
    pub rows: TopRows,
    /// For each candidate, what the rows weigh that are nearest to it, in units of the weights: how many they are, if they
    /// have none.
    pub weights: Block<u64>,
    /// For each candidate that was tried, what it would take off the sum of the squared distances.
    pub gains: Vec<ExactSum>,
}

impl AddAssign<&Sampled> for Sampled {
    fn add_assign(&mut self, other: &Sampled) {
        self.rows += &other.rows;
        self.weights += &other.weights;
        if self.gains.is_empty() {
            self.gains.clone_from(&other.gains);
            return;
        }
        self.gains.iter_mut().zip(&other.gains).for_each(|(gain, other)| *gain += other);
    }
}

/// The mapper of [`Sample`].
pub struct Sampler<T> {
    job: Sample<T>,
    batches: Vec<Batch<T>>,
    candidates: usize,
    /// Those to try, row-major.
    tried: Vec<f64>,
}

/// Candidates that were drawn together.
struct Batch<T> {
    /// The number of candidates before it.
    first: usize,
    points: Vec<f64>,
    packed: Packed<T>,
    /// Of this batch and those before it.
    fingerprint: u64,
}

/// What a split remembers between rounds: for each row the nearest candidate and its squared distance.
struct Nearest {
    /// Fingerprint of the last batch that was taken into account.
    fingerprint: u64,
    batches: usize,
    candidate: Vec<u32>,
    distance: Vec<f64>,
}

/// How a round draws rows.
struct Draw {
    /// Which sequence of random numbers of the seed.
    stream: u64,
    /// Whether their coordinates come along.
    with_points: bool,
}

/// Rows considered at once: what is known of them stays in the first-level cache.
const ROWS: usize = 1024;

impl<T: Scalar> Sampler<T> {
    /// Brings what is known of a block's rows up to date with the batches from `known` on.
    fn update(&self, block: RowBlock<'_, T>, known: usize, candidate: &mut [u32], distance: &mut [f64]) {
        let (d, width) = (self.job.d as usize, block.width);
        let (mut labels, mut squared) = ([0; ROWS], [0.0; ROWS]);
        let chunks = block.values.chunks(ROWS * width);
        for (values, (candidate, distance)) in
            chunks.zip(candidate.chunks_mut(ROWS).zip(distance.chunks_mut(ROWS)))
        {
            let rows = RowBlock { width, values };
            let (labels, squared) = (&mut labels[..candidate.len()], &mut squared[..candidate.len()]);
            for batch in &self.batches[known..] {
                match batch.points.len() == d {
                    true => labels.fill(0), // a candidate alone is the nearest
                    false => assign(Isa::detect(), &batch.packed, rows, labels, None),
                }
                squared_distances(Isa::detect(), rows, d, labels, &batch.points, squared);
                for (i, (&label, &squared)) in labels.iter().zip(&*squared).enumerate() {
                    if squared < distance[i] {
                        distance[i] = squared;
                        candidate[i] = batch.first as u32 + label;
                    }
                }
            }
        }
    }

    /// Draws among the rows of a block, the first of which has the index `first`, in proportion to weight times distance.
    fn draw(&self, draw: &Draw, first: u64, block: RowBlock<'_, T>, distance: &[f64], drawn: &mut TopRows) {
        let (d, &Draw { stream, with_points }) = (self.job.d as usize, draw);
        let weigh = |i: usize| match block.width == d {
            true => 1.0,
            false => block.values[i * block.width + d].to_f64(),
        };
        for (i, &distance) in distance.iter().enumerate() {
            let distance = weigh(i) * distance;
            if distance > 0.0 {
                let row = first + i as u64;
                let u = uniform(self.job.seed, stream, row);
                // -ln(u) >= 1 - u: most rows are out without a logarithm.
                if drawn.bound().is_some_and(|bound| 1.0 - u > bound * distance) {
                    continue;
                }
                let key = sampling_key(u, distance);
                if drawn.admits(key) {
                    let values = &block.values[i * block.width..][..if with_points { d } else { 0 }];
                    let point = values.iter().map(|x| x.to_f64()).collect();
                    drawn.add(Candidate { key, row, label: 0, weight: weigh(i), point });
                }
            }
        }
    }

    /// Adds to the gain of each candidate that is tried. Few rows are nearer to it than to those there are: most add
    /// nothing.
    fn try_each(&self, block: RowBlock<'_, T>, distance: &[f64], gains: &mut [ExactSum]) {
        let (d, width) = (self.job.d as usize, block.width);
        let mut squared = [0.0; ROWS];
        for (values, distance) in block.values.chunks(ROWS * width).zip(distance.chunks(ROWS)) {
            let rows = RowBlock { width, values };
            let squared = &mut squared[..distance.len()];
            for (label, gain) in (0..).zip(&mut *gains) {
                let labels = &[label; ROWS][..distance.len()];
                squared_distances(Isa::detect(), rows, d, labels, &self.tried, squared);
                for (i, (&new, &known)) in squared.iter().zip(distance).enumerate() {
                    if new < known && width == d {
                        gain.add(known);
                        gain.add(-new);
                    } else if new < known {
                        let weight = values[i * width + d].to_f64();
                        gain.add_product(weight, known);
                        gain.add_product(-weight, new);
                    }
                }
            }
        }
    }
}

impl<T: Scalar> Mapper for Sampler<T> {
    type Input = CentredRows<T>;
    type Key = ();
    type Value = Sampled;

    fn map(&self, _: &[T], _: &mut impl Emit<(), Sampled>) -> Result {
        Err("a row's random number depends on its index, which only a split knows".into())
    }

    fn map_split(&self, split: &mut Split<'_, CentredRows<T>>, out: &mut impl Emit<(), Sampled>) -> Result {
        let (progress, first) = (split.progress(), first_row(split)?);
        let mut nearest = match split.take_cache::<Nearest>() {
            Some(cached)
                if self
                    .batches
                    .get(cached.batches.wrapping_sub(1))
                    .is_some_and(|batch| batch.fingerprint == cached.fingerprint) =>
            {
                cached
            }
            _ => {
                Box::new(Nearest { fingerprint: 0, batches: 0, candidate: Vec::new(), distance: Vec::new() })
            }
        };
        let known = nearest.batches;
        let mut sampled = Sampled::default();
        match self.job.purpose {
            Purpose::Draw { count, .. } => sampled.rows = TopRows::new(count as usize),
            Purpose::Weigh => sampled.weights = Block::zeros(self.candidates),
            Purpose::Try => {
                sampled.gains = vec![ExactSum::new(); self.tried.len() / self.job.d as usize];
            }
        }
        let mut done = 0;
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            let rows = done..done + block.len();
            done = rows.end;
            if nearest.distance.len() < done {
                nearest.distance.resize(done, f64::INFINITY);
                nearest.candidate.resize(done, 0);
            }
            let Nearest { candidate, distance, .. } = &mut *nearest;
            let (candidate, distance) = (&mut candidate[rows.clone()], &mut distance[rows.clone()]);
            self.update(block, known, candidate, distance);
            match self.job.purpose {
                Purpose::Draw { stream, with_points, .. } => {
                    let draw = Draw { stream, with_points };
                    self.draw(&draw, first + rows.start as u64, block, distance, &mut sampled.rows);
                }
                Purpose::Weigh => {
                    let (d, units) = (self.job.d as usize, f64::from(1 << self.job.weight_bits));
                    for (row, &candidate) in block.into_iter().zip(&*candidate) {
                        sampled.weights[candidate as usize] += (weight_of(row, d) * units) as u64;
                    }
                }
                Purpose::Try => self.try_each(block, distance, &mut sampled.gains),
            }
        }
        nearest.batches = self.batches.len();
        nearest.fingerprint = self.batches.last().map_or(0, |batch| batch.fingerprint);
        if self.job.purpose != Purpose::Weigh {
            let bytes = size_of_val(&*nearest.candidate) + size_of_val(&*nearest.distance);
            split.put_cache_of_bytes(nearest, bytes as u64);
        }
        out.emit(&(), &sampled)
    }
}

impl<T: Scalar> Job for Sample<T> {
    const NAME: &'static str = name_for::<T>("k-means/sample/f32", "k-means/sample/f64");
    type Shared = Vec<Vec<f64>>;
    type Mapper = Sampler<T>;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;

    fn mapper(&self, shared: &Vec<Vec<f64>>) -> Result<Sampler<T>> {
        let d = self.d as usize;
        let (mut batches, mut candidates, mut so_far) = (Vec::new(), 0, self.seed);
        let (tried, shared) = match (&self.purpose, shared.split_last()) {
            (Purpose::Try, Some((tried, chosen))) => (tried.clone(), chosen),
            _ => (Vec::new(), &shared[..]),
        };
        for points in shared {
            so_far = so_far.rotate_left(1) ^ fingerprint(points);
            batches.push(Batch {
                first: candidates,
                points: points.clone(),
                packed: Packed::new(&rounded::<T>(points), d),
                fingerprint: so_far,
            });
            candidates += points.len() / d;
        }
        Ok(Sampler { job: self.clone(), batches, candidates, tried })
    }

    fn combiner(&self) -> Sum {
        Sum
    }

    fn reducer(&self, _: &Vec<Vec<f64>>) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
}
