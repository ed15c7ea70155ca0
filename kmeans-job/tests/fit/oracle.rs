//! Lloyd's algorithm in plain loops: every distance by direct differences, every sum in the order of the rows.

use super::data::Table;
use kmeans_job::Iteration;

/// What the plain loops come to.
#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) labels: Vec<i32>,
    pub(crate) centroids: Vec<f64>,
    pub(crate) inertia: f64,
    pub(crate) converged: bool,
    pub(crate) iterations: Vec<Iteration>,
    /// Iterations in which a cluster was empty.
    pub(crate) relocations: usize,
    /// The first labelling (counted from 1) in which two choices differ by less than rounding could turn round.
    ambiguous: Option<u32>,
}

/// Lloyd's iterations from `start`, at most `max_iter` of them.
///
/// Where the rounding of centroids decides, two correct programs may differ: the iterations then end before that,
/// so that what is returned is beyond doubt. `None` if that leaves none.
pub(crate) fn lloyd(table: &Table, start: &[f64], tol: f64, max_iter: u32) -> Option<(u32, Oracle)> {
    let mut max_iter = max_iter;
    loop {
        let oracle = lloyd_regardless(table, start, tol, max_iter);
        match oracle.ambiguous {
            None => return Some((max_iter, oracle)),
            // `m` iterations take `m` labellings, and one more for the labels of the result.
            Some(labelling) if labelling > 2 => max_iter = labelling - 2,
            Some(_) => return None,
        }
    }
}

fn lloyd_regardless(table: &Table, start: &[f64], tol: f64, max_iter: u32) -> Oracle {
    let (n, d, k) = (table.rows(), table.d, start.len() / table.d);
    let resolution = 1e-10 * squares(table);
    let shift_max = tol * mean_variance(table);
    let mut oracle = Oracle {
        labels: Vec::new(),
        centroids: start.to_vec(),
        inertia: 0.0,
        converged: false,
        iterations: Vec::new(),
        relocations: 0,
        ambiguous: None,
    };
    for number in 1..=max_iter {
        let before = std::mem::take(&mut oracle.labels);
        let (labels, distances) = oracle.label(table, number, resolution);
        let moved = (0..n).filter(|&i| before.get(i) != Some(&labels[i])).count() as u64;

        let mut sums = vec![0.0; k * d];
        let mut counts = vec![0.0; k];
        for (i, &label) in labels.iter().enumerate() {
            add(&mut sums, &mut counts, label as usize, table.row(i), 1.0);
        }
        let empty: Vec<usize> = (0..k).filter(|&c| counts[c] == 0.0).collect();
        let mut relocated = false;
        if !empty.is_empty() {
            oracle.relocations += 1;
            let mut farthest: Vec<usize> = (0..n).filter(|&i| distances[i] > 0.0).collect();
            let by_place = |a, b| table.row(a).partial_cmp(table.row(b)).expect("numbers");
            farthest.sort_by(|&a, &b| {
                distances[b].total_cmp(&distances[a]).then_with(|| by_place(a, b)).then(a.cmp(&b))
            });
            let mut distinct: Vec<usize> = Vec::new();
            for i in farthest {
                if distinct.iter().all(|&other| table.row(other) != table.row(i)) {
                    distinct.push(i);
                }
            }
            for pair in distinct.windows(2).take(empty.len()) {
                let exact = pair.iter().all(|&i| oracle.is_exact(table, i, labels[i]));
                if distances[pair[0]] - distances[pair[1]] <= resolution && !exact {
                    oracle.ambiguous = oracle.ambiguous.or(Some(number));
                }
            }
            for (&to, &i) in empty.iter().zip(&distinct) {
                add(&mut sums, &mut counts, labels[i] as usize, table.row(i), -1.0);
                add(&mut sums, &mut counts, to, table.row(i), 1.0);
                relocated = true;
            }
        }
        let mut shift = 0.0;
        for c in (0..k).filter(|&c| counts[c] > 0.0) {
            for (x, sum) in oracle.centroids[c * d..][..d].iter_mut().zip(&sums[c * d..]) {
                let mean = sum / counts[c];
                shift += (mean - *x).powi(2);
                *x = mean;
            }
        }
        oracle.labels = labels;
        oracle.iterations.push(Iteration {
            k,
            run: 1,
            number,
            cost: distances.iter().sum(),
            moved,
            shift,
            seconds: 0.0,
        });
        let unmoved = number > 1 && moved == 0;
        if shift == 0.0 || (!relocated && (unmoved || shift <= shift_max)) {
            oracle.converged = true;
            break;
        }
    }
    let (labels, distances) = oracle.label(table, oracle.iterations.len() as u32 + 1, resolution);
    oracle.labels = labels;
    oracle.inertia = distances.iter().sum();
    oracle
}

impl Oracle {
    /// The nearest centroid of each row and the squared distance to it.
    fn label(&mut self, table: &Table, labelling: u32, resolution: f64) -> (Vec<i32>, Vec<f64>) {
        let mut result = (Vec::new(), Vec::new());
        for i in 0..table.rows() {
            let distances: Vec<f64> =
                self.centroids.chunks_exact(table.d).map(|c| squared_distance(table.row(i), c)).collect();
            let mut best = 0;
            for (c, &distance) in distances.iter().enumerate() {
                if distance < distances[best] {
                    best = c;
                }
            }
            for (c, &distance) in distances.iter().enumerate() {
                let same = self.centroid(c, table.d) == self.centroid(best, table.d);
                let exact = self.is_exact(table, i, c as i32) && self.is_exact(table, i, best as i32);
                if distance - distances[best] <= resolution && !same && !exact {
                    self.ambiguous = self.ambiguous.or(Some(labelling));
                }
            }
            result.0.push(best as i32);
            result.1.push(distances[best]);
        }
        result
    }

    fn centroid(&self, c: usize, d: usize) -> &[f64] {
        &self.centroids[c * d..(c + 1) * d]
    }

    /// Whether the distance of a row to a centroid takes so few bits that nobody rounds it.
    fn is_exact(&self, table: &Table, row: usize, label: i32) -> bool {
        let short = |x: &f64| (x * 256.0).fract() == 0.0 && x.abs() < 4096.0;
        table.row(row).iter().chain(self.centroid(label as usize, table.d)).all(short)
    }
}

fn add(sums: &mut [f64], counts: &mut [f64], label: usize, row: &[f64], times: f64) {
    counts[label] += times;
    for (sum, x) in sums[label * row.len()..].iter_mut().zip(row) {
        *sum += times * x;
    }
}

pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// The mean of the squared distances of the rows to their mean.
pub(crate) fn squares(table: &Table) -> f64 {
    mean_variance(table) * table.d as f64
}

fn mean_variance(table: &Table) -> f64 {
    let (n, d) = (table.rows() as f64, table.d);
    let column = |j: usize| (0..table.rows()).map(move |i| table.row(i)[j]);
    let variances = (0..d).map(|j| {
        let mean = column(j).sum::<f64>() / n;
        column(j).map(|x| (x - mean).powi(2)).sum::<f64>() / n
    });
    variances.sum::<f64>() / d as f64
}
