//! PageRank: a page is worth what the pages that link to it are worth. Reads links, a line each: from, tab, to. Writes the
//! pages with their ranks, the sum of which is 1.
//!
//! ```text
//! page_rank run links.tsv --output ranks --damping 0.85 --tolerance 1e-9
//! page_rank map < links.tsv | LC_ALL=C sort | page_rank reduce
//! ```
//!
//! Three jobs: [`Links`] lists the links of each page, [`PageRank`] runs a [`Round`] over these lists until the ranks stay
//! where they are, and [`Ranks`] writes them. The filters are of the first. Ranks are integers, so that the order in which
//! they are added does not matter: the result is the same to the bit, whatever the job runs on.
//!
//! S. Brin, L. Page, "The anatomy of a large-scale hypertextual web search engine", 1998. The rank of a page without links is
//! given to all pages.

use mapreduce_core::{Error, prelude::*};
use mapreduce_net::cli::{Program, Run, clap};
use serde::{Deserializer, Serializer};
use std::{ops::ControlFlow, sync::Arc};

#[derive(clap::Args)]
struct Params {
    /// The share of its rank that a page passes on through its links; the rest goes to all pages
    #[arg(long, value_name = "SHARE", default_value_t = 0.85, value_parser = below_one)]
    damping: f64,
    /// Stop when the ranks, whose sum is 1, have moved by no more than this in a round, all together
    #[arg(long, value_name = "DISTANCE", default_value_t = 1e-6, value_parser = tolerance)]
    tolerance: f64,
    /// Fail if that takes more rounds
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    rounds_max: u32,
}

/// Reads the links: for each page those that it links to. A page that is only linked to is there too, and links to none.
#[derive(Clone, Serialize, Deserialize)]
struct Links;

impl Mapper for Links {
    type Input = Utf8Lines;
    type Key = str;
    type Value = Option<String>;
    fn map(&self, line: &str, out: &mut impl Emit<str, Option<String>>) -> Result {
        let (from, to) = line.split_once('\t').ok_or("the line has no tab between two pages")?;
        out.emit(from, &Some(to.to_owned()))?;
        out.emit(to, &None)
    }
}

#[derive(Default)]
struct List;

impl Reducer<str, Option<String>> for List {
    type Key = str;
    type Value = Vec<String>;
    fn reduce(
        &self,
        page: &str,
        links: &mut Values<'_, Option<String>>,
        out: &mut impl Emit<str, Vec<String>>,
    ) -> Result {
        let mut list = Vec::new();
        while let Some(link) = links.next()? {
            list.extend(link.into_owned());
        }
        out.emit(page, &list)
    }
}

impl SimpleJob for Links {
    const NAME: &'static str = "page-rank-links";
    type Combiner = NoCombiner;
    type Reducer = List;
}

/// The rank of all pages together, and 1 as a share.
const ALL: u64 = 1 << 60;

