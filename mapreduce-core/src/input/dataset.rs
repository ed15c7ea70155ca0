//! [`Dataset`]: an input, its plan, and what tasks and engines keep about it.

use super::{Input, Records, SharedFiles, SplitCache, SplitInfo, sample};
use crate::Error;
use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A handle to an input that jobs run over.
///
/// The cached values of its splits ([`Split::take_cache`](crate::Split::take_cache)) belong to the dataset, not to a
/// job: several jobs over one dataset share them, and they live as long as it does.
///
/// ```
/// use mapreduce_core::{Dataset, ItemSlice};
///
/// let words = ["to", "be"].map(String::from);
/// let data = Dataset::new(ItemSlice::new(&words))?; // borrows
/// assert_eq!(data.splits().len(), 2);
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
pub struct Dataset<I> {
    id: u64,
    input: I,
    splits: Vec<SplitInfo>,
    shared_files: Option<SharedFiles>,
    caches: SplitCaches,
    attachments: Attachments,
}

impl<I: Input> Dataset<I> {
    /// Plans the splits of `input`, in the size that suits it.
    ///
    /// # Errors
    /// When the input is not there or cannot be cut.
    pub fn new(input: I) -> Result<Self, Error> {
        Self::plan(input, None)
    }

    /// Plans splits of about `bytes` bytes each. More and smaller splits balance better and cost more.
    ///
    /// # Errors
    /// When the input is not there or cannot be cut.
    pub fn with_split_bytes(input: I, bytes: u64) -> Result<Self, Error> {
        Self::plan(input, Some(bytes))
    }

    fn plan(input: I, split_bytes: Option<u64>) -> Result<Self, Error> {
        let splits = input.splits(split_bytes)?;
        if u32::try_from(splits.len()).is_err() {
            return Err(Error::TooManySplits { splits: splits.len() as u64 });
        }
        static DATASETS: AtomicU64 = AtomicU64::new(0);
        let id = DATASETS.fetch_add(1, Ordering::Relaxed);
        let caches = SplitCaches::new(splits.len());
        Ok(Self { id, input, splits, shared_files: None, caches, attachments: Attachments::default() })
    }

    /// Says that every node finds the same files under the same absolute paths (a network file system, say), so that
    /// an engine of several nodes lets each read them itself. Without this the node that runs the job reads the input
    /// and sends it: the same path on three machines may hold three different files.
    ///
    /// A node checks before it reads a split that the lengths of its files and a sample of their bytes are those that
    /// the driver sees. Engines of one node take no notice.
    ///
    /// # Errors
    /// When the input is not made of files ([`Input::files`]), or a path cannot be told to other nodes since it is not
    /// UTF-8.
    pub fn on_shared_storage(mut self) -> Result<Self, Error> {
        let Some(files) = self.input.files() else {
            let input = match self.splits.first() {
                Some(split) => self.input.describe(split),
                None => "an input without splits".to_string(),
            };
            return Err(Error::Input {
                input,
                message:
                    "is not in files that other nodes could read; leave `on_shared_storage` out, and its \
                          records are sent to them"
                        .into(),
            });
        };
        files.check_paths()?;
        self.shared_files = Some(files);
        Ok(self)
    }

    /// The files that every node reads itself, if the dataset is [on shared storage](Self::on_shared_storage).
    pub fn shared_files(&self) -> Option<&SharedFiles> {
        self.shared_files.as_ref()
    }

    /// A number that no other dataset of this process has or will have.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The input.
    pub fn input(&self) -> &I {
        &self.input
    }

    /// The splits, in the order of the input.
    pub fn splits(&self) -> &[SplitInfo] {
        &self.splits
    }

    /// About how many bytes the input has.
    pub fn bytes(&self) -> u64 {
        self.splits.iter().fold(0, |sum, split| sum.saturating_add(split.bytes))
    }

    /// Up to `per_split` records of every split, from several places of it: for estimating the distribution of keys before
    /// a job runs. The same sample every time, in the order of the input.
    ///
    /// What can be read from the middle on is read in a few places only ([`Input::excerpts`]); compressed files are read
    /// to their end. `record` may be called for more records than are returned, but not for many.
    ///
    /// # Errors
    /// When a split cannot be read.
    pub fn sample<T>(
        &self,
        per_split: usize,
        record: impl FnMut(<I::Records as Records>::Record<'_>) -> T,
    ) -> Result<Vec<T>, Error> {
        sample::sample(&self.input, &self.splits, per_split, record)
    }

    /// What an [engine](crate::engine) keeps about the dataset: one value of each type for each `owner`, which `make`
    /// makes when it is first asked for. It is dropped with the dataset, or later if somebody holds it still.
    ///
    /// `make` must not ask for an attachment of this dataset.
    ///
    /// ```
    /// use mapreduce_core::{Dataset, ItemSlice};
    ///
    /// let data = Dataset::new(ItemSlice::new([1u32, 2]))?;
    /// let first = data.attachment(7, || "seen".to_string());
    /// let again = data.attachment(7, || unreachable!("it is there"));
    /// assert_eq!(first, again);
    /// # Ok::<(), mapreduce_core::Error>(())
    /// ```
    pub fn attachment<T: Send + Sync + 'static>(&self, owner: u64, make: impl FnOnce() -> T) -> Arc<T> {
        let mut attachments = self.attachments.lock().unwrap_or_else(PoisonError::into_inner);
        let attached = attachments.entry((owner, TypeId::of::<T>())).or_insert_with(|| Arc::new(make()));
        attached.clone().downcast().expect("values lie under their types")
    }

    pub(crate) fn caches(&self) -> &SplitCaches {
        &self.caches
    }
}

impl<I: fmt::Debug> fmt::Debug for Dataset<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("input", &self.input).field("splits", &self.splits.len()).finish()
    }
}

/// What engines keep: by owner and type.
type Attachments = Mutex<HashMap<(u64, TypeId), Arc<dyn Any + Send + Sync>>>;

/// The caches of all splits of a dataset.
pub(crate) struct SplitCaches(Vec<Mutex<SplitCache>>);

impl SplitCaches {
    fn new(splits: usize) -> Self {
        Self((0..splits).map(|_| Mutex::default()).collect())
    }

    /// Takes the cache of a split for an attempt. A second attempt at the same time finds it empty.
    pub(crate) fn take(&self, split: u32) -> SplitCache {
        std::mem::take(&mut *self.0[split as usize].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts back the cache of an attempt that has committed.
    pub(crate) fn put(&self, split: u32, cache: SplitCache) {
        *self.0[split as usize].lock().unwrap_or_else(PoisonError::into_inner) = cache;
    }
}
