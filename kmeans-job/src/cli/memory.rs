//! Whether points are loaded, or read from their files in each pass: a matter of `--memory`.

use kmeans_job::data::{Dtype, Points};
use std::{
    fmt,
    io::{self, Write as _},
    path::Path,
};

/// What a fit or a prediction needs besides the points: threads, buffers, the program.
const REST_BYTES: u64 = 100_000_000;
/// What it keeps of each point: labels, and what saves work in the next pass.
const POINT_BYTES: u64 = 16;
/// A weight as it was read, and as it is put behind its point.
const WEIGHT_BYTES: u64 = 16;
/// The cluster of a point while clusters are split.
const CLUSTER_BYTES: u64 = 4;
/// Copies of so many bytes are in memory under any budget.
const COPY_BYTES: u64 = 1 << 20;

/// How often the values of points are there once they are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Once,
    /// As they were as well, for their distances.
    Twice,
}

impl Held {
    /// What it takes to write distances, or not: a fit moves the points that it is given.
    pub(crate) fn with_distances(are_wanted: bool) -> Self {
        if are_wanted { Self::Twice } else { Self::Once }
    }

    /// Tenths of the bytes of the values that are needed in all.
    fn tenths(self) -> u64 {
        match self {
            Self::Once => 13,
            Self::Twice => 23,
        }
    }

    /// Whether so many points may be loaded, of which the values are so many bytes.
    pub(crate) fn fits(self, bytes: u64, points: u64, budget: u64) -> bool {
        let of_points = points.saturating_mul(POINT_BYTES);
        (bytes / 10).saturating_mul(self.tenths()).saturating_add(of_points) <= budget - rest(budget)
    }

    /// The most bytes of points that may be loaded where nobody knows how many they are until then: of values, and
    /// [so many more](Self::row_bytes) for each point.
    pub(crate) fn loaded_max(self, budget: u64) -> u64 {
        ((budget - rest(budget)) / self.tenths()).saturating_mul(10)
    }

    /// What counts besides the values of each point in [`loaded_max`](Self::loaded_max), which is of the values alone.
    pub(crate) fn row_bytes(self) -> u64 {
        POINT_BYTES * 10 / self.tenths() + 1
    }
}

/// The most bytes that a copy of some of the points may take in memory: what is left of the budget by the points, if they are
/// loaded, and by what is kept of each. A small copy is in memory whatever the budget.
pub(crate) fn copies_max(points: &Points, held: Held, has_weights: bool, budget: u64) -> u64 {
    let rows = points.rows() as u64;
    let loaded = match points {
        Points::Files(_) => 0,
        loaded => {
            let times = if held == Held::Twice { 2 } else { 1 };
            rows.saturating_mul(loaded.d() as u64).saturating_mul(times * value_bytes(loaded.dtype()))
        }
    };
    let of_point = POINT_BYTES + kept_bytes(has_weights, true);
    let kept = loaded.saturating_add(rows.saturating_mul(of_point));
    (budget - rest(budget)).saturating_sub(kept).max(COPY_BYTES)
}

fn value_bytes(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::F32 => 4,
        Dtype::F64 => 8,
    }
}

/// What is to be kept of points in files besides what the engine counts itself.
pub(crate) fn of_files(points: &Points, has_weights: bool, is_bisected: bool) -> u64 {
    let Points::Files(files) = points else { return 0 };
    (files.rows() as u64).saturating_mul(kept_bytes(has_weights, is_bisected))
}

/// What is kept of each point, but for what saves work.
fn kept_bytes(has_weights: bool, is_bisected: bool) -> u64 {
    u64::from(has_weights) * WEIGHT_BYTES + u64::from(is_bisected) * CLUSTER_BYTES
}

/// Of a small budget half is for points, so that a few of them are loaded whatever it is.
fn rest(budget: u64) -> u64 {
    REST_BYTES.min(budget / 2)
}

/// Says that points stay in their files, or are in a temporary one in a folder.
pub(crate) fn tell(name: &Path, bytes: u64, budget: u64, folder: Option<&Path>, quiet: bool) {
    if !quiet {
        let (name, bytes, budget) = (name.display(), Size(bytes), Size(budget));
        let stay = match folder {
            None => "they are read from the file in each pass".to_owned(),
            Some(folder) => {
                let folder = folder.display();
                format!("they are kept in a temporary file in {folder} and read from there in each pass")
            }
        };
        // One call, so that no other line comes between. A closed standard error is no reason to stop.
        let _ = io::stderr().write_all(
            format!("{name}: {bytes} of points do not fit into {budget} of memory (--memory); {stay}\n")
                .as_bytes(),
        );
    }
}

/// Bytes, as people read them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        match bytes {
            0..1_000 => write!(f, "{bytes} bytes"),
            1_000..1_000_000 => write!(f, "{:.1} KB", bytes as f64 / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.1} MB", bytes as f64 / 1e6),
            _ => write!(f, "{:.1} GB", bytes as f64 / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kmeans_job::data::Matrix;

    #[test]
    fn a_gigabyte_of_points_needs_half_as_much_more() {
        assert!(Held::Once.fits(1_000_000_000, 10_000_000, 1_560_000_000));
        assert!(!Held::Once.fits(1_000_000_000, 10_000_000, 1_559_999_999));
        assert!(Held::Twice.fits(1_000_000_000, 10_000_000, 2_560_000_000));
        assert!(!Held::Twice.fits(1_000_000_000, 10_000_000, 2_559_999_999));
        assert!(Held::Once.fits(100, 10, 600) && !Held::Once.fits(100, 10, 500));
        assert!(!Held::Once.fits(u64::MAX, u64::MAX, u64::MAX));
    }

    #[test]
    fn what_may_be_loaded_fits_with_its_margin() {
        assert_eq!(Held::Once.loaded_max(1_400_000_000), 1_000_000_000);
        assert_eq!(Held::Twice.loaded_max(2_400_000_000), 1_000_000_000);
        assert_eq!(Held::Once.loaded_max(26), 10);
        for held in [Held::Once, Held::Twice] {
            assert!(held.fits(held.loaded_max(u64::MAX), 0, u64::MAX));
        }
    }

    #[test]
    fn copies_may_take_what_the_points_leave() {
        let loaded = Points::F64(Matrix::new(1_000_000, 2, vec![0.0; 2_000_000]).unwrap());
        let room = copies_max(&loaded, Held::Once, false, 300_000_000);
        assert_eq!(room, 300_000_000 - 100_000_000 - 16_000_000 - 20_000_000);
        assert_eq!(copies_max(&loaded, Held::Twice, false, 300_000_000), room - 16_000_000);
        assert_eq!(copies_max(&loaded, Held::Once, true, 300_000_000), room - 16_000_000);
        assert_eq!(copies_max(&loaded, Held::Once, false, 10_000_000), COPY_BYTES);
        assert_eq!(of_files(&loaded, true, true), 0);
    }

    #[test]
    fn sizes_are_shown_in_round_numbers() {
        let shown = [999, 1_000, 2_560_000, 20_000_000_000].map(|bytes| Size(bytes).to_string());
        assert_eq!(shown, ["999 bytes", "1.0 KB", "2.6 MB", "20.0 GB"]);
    }
}
