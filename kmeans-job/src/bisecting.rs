//! Bisecting K-means: the widest cluster is split in two until there are enough.

use crate::{
    centred::Centred,
    clock::Clock,
    data::Matrix,
    error::{DataError, FitError},
    fit::{Iteration, Pass, Search},
    iterations::Fitted,
    jobs::rows::weight_of,
    kernel::{
        distance::{squared_distance, squared_distances},
        isa::Isa,
    },
    kmeans::{EmptyClusters, Observer},
    labelling::label,
    numeric::{exact::ExactSum, random::bits, scalar::Scalar},
    session::Session,
    stand_in::StandIn,
    start,
};
use mapreduce_core::{Engine, RowBlock};

/// Random numbers for the seeds of splits.
const STREAM_SPLIT: u64 = 0x73_706c_6974; // "split"

/// A cluster on the way.
struct Part {
    /// Its rows, ascending.
    rows: Vec<usize>,
    /// In the coordinates of the centred rows.
    centroid: Vec<f64>,
    inertia: f64,
    /// Whether it has yet to be found that its rows cannot be told apart.
    divisible: bool,
}

/// A cluster in two.
struct Halves {
    parts: [Part; 2],
    converged: bool,
}

/// Splits clusters until there are `k`. The costs are the sums of inertias ahead of each split.
pub(crate) fn bisect<T: Scalar, E: Engine>(
    search: &Search<'_, T>,
    pass: Pass<'_>,
    session: &mut Session<'_, E>,
    start_seconds: &mut f64,
) -> Result<Fitted, FitError> {
    let Pass { k, number: run, seed, observer, .. } = pass;
    start::distinct(k, seed, search.centred.d(), search.data, session)?;
    let silent = Observer::none();
    let pass = Pass { empty: EmptyClusters::Relocate, observer: &silent, ..pass };
    let whole = search.lloyd(Pass { k: 1, ..pass }, session, start_seconds)?;
    let labelled = label(&whole.centroids, search.centred, search.data, session)?;
    let mut parts = vec![Part {
        rows: (0..search.centred.rows()).collect(),
        centroid: whole.centroids,
        inertia: labelled.inertia,
        divisible: true,
    }];
    let (mut costs, mut converged) = (Vec::new(), true);
    let clock = Clock::start();
    while parts.len() < k {
        let Some(widest) = widest(&parts) else {
            return Err(FitError::TooFewDistinct { k, distinct: parts.len() });
        };
        let number = parts.len() as u32;
        let pass = Pass { k: 2, seed: bits(seed, STREAM_SPLIT, number.into()), ..pass };
        let Some(halves) = split(search, &parts, widest, pass, session, start_seconds)? else {
            parts[widest].divisible = false;
            continue;
        };
        costs.push(parts.iter().map(|part| part.inertia).sum());
        converged &= halves.converged;
        let [stays, new] = halves.parts;
        let (cost, moved) = (costs[costs.len() - 1], new.rows.len() as u64);
        let shift = squared_distance(&stays.centroid, &parts[widest].centroid);
        observer.tell(&Iteration { k, run, number, cost, moved, shift, seconds: clock.lap() });
        parts[widest] = stays;
        parts.push(new);
    }
    let centroids: Vec<f64> = parts.into_iter().flat_map(|part| part.centroid).collect();
    // What a model keeps is what the rows are labelled by.
    let centroids = search.centred.settle(centroids.clone(), &centroids);
    Ok(Fitted { centroids, converged, costs })
}

/// The cluster with the largest inertia of those that may be split, of equals the first.
fn widest(parts: &[Part]) -> Option<usize> {
    let divisible = parts.iter().enumerate().filter(|(_, part)| part.divisible);
    let widest = divisible.reduce(|best, other| if other.1.inertia > best.1.inertia { other } else { best });
    widest.map(|(index, _)| index)
}

