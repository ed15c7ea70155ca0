//! The command `pool`: makes the files of a pool, and shows who is in one.

use super::{
    CliError, engine,
    error::print,
    report::{program_name, table},
};
use crate::{
    Member, PoolId, PoolOptions,
    pool_file::{PoolAddress, PoolFile, PoolFileError},
};
use mapreduce_core::{Cancel, JobId};
use serde::Serialize;
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// The commands about a pool itself.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum PoolCommand {
    /// Make the two files of a new pool
    Create(PoolCreateArgs),
    /// Show the peers of a pool
    Status(PoolStatusArgs),
}

/// The arguments of `pool create`.
#[derive(Clone, Debug, clap::Args)]
pub struct PoolCreateArgs {
    /// Where the pool can be joined: a machine that will run a peer, by a name or an address that the others can reach,
    /// with the UDP port if it is not 7077. May be repeated; give two or three, so that one may be down
    #[arg(long = "address", value_name = "HOST[:PORT]", required = true)]
    pub addresses: Vec<PoolAddress>,
    /// The file to write, for peers; the one for those who only submit jobs is written beside it, as FILE.client
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
}

/// The arguments of `pool status`.
#[derive(Clone, Debug, clap::Args)]
pub struct PoolStatusArgs {
    /// A pool file of the pool, either of the two
    #[arg(long, value_name = "FILE")]
    pub pool: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

impl PoolCommand {
    /// Runs the command; `cancel` stops it from waiting for a pool. To be called outside of any async runtime.
    ///
    /// # Errors
    /// Those of the command: a pool file cannot be written or read, or no peer can be reached.
    pub fn run(&self, cancel: &Cancel) -> Result<(), CliError> {
        match self {
            Self::Create(args) => args.run(),
            Self::Status(args) => args.run(cancel),
        }
    }
}

impl PoolCreateArgs {
    /// Writes the member file and the client file of a new pool, readable by their owner only. Says what to do with them.
    ///
    /// # Errors
    /// When one of the two is there already or cannot be written. Then neither is written.
    pub fn run(&self) -> Result<(), CliError> {
        let Self { addresses, output, .. } = self;
        let client_output = with_suffix(output, ".client");
        // Asked for both ahead of writing the first.
        if client_output.symlink_metadata().is_ok() {
            return Err(PoolFileError::Exists { path: client_output }.into());
        }
        let (member, client) = PoolFile::create(addresses.clone())?;
        member.save(output)?;
        if let Err(error) = client.save(&client_output) {
            // It was made just now; nobody has it.
            let _ = fs::remove_file(output);
            return Err(error.into());
        }
        let (program, output, client_output) = (program_name(), output.display(), client_output.display());
        print(&format!(
            "wrote {output}: for the machines of the pool. Copy it to each, keep it secret, and start there:\n    \
             {program} peer --pool {output}\n\
             wrote {client_output}: for those who only submit jobs\n"
        ))
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

impl PoolStatusArgs {
    /// Connects to the pool and prints its members: a line each with id, address, threads, jobs and version.
    ///
    /// # Errors
    /// When the pool file cannot be read, no peer can be reached, or `cancel` was cancelled.
    pub fn run(&self, cancel: &Cancel) -> Result<(), CliError> {
        let file = PoolFile::load(&self.pool)?;
        let pool = engine::connect(&file, PoolOptions::default(), cancel)?;
        let mut members = pool.members();
        members.sort_by_key(|member| member.node);
        print(&if self.json { json(file.pool(), &members) } else { text(&members) })
    }
}

/// Jobs that are named in the table; of more the number is shown. The JSON has all.
const NAMES_MAX: usize = 3;

fn text(members: &[Member]) -> String {
    let head = ["id", "address", "threads", "jobs", "version"].map(str::to_owned);
    let rows = members.iter().map(|member| {
        let jobs: Vec<&str> = member.jobs.iter().map(|job| job.name.as_str()).collect();
        let jobs = match jobs.len() {
            ..=NAMES_MAX => jobs.join(", "),
            many => format!("{many} jobs"),
        };
        [
            member.node.to_string(),
            member.addresses.join(", "),
            member.threads.to_string(),
            jobs,
            member.build.clone(),
        ]
    });
    table(std::iter::once(head).chain(rows))
}

#[derive(Serialize)]
struct Status<'a> {
    pool: String,
    members: Vec<MemberStatus<'a>>,
}

#[derive(Serialize)]
struct MemberStatus<'a> {
    id: String,
    addresses: &'a [String],
    threads: u32,
    jobs: Vec<JobStatus<'a>>,
    version: &'a str,
}

#[derive(Serialize)]
struct JobStatus<'a> {
    name: &'a str,
    version: u32,
    /// Hexadecimal digits: many readers of JSON round numbers so large.
    schema: String,
}

fn json(pool: PoolId, members: &[Member]) -> String {
    let members = members.iter().map(|Member { node, addresses, threads, jobs, build, .. }| MemberStatus {
        id: node.to_string(),
        addresses,
        threads: *threads,
        jobs: jobs.iter().map(JobStatus::of).collect(),
        version: build,
    });
    super::report::json(&Status { pool: pool.to_string(), members: members.collect() })
}

impl<'a> JobStatus<'a> {
    fn of(job: &'a JobId) -> Self {
        Self { name: &job.name, version: job.version, schema: format!("{:016x}", job.schema) }
    }
}
