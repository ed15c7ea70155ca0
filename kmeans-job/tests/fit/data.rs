//! The data sets of the tests.

use kmeans_job::{
    data::{self, Matrix, Points},
    numeric::random::uniform,
};

/// Rows in `f64`, from which points of either type are made.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) d: usize,
    pub(crate) values: Vec<f64>,
}

impl Table {
    pub(crate) fn new(d: usize, values: impl Into<Vec<f64>>) -> Self {
        Self { d, values: values.into() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.values.len() / self.d
    }

    pub(crate) fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.d..][..self.d]
    }

    /// The given rows, one after the other.
    pub(crate) fn pick(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        Self::new(self.d, rows.into_iter().flat_map(|row| self.row(row)).copied().collect::<Vec<_>>())
    }

    /// Every value changed by `f`, which is also told its column.
    pub(crate) fn map(&self, f: impl Fn(usize, f64) -> f64) -> Self {
        Self::new(self.d, self.values.iter().enumerate().map(|(i, &x)| f(i % self.d, x)).collect::<Vec<_>>())
    }

    pub(crate) fn f64(&self) -> Points {
        Points::F64(self.matrix())
    }

    pub(crate) fn f32(&self) -> Points {
        let values = self.values.iter().map(|&x| x as f32).collect();
        Points::F32(Matrix::new(self.rows(), self.d, values).unwrap())
    }

    pub(crate) fn matrix(&self) -> Matrix<f64> {
        Matrix::new(self.rows(), self.d, self.values.clone()).unwrap()
    }
}

pub(crate) fn iris() -> Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/iris.csv");
    match data::load(path.as_ref(), &|| false).unwrap() {
        Points::F64(matrix) => Table::new(matrix.d(), matrix.into_values()),
        _ => unreachable!("tables are read as f64"),
    }
}

/// `n` points around `clusters` centres in the unit cube, with a spread of about `spread`.
pub(crate) fn blobs(n: usize, d: usize, clusters: usize, spread: f64, seed: u64) -> Table {
    let values = (0..n * d).map(|i| {
        let (row, column) = (i / d, i % d);
        let centre = uniform(seed, 1, (row % clusters * d + column) as u64);
        let noise: f64 = (2..6).map(|stream| uniform(seed, stream, i as u64) - 0.5).sum();
        centre + spread * noise
    });
    Table::new(d, values.collect::<Vec<_>>())
}

/// `n` points with whole coordinates from 0 to `max`: ties everywhere.
pub(crate) fn integers(n: usize, d: usize, max: u32, seed: u64) -> Table {
    let values = (0..(n * d) as u64).map(|i| (uniform(seed, 0, i) * f64::from(max + 1)).ceil() - 1.0);
    Table::new(d, values.collect::<Vec<_>>())
}

/// All points with whole coordinates from 0 to `side - 1`.
pub(crate) fn grid(side: usize, d: usize) -> Table {
    let values = (0..side.pow(d as u32)).flat_map(|i| (0..d).map(move |j| i / side.pow(j as u32) % side));
    Table::new(d, values.map(|x| x as f64).collect::<Vec<_>>())
}