/// Splits a cluster by Lloyd's algorithm on its rows. `None` if they cannot be told apart.
fn split<T: Scalar, E: Engine>(
    search: &Search<'_, T>,
    parts: &[Part],
    index: usize,
    pass: Pass<'_>,
    session: &mut Session<'_, E>,
    start_seconds: &mut f64,
) -> Result<Option<Halves>, FitError> {
    let part = &parts[index];
    if let [_] = parts {
        // All rows, which lie together as they are.
        return split_rows(search, part, pass, session, start_seconds);
    }
    let mut apart = session.apart();
    let found = split_apart(search, part, pass, &mut apart, start_seconds);
    session.report.merge(&apart.report);
    match found {
        Err(FitError::TooFewDistinct { .. } | FitError::Data(DataError::TooSmall { .. })) => Ok(None),
        found => found,
    }
}

/// Gathers the rows of a cluster and splits it.
fn split_apart<T: Scalar, E: Engine>(
    search: &Search<'_, T>,
    part: &Part,
    pass: Pass<'_>,
    session: &mut Session<'_, E>,
    start_seconds: &mut f64,
) -> Result<Option<Halves>, FitError> {
    let all = search.centred.in_memory().ok_or(FitError::InFiles)?;
    let gathered = search.centred.gather(all, &part.rows);
    let (centred, columns) = Centred::new(gathered, search.centred.distance, session)?;
    let data = centred.dataset(session)?;
    let spread = centred.spread(&columns, &data, session)?;
    let of_part = Search {
        kmeans: search.kmeans,
        wants_labels: search.wants_labels,
        centred: &centred,
        columns: &columns,
        spread: &spread,
        data: &data,
        stand_in: &StandIn::default(),
        replacement: None,
    };
    let halves = split_rows(&of_part, part, pass, session, start_seconds)?;
    Ok(halves.map(|mut halves| {
        for half in &mut halves.parts {
            half.centroid = centred.restore(&half.centroid);
        }
        halves
    }))
}

/// Splits a cluster whose rows are all those of `search`, in their order. `None` if all stay in one.
fn split_rows<T: Scalar, E: Engine>(
    search: &Search<'_, T>,
    part: &Part,
    pass: Pass<'_>,
    session: &mut Session<'_, E>,
    start_seconds: &mut f64,
) -> Result<Option<Halves>, FitError> {
    let centred = search.centred;
    let fitted = search.lloyd(pass, session, start_seconds)?;
    let labelled = label(&fitted.centroids, centred, search.data, session)?;
    let inertias = inertias(centred, &fitted.centroids, &labelled.labels);
    let half = |label: i32| {
        let rows = part.rows.iter().zip(&labelled.labels).filter(|(_, found)| **found == label);
        let (d, label) = (centred.d(), label as usize);
        Part {
            rows: rows.map(|(&row, _)| row).collect(),
            centroid: fitted.centroids[label * d..][..d].to_vec(),
            inertia: inertias[label],
            divisible: inertias[label] > 0.0,
        }
    };
    let halves = Halves { parts: [half(0), half(1)], converged: fitted.converged };
    Ok(halves.parts.iter().all(|half| !half.rows.is_empty()).then_some(halves))
}

/// The inertia of each of two clusters.
fn inertias<T: Scalar>(centred: &Centred<T>, centroids: &[f64], labels: &[i32]) -> [f64; 2] {
    /// Rows at a time, which stay in the first-level cache.
    const ROWS: usize = 1024;
    let mut sums = [ExactSum::new(), ExactSum::new()];
    let (mut of_rows, mut squared) = (Vec::with_capacity(ROWS), [0.0; ROWS]);
    let (d, all) = (centred.d(), centred.in_memory());
    let width = all.map_or(d, Matrix::d);
    let values = all.map_or(&[][..], Matrix::values);
    for (values, labels) in values.chunks(ROWS * width).zip(labels.chunks(ROWS)) {
        let rows = RowBlock { width, values };
        of_rows.clear();
        of_rows.extend(labels.iter().map(|&label| label as u32));
        let squared = &mut squared[..labels.len()];
        squared_distances(Isa::detect(), rows, d, &of_rows, centroids, squared);
        for ((row, &label), &squared) in rows.into_iter().zip(&of_rows).zip(&*squared) {
            sums[label as usize].add_product(weight_of(row, d), squared);
        }
    }
    sums.map(|sum| centred.cost(sum.value()))
}
