//! Stand-in.
#![allow(missing_docs, unused, missing_debug_implementations)]
use crate::{Member, Timing, pool_file::PoolFile, transport::Limits};
use mapreduce_core::{Error, Local, Options, engine::Engine, schedule::Event};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct PoolOptions {
    pub min_peers: usize,
    pub connect_timeout: Duration,
    pub no_peers_timeout: Duration,
    pub threads: usize,
    pub inline_bytes: u64,
    pub limits: Limits,
    pub timing: Timing,
}
impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            min_peers: 1,
            connect_timeout: Duration::from_secs(30),
            no_peers_timeout: Duration::from_secs(30),
            threads: 0,
            inline_bytes: 65536,
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }
}
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    #[error("stand-in")]
    StandIn,
    #[error(transparent)]
    Threads(mapreduce_core::Error),
    #[error("too few")]
    TooFewPeers { found: usize, wanted: usize, waited: Duration, unready: Vec<String> },
}
#[derive(Clone, Debug)]
pub struct Pool(Local);
impl Pool {
    pub async fn connect(_: &PoolFile, _: PoolOptions) -> Result<Self, PoolError> {
        Err(PoolError::StandIn)
    }
    pub fn members(&self) -> Vec<Member> {
        Vec::new()
    }
    pub async fn close(&self) {}
    pub(crate) fn local(&self) -> &Local {
        &self.0
    }
    pub(crate) fn begin<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Result<PoolRounds<'e>, Error> {
        self.0.begin(job, options, events)
    }
}

pub type PoolRounds<'e> = mapreduce_core::local::LocalRounds<'e>;
