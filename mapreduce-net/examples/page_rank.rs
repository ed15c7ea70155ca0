//! PageRank: a page is worth what the pages that link to it are worth. Reads links, a line each: from, tab, to. Writes the
//! pages with their ranks, the sum of which is 1.
//!
//! ```text
//! page_rank run links.tsv --output ranks --damping 0.85 --tolerance 1e-9
//! ```
//!
//! Three jobs: [`Links`] lists the links of each page, [`PageRank`] runs a [`Round`] over these lists until the ranks stay
//! where they are, and [`Ranks`] writes them. Ranks are integers, so that the order in which they are added does not matter:
//! the result is the same to the bit, whatever the job runs on.
//!
//! S. Brin, L. Page, "The anatomy of a large-scale hypertextual web search engine", 1998. The rank of a page without links is
//! given to all pages.

use mapreduce_core::prelude::*;
use mapreduce_net::cli::{Program, Run, clap};
use std::{collections::BTreeMap, mem, ops::ControlFlow};

#[derive(clap::Args)]
struct Params {
    /// The share of its rank that a page passes on through its links; the rest goes to all pages
    #[arg(long, value_name = "SHARE", default_value_t = 0.85, value_parser = below_one)]
    damping: f64,
    /// Stop when the ranks, whose sum is 1, have moved by no more than this in a round, all together
    #[arg(long, value_name = "DISTANCE", default_value_t = 1e-6, value_parser = below_one)]
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

/// The rank of all pages together.
const ALL: u64 = 1 << 60;

/// Ranks by page.
type RankOf = BTreeMap<String, u64>;

/// Each page shares its rank among those it links to; what each is given is added up.
#[derive(Clone, Serialize, Deserialize)]
struct Round {
    /// The rank that pages begin with.
    initial: u64,
}

struct Share {
    initial: u64,
    ranks: RankOf,
}

impl Mapper for Share {
    type Input = Pairs<str, Vec<String>>;
    type Key = str;
    type Value = u64;
    fn map(&self, (page, links): (&str, &Vec<String>), out: &mut impl Emit<str, u64>) -> Result {
        // So that a page that nobody links to is in the output.
        out.emit(page, &0)?;
        let rank = self.ranks.get(page).unwrap_or(&self.initial);
        links.iter().try_for_each(|link| out.emit(link, &(rank / links.len() as u64)))
    }
}

impl Job for Round {
    const NAME: &'static str = "page-rank";
    /// What all pages have, or nothing in the first round.
    type Shared = RankOf;
    type Mapper = Share;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
    fn mapper(&self, ranks: &RankOf) -> Result<Share> {
        Ok(Share { initial: self.initial, ranks: ranks.clone() })
    }
    fn combiner(&self) -> Sum {
        Sum
    }
    fn reducer(&self, _: &RankOf) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
}

struct PageRank {
    pages: u64,
    damping: f64,
    tolerance: f64,
}

impl PageRank {
    fn initial(&self) -> u64 {
        ALL.checked_div(self.pages).unwrap_or(0)
    }
}

impl Iterative for PageRank {
    type Round = Round;
    type State = RankOf;
    type Output = RankOf;

    fn start(&self) -> Result<RankOf> {
        Ok(RankOf::new())
    }

    fn round(&self, ranks: &RankOf) -> Result<(Round, RankOf)> {
        Ok((Round { initial: self.initial() }, ranks.clone()))
    }

    fn advance(&self, _: u32, ranks: &mut RankOf, output: Output<Round>) -> Result<ControlFlow<RankOf>> {
        let given: u64 = output.pairs.iter().map(|(_, given)| given).sum();
        // What pages without links have, and what was lost to rounding. (The sum of rounded ranks may be a little more.)
        let left = ALL.saturating_sub(given);
        let to_each = (ALL as f64 * (1.0 - self.damping) + left as f64 * self.damping) / self.pages as f64;
        let next = |given: u64| (to_each + given as f64 * self.damping) as u64;
        let next: RankOf = output.pairs.into_iter().map(|(page, given)| (page, next(given))).collect();

        let before = |page| *ranks.get(page).unwrap_or(&self.initial());
        let moved: u64 = next.iter().map(|(page, rank)| rank.abs_diff(before(page))).sum();
        *ranks = next;
        Ok(match moved as f64 <= self.tolerance * ALL as f64 {
            true => ControlFlow::Break(mem::take(ranks)),
            false => ControlFlow::Continue(()),
        })
    }
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
        let lines = run.dataset(TextFiles::open(run.inputs)?)?;
        let links = run.engine.chain(&Links, &(), &lines, &run.options)?;
        let mut report = links.report.clone();

        let job = PageRank { pages: links.pairs(), damping: params.damping, tolerance: params.tolerance };
        let options = Options { rounds_max: params.rounds_max, ..run.options.clone() };
        let iterated = run.engine.iterate_with(&job, &Dataset::new(links)?, &options)?;
        report.merge(&iterated.report);

        let ranks: Vec<(String, u64)> = iterated.output.into_iter().collect();
        let mut written = run.write(&Ranks, &(), &Dataset::new(ItemSlice::new(ranks))?)?;
        written.report.merge(&report);
        written.counters.add("rounds", iterated.rounds.into());
        Ok(written)
    })
    .with_job::<Links>()
    .with_job::<Ranks>()
    .filters::<Links>(|_| Err(NotOneJob.into()))
    .main()
}

/// Why there are no filters.
#[derive(Debug, thiserror::Error)]
#[error(
    "page rank is many jobs, each of which needs what the one before gave; filters are of one job: use `run`"
)]
struct NotOneJob;

fn below_one(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(number) if (0.0..1.0).contains(&number) => Ok(number),
        _ => Err("give a number from 0 to less than 1"),
    }
}