/// The ranks of all pages in the order of the pages, or of none before the first round. Clones are the same ranks.
#[derive(Clone, Default, Serialize, Deserialize)]
struct AllRanks(#[serde(serialize_with = "all", deserialize_with = "shared")] Arc<Vec<(String, u64)>>);

fn all<S: Serializer>(ranks: &Arc<Vec<(String, u64)>>, serializer: S) -> Result<S::Ok, S::Error> {
    ranks.serialize(serializer)
}

fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Vec<(String, u64)>>, D::Error> {
    Vec::deserialize(deserializer).map(Arc::new)
}

impl AllRanks {
    fn of(&self, page: &str) -> Option<u64> {
        let at = self.0.binary_search_by(|(other, _)| other.as_str().cmp(page)).ok()?;
        Some(self.0[at].1)
    }
}

/// Each page shares its rank among those it links to; what each is given is added up.
#[derive(Clone, Serialize, Deserialize)]
struct Round {
    /// The rank that pages begin with.
    initial: u64,
}

struct Share {
    initial: u64,
    ranks: AllRanks,
}

impl Mapper for Share {
    type Input = Pairs<str, Vec<String>>;
    type Key = str;
    type Value = u64;
    fn map(&self, (page, links): (&str, &Vec<String>), out: &mut impl Emit<str, u64>) -> Result {
        // So that a page that nobody links to is in the output.
        out.emit(page, &0)?;
        let rank = self.ranks.of(page).unwrap_or(self.initial);
        links.iter().try_for_each(|link| out.emit(link, &(rank / links.len() as u64)))
    }
}

impl Job for Round {
    const NAME: &'static str = "page-rank";
    /// What all pages have, or nothing in the first round.
    type Shared = AllRanks;
    type Mapper = Share;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
    fn mapper(&self, ranks: &AllRanks) -> Result<Share> {
        Ok(Share { initial: self.initial, ranks: ranks.clone() })
    }
    fn combiner(&self) -> Sum {
        Sum
    }
    fn reducer(&self, _: &AllRanks) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
}

struct PageRank {
    pages: u64,
    /// A share of [`ALL`].
    damping: u64,
    tolerance: f64,
}

impl PageRank {
    fn initial(&self) -> u64 {
        ALL.checked_div(self.pages).unwrap_or(0)
    }

    /// What is left of a rank after damping.
    fn damped(&self, rank: u64) -> u64 {
        (u128::from(rank) * u128::from(self.damping) / u128::from(ALL)) as u64
    }
}

impl Iterative for PageRank {
    type Round = Round;
    type State = AllRanks;
    type Output = AllRanks;

    fn start(&self) -> Result<AllRanks> {
        Ok(AllRanks::default())
    }

    fn round(&self, ranks: &AllRanks) -> Result<(Round, AllRanks)> {
        Ok((Round { initial: self.initial() }, ranks.clone()))
    }

    fn advance(&self, _: u32, ranks: &mut AllRanks, output: Output<Round>) -> Result<ControlFlow<AllRanks>> {
        let mut next = output.pairs;
        next.sort_unstable();
        let given: u64 = next.iter().map(|(_, given)| given).sum();
        // What pages without links have, and what was lost to rounding: ranks are rounded down, so their sum is never more.
        let left = ALL - given;
        let to_each = (ALL - self.damping + self.damped(left)).checked_div(self.pages).unwrap_or(0);
        next.iter_mut().for_each(|(_, rank)| *rank = to_each + self.damped(*rank));

        let before = |at| ranks.0.get(at).map_or(self.initial(), |(_, rank): &(String, u64)| *rank);
        let moved: u64 = next.iter().enumerate().map(|(at, (_, rank))| rank.abs_diff(before(at))).sum();
        *ranks = AllRanks(Arc::new(next));
        Ok(match moved as f64 <= self.tolerance * ALL as f64 {
            true => ControlFlow::Break(ranks.clone()),
            false => ControlFlow::Continue(()),
        })
    }
}

/// The least that ranks are sure to settle to. In a round, each link and each page rounds by less than 1 of [`ALL`], and what
/// a link loses all pages are given: that moves the ranks by less than twice as much, from one round to the next by less than
/// four times, and damping adds up what rounds have left of each other.
fn tolerance_min(pages: u64, links: u64, damping: f64) -> f64 {
    4.0 * (pages + links) as f64 / (1.0 - damping) / ALL as f64
}

/// Writes the ranks.
#[derive(Clone, Serialize, Deserialize)]
struct Ranks;

impl Mapper for Ranks {
    type Input = Items<(String, u64)>;
    type Key = str;
    type Value = f64;
    fn map(&self, (page, rank): &(String, u64), out: &mut impl Emit<str, f64>) -> Result {
        out.emit(page, &(*rank as f64 / ALL as f64))
    }
}

impl SimpleJob for Ranks {
    const NAME: &'static str = "page-rank-ranks";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

fn main() -> std::process::ExitCode {
    Program::running_with_params::<Round>(|params: &Params, run: &Run<'_>| {
        let files = TextFiles::open(run.inputs)?.with_line_bytes_max(run.line_bytes_max);
        let lines = run.dataset(files)?;
        let links = run.engine.chain(&Links, &(), &lines, &run.options)?;
        let mut report = links.report.clone();

        let Params { damping, tolerance, rounds_max } = *params;
        let pages = links.pairs();
        let tolerance_min = tolerance_min(pages, report.records, damping);
        if tolerance < tolerance_min {
            return Err(Precision { tolerance, tolerance_min }.into());
        }
        let job = PageRank { pages, damping: (damping * ALL as f64) as u64, tolerance };
        let options = Options { rounds_max, ..run.options.clone() };
        let iterated = run.engine.iterate_with(&job, &Dataset::new(links)?, &options);
        let iterated = iterated.map_err(|error| match error {
            Error::TooManyRounds { rounds, .. } => TooManyRounds { rounds }.into(),
            error => Box::<dyn std::error::Error + Send + Sync>::from(error),
        })?;
        report.merge(&iterated.report);

        let ranks = Arc::unwrap_or_clone(iterated.output.0);
        let mut written = run.write(&Ranks, &(), &Dataset::new(ItemSlice::new(ranks))?)?;
        written.report.merge(&report);
        written.counters.add("rounds", iterated.rounds.into());
        Ok(written)
    })
    .with_job::<Links>()
    .with_job::<Ranks>()
    .filters(|_| Ok((Links, ())))
    .main()
}

/// The rounds would not end.
#[derive(Debug, thiserror::Error)]
#[error(
    "--tolerance {tolerance:e} is less than the {tolerance_min:.0e} to which the ranks of so many pages and links can settle"
)]
struct Precision {
    tolerance: f64,
    tolerance_min: f64,
}

#[derive(Debug, thiserror::Error)]
#[error("the ranks of page-rank still move after {rounds} rounds; raise --rounds-max or --tolerance")]
struct TooManyRounds {
    rounds: u32,
}

fn below_one(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(number) if (0.0..1.0).contains(&number) => Ok(number),
        _ => Err("give a number from 0 to less than 1"),
    }
}

fn tolerance(text: &str) -> Result<f64, &'static str> {
    match below_one(text) {
        Ok(number) if number > 0.0 => Ok(number),
        _ => Err("give a number above 0 and less than 1"),
    }
}
