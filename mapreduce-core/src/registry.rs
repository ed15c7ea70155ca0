//! [`Registry`]: the jobs a program knows, by name, version and schema.

use crate::{
    Job, JobId,
    exec::{ErasedJob, erased::Erased},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The jobs a program knows. A node works on a job only if it has the same one: name, version and schema.
///
/// ```
/// use mapreduce_core::{JobId, Registry, RegistryError};
/// # use mapreduce_core::prelude::*;
/// # #[derive(Clone, Serialize, Deserialize)]
/// # struct Count;
/// # impl Mapper for Count {
/// #     type Input = Utf8Lines;
/// #     type Key = ();
/// #     type Value = u64;
/// #     fn map(&self, _: &str, out: &mut impl Emit<(), u64>) -> Result { out.emit(&(), &1) }
/// # }
/// # impl SimpleJob for Count {
/// #     const NAME: &'static str = "count";
/// #     type Combiner = Sum;
/// #     type Reducer = Fold<Sum>;
/// # }
///
/// let registry = Registry::new().with::<Count>()?;
/// assert!(registry.get(&JobId::of::<Count>()).is_ok());
///
/// let newer = JobId { version: 2, ..JobId::of::<Count>() };
/// let error = registry.get(&newer).err().unwrap();
/// assert!(error.to_string().contains("asked for is count version 2"));
/// # Ok::<(), RegistryError>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<String, Arc<dyn ErasedJob>>);

impl Registry {
    /// A registry that knows no job.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a job.
    ///
    /// # Errors
    /// When another job of that name is there.
    pub fn with<J: Job>(mut self) -> Result<Self, RegistryError> {
        let job = Erased::<J>::new();
        if let Some(known) = self.0.get(J::NAME) {
            return Err(RegistryError::NameTaken { known: known.id().clone(), added: job.id().clone() });
        }
        self.0.insert(J::NAME.to_string(), Arc::new(job));
        Ok(self)
    }

    /// Looks a job up.
    ///
    /// # Errors
    /// When the program does not know a job of that name, or another version or schema of it.
    pub fn get(&self, id: &JobId) -> Result<&Arc<dyn ErasedJob>, RegistryError> {
        match self.0.get(&id.name) {
            Some(job) if job.id() == id => Ok(job),
            Some(job) => Err(RegistryError::Different { asked: id.clone(), known: job.id().clone() }),
            None => Err(RegistryError::Unknown { asked: id.clone(), known: self.names() }),
        }
    }

    /// What the jobs are known by, in the order of their names.
    pub fn jobs(&self) -> impl Iterator<Item = &JobId> {
        self.0.values().map(|job| job.id())
    }

    fn names(&self) -> String {
        match self.0.is_empty() {
            true => "no job at all".into(),
            false => self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.jobs()).finish()
    }
}

/// Why a job is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No job of that name.
    #[error("no job {asked} here; this program knows {known}; register it, or run a program that has it")]
    Unknown {
        /// The job that was asked for.
        asked: JobId,
        /// The names that are known.
        known: String,
    },
    /// A job of that name, but another version or with other types.
    #[error("the job asked for is {asked}, but this program has {known}; run the same build on both sides")]
    Different {
        /// The job that was asked for.
        asked: JobId,
        /// The job of that name that is known.
        known: JobId,
    },
    /// Two jobs of one name.
    #[error("the name of job {added} is taken by {known}; give one of them another name")]
    NameTaken {
        /// The job that was there first.
        known: JobId,
        /// The job that was to be added.
        added: JobId,
    },
}
