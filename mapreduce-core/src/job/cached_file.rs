//! [`CachedFile`]: a file that is broadcast to every node.

use crate::{Error, codec::ENCODED_BYTES_MAX};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeTuple};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};
use tempfile::TempDir;

/// Bytes of a value that are left for what is broadcast besides the file.
const REST_BYTES: usize = 1 << 20;

/// A file that every task can read: part of [`Job::Shared`](super::Job::Shared), and broadcast with it.
///
/// It is read once, where the job is run from. Each node is sent the bytes once and holds them in memory for the round,
/// whatever the number of its tasks. Code that wants a path finds the bytes [in a temporary file](Self::path).
///
/// ```
/// use mapreduce_core::prelude::*;
/// use std::collections::BTreeSet;
///
/// /// Counts the words that are not in a list.
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Unknown;
///
/// struct Known(BTreeSet<String>);
///
/// impl Mapper for Known {
///     type Input = Items<String>;
///     type Key = str;
///     type Value = u64;
///     fn map(&self, word: &String, out: &mut impl Emit<str, u64>) -> Result {
///         if self.0.contains(word) { Ok(()) } else { out.emit(word, &1) }
///     }
/// }
///
/// impl Job for Unknown {
///     const NAME: &'static str = "unknown";
///     type Shared = CachedFile;
///     type Mapper = Known;
///     type Combiner = Sum;
///     type Reducer = Fold<Sum>;
///     fn mapper(&self, dictionary: &CachedFile) -> Result<Known> {
///         let text = std::str::from_utf8(dictionary.bytes())?;
///         Ok(Known(text.lines().map(String::from).collect())) // once per node, not per task
///     }
///     fn combiner(&self) -> Sum {
///         Sum
///     }
///     fn reducer(&self, _: &CachedFile) -> Result<Fold<Sum>> {
///         Ok(Fold(Sum))
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("words.txt");
/// # std::fs::write(&path, "be\nto\n")?;
/// let dictionary = CachedFile::read(&path)?;
/// let words = ["to", "bee", "or"].map(String::from);
/// let unknown = Local::new(2)?.run(&Unknown, &dictionary, &Dataset::new(ItemSlice::new(&words))?)?;
/// assert_eq!(unknown.pairs, [("bee".to_string(), 1), ("or".to_string(), 1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CachedFile(Arc<Cached>);

struct Cached {
    name: String,
    bytes: Vec<u8>,
    /// A folder with the file in it, for those who want a path.
    folder: OnceLock<TempDir>,
}

impl CachedFile {
    /// Reads a file. What becomes of it afterwards is of no matter.
    ///
    /// # Errors
    /// When it cannot be read, or is too long to be broadcast (1 GiB).
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let unusable = |message| Error::Input { input: path.display().to_string(), message };
        let cannot = |error: io::Error| unusable(format!("cannot be read: {error}"));
        let too_long = |bytes: u64| {
            let max = ENCODED_BYTES_MAX - REST_BYTES;
            unusable(format!(
                "has {bytes} bytes, but what is broadcast may have {max}; make it an input of the job"
            ))
        };
        let metadata = fs::metadata(path).map_err(cannot)?;
        if metadata.is_file() && metadata.len() > (ENCODED_BYTES_MAX - REST_BYTES) as u64 {
            return Err(too_long(metadata.len()));
        }
        let bytes = fs::read(path).map_err(cannot)?;
        if bytes.len() > ENCODED_BYTES_MAX - REST_BYTES {
            return Err(too_long(bytes.len() as u64));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self::new(name, bytes))
    }

    /// A file that does not exist yet: one of that name with these bytes.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Cached { name: name.into(), bytes: bytes.into(), folder: OnceLock::new() }))
    }

    /// The name of the file, without the folders it was in.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What is in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// A temporary file with the bytes, for code that takes a path. It is written when it is first asked for, once for
    /// all clones of this value, and removed with the last of them. It has the [name](Self::name) of the original.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn path(&self) -> io::Result<PathBuf> {
        let Cached { name, bytes, folder } = &*self.0;
        // A name may have come from another node: of a path in it the last part counts.
        let name = Path::new(name).file_name().unwrap_or("file".as_ref());
        if folder.get().is_none() {
            let made = tempfile::tempdir()?;
            fs::write(made.path().join(name), bytes)?;
            // Another thread may have been faster; then this folder is dropped.
            let _ = folder.set(made);
        }
        let folder = folder.get().expect("it was set above, by this thread or another");
        Ok(folder.path().join(name))
    }
}

impl fmt::Debug for CachedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedFile").field("name", &self.0.name).field("bytes", &self.0.bytes.len()).finish()
    }
}

impl Serialize for CachedFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_tuple(2)?;
        parts.serialize_element(&self.0.name)?;
        parts.serialize_element(&Bytes(&self.0.bytes))?;
        parts.end()
    }
}

impl<'de> Deserialize<'de> for CachedFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, OwnedBytes(bytes)) = <(String, OwnedBytes)>::deserialize(deserializer)?;
        Ok(Self::new(name, bytes))
    }
}

/// Bytes that are not serialized one by one.
struct Bytes<'a>(&'a [u8]);
struct OwnedBytes(Vec<u8>);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for OwnedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl de::Visitor<'_> for BytesVisitor {
            type Value = OwnedBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a file")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<OwnedBytes, E> {
                Ok(OwnedBytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<OwnedBytes, E> {
                Ok(OwnedBytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}
