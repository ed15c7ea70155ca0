//! Bisecting K-means: the widest cluster is split in two until there are enough.

use crate::{
    centred::Centred,
    clock::Clock,
    error::{DataError, FitError},
    fit::{Iteration, Pass, Search},
    gathering::{RUN, gather},
    iterations::Fitted,
    jobs::halves::{Halve, Halved},
    kernel::distance::squared_distance,
    kmeans::{EmptyClusters, Observer},
    labelling::count,
    numeric::{exact::ExactSum, random::bits, scalar::Scalar},
    session::Session,
    stand_in::StandIn,
    start,
};
use mapreduce_core::Engine;

/// Random numbers for the seeds of splits.
const STREAM_SPLIT: u64 = 0x73_706c_6974; // "split"

/// A cluster on the way.
struct Part {
    /// The number of its rows.
    rows: usize,
    /// In the coordinates of the centred rows.
    centroid: Vec<f64>,
    inertia: f64,
    /// Whether it has yet to be found that its rows cannot be told apart.
    divisible: bool,
}

/// The clusters so far, and which of them each row belongs to.
struct Clusters {
    parts: Vec<Part>,
    of_rows: Vec<u32>,
}

/// A cluster in two.
struct Halves {
    parts: [Part; 2],
    /// Which of them each of its rows belongs to, in their order.
    halved: Vec<Halved>,
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
    let rows = search.centred.rows();
    start::distinct(k, seed, search.centred.d(), search.data, session)?;
    let silent = Observer::none();
    let pass = Pass { empty: EmptyClusters::Relocate, observer: &silent, ..pass };
    let whole = search.lloyd(Pass { k: 1, ..pass }, session, start_seconds)?;
    let inertia = count(&whole.centroids, search.centred, search.data, session)?.inertia;
    let whole = Part { rows, centroid: whole.centroids, inertia, divisible: true };
    let mut clusters = Clusters { parts: vec![whole], of_rows: vec![0; rows] };
    let (mut costs, mut converged) = (Vec::new(), true);
    let clock = Clock::start();
    while clusters.parts.len() < k {
        let parts = &mut clusters.parts;
        let Some(widest) = widest(parts) else {
            return Err(FitError::TooFewDistinct { k, distinct: parts.len() });
        };
        let number = parts.len() as u32;
        let pass = Pass { k: 2, seed: bits(seed, STREAM_SPLIT, number.into()), ..pass };
        let Some(halves) = split(search, &clusters, widest, pass, session, start_seconds)? else {
            clusters.parts[widest].divisible = false;
            continue;
        };
        let cost = clusters.parts.iter().map(|part| part.inertia).sum();
        costs.push(cost);
        converged &= halves.converged;
        let [stays, new] = &halves.parts;
        let moved = new.rows as u64;
        let shift = squared_distance(&stays.centroid, &clusters.parts[widest].centroid);
        observer.tell(&Iteration { k, run, number, cost, moved, shift, seconds: clock.lap() });
        clusters.replace(widest, halves);
    }
    let centroids: Vec<f64> = clusters.parts.into_iter().flat_map(|part| part.centroid).collect();
    // What a model keeps is what the rows are labelled by.
    let centroids = search.centred.settle(centroids.clone(), &centroids);
    Ok(Fitted { centroids, converged, costs })
}

impl Clusters {
    /// Puts the first half in the place of a cluster, and the second behind all others.
    fn replace(&mut self, index: usize, halves: Halves) {
        let (whole, new) = (index as u32, self.parts.len() as u32);
        let runs = self.of_rows.chunks_mut(RUN).filter(|run| run.contains(&whole));
        let of_whole = runs.flatten().filter(|cluster| **cluster == whole);
        for (cluster, in_second) in of_whole.zip(halves.halved.iter().flat_map(Halved::in_second)) {
            if in_second {
                *cluster = new;
            }
        }
        let [stays, second] = halves.parts;
        self.parts[index] = stays;
        self.parts.push(second);
    }
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
    clusters: &Clusters,
    index: usize,
    pass: Pass<'_>,
    session: &mut Session<'_, E>,
    start_seconds: &mut f64,
) -> Result<Option<Halves>, FitError> {
    if let [_] = &clusters.parts[..] {
        // All rows, which lie together as they are.
        return split_rows(search, pass, session, start_seconds);
    }
    let mut apart = session.apart();
    let found = split_apart(search, clusters, index, pass, &mut apart, start_seconds);
    session.report.merge(&apart.report);
    match found {
        Err(FitError::TooFewDistinct { .. } | FitError::Data(DataError::TooSmall { .. })) => Ok(None),
        found => found,
    }
}

/// Gathers the rows of a cluster and splits it.
fn split_apart<T: Scalar, E: Engine>(
    search: &Search<'_, T>,
    clusters: &Clusters,
    index: usize,
    pass: Pass<'_>,
    session: &mut Session<'_, E>,
    start_seconds: &mut f64,
) -> Result<Option<Halves>, FitError> {
    let Search { kmeans, centred, data, .. } = search;
    let gathered = gather(centred, data, &clusters.of_rows, index as u32, kmeans.overflow.as_ref(), session)?;
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
    let halves = split_rows(&of_part, pass, session, start_seconds)?;
    Ok(halves.map(|mut halves| {
        for half in &mut halves.parts {
            half.centroid = centred.restore(&half.centroid);
        }
        halves
    }))
}

/// Splits the rows of `search` in two. `None` if all stay in one.
fn split_rows<T: Scalar, E: Engine>(
    search: &Search<'_, T>,
    pass: Pass<'_>,
    session: &mut Session<'_, E>,
    start_seconds: &mut f64,
) -> Result<Option<Halves>, FitError> {
    let (centred, d) = (search.centred, search.centred.d());
    let fitted = search.lloyd(pass, session, start_seconds)?;
    // One partition, keyed by the first row: the pairs come in the order of the rows.
    let pairs = session.run(&Halve::<T>::new(d), &fitted.centroids, search.data)?.pairs;
    let halved: Vec<Halved> = pairs.into_iter().map(|(_, halved)| halved).collect();
    let half = |index: usize| {
        let rows: u64 = halved.iter().map(|halved| halved.counts()[index]).sum();
        let mut squared = ExactSum::new();
        halved.iter().for_each(|halved| squared += &halved.inertias[index]);
        let inertia = centred.cost(squared.value());
        let centroid = fitted.centroids[index * d..][..d].to_vec();
        Part { rows: rows as usize, centroid, inertia, divisible: inertia > 0.0 }
    };
    let parts = [half(0), half(1)];
    let is_in_two = parts.iter().all(|half| half.rows > 0);
    Ok(is_in_two.then_some(Halves { parts, halved, converged: fitted.converged }))
}
