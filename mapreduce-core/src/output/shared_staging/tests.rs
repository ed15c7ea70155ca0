//! Folders in the making that other nodes write to: who may, what counts, and what is left.

use super::*;
use crate::{
    exec::{PairWriter, Run},
    output::{PartFiles, PartWriter, Staging},
    prelude::*,
};
use tempfile::TempDir;

/// Its output is written by hand here.
#[derive(Clone, Serialize, Deserialize)]
struct Numbers;

impl Mapper for Numbers {
    type Input = Items<u64>;
    type Key = u64;
    type Value = u64;
    fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
        out.emit(n, n)
    }
}

impl Job for Numbers {
    const NAME: &'static str = "numbers";
    const SIDE_OUTPUTS: &'static [&'static str] = &["odd", "large"];
    type Shared = ();
    type Mapper = Self;
    type Combiner = NoCombiner;
    type Reducer = Identity;
    fn mapper(&self, (): &()) -> Result<Self> {
        Ok(Self)
    }
    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }
    fn reducer(&self, (): &()) -> Result<Identity> {
        Ok(Identity)
    }
}

/// An output in the making, and what another node is told of it.
struct Making {
    parent: TempDir,
    staging: Staging,
    shared: SharedStaging,
}

fn making() -> Making {
    let parent = tempfile::tempdir().unwrap();
    let to = PartFiles::new(parent.path().join("out")).on_shared_storage(true);
    let staging = Staging::create::<Numbers>(&to).unwrap();
    let shared = over_the_network(staging.shared().unwrap());
    Making { parent, staging, shared }
}

fn over_the_network<T: Serialize + serde::de::DeserializeOwned>(told: &T) -> T {
    let mut bytes = Vec::new();
    crate::codec::encode(told, &mut bytes).unwrap();
    crate::codec::decode(&bytes).unwrap()
}

impl Making {
    fn folder(&self) -> &Path {
        Path::new(&self.shared.folder)
    }

    fn names(&self) -> Vec<String> {
        names(self.folder())
    }

    /// What another node writes for an attempt: a pair, and a line for the second side output.
    fn written(&self, attempt: &str) -> SharedPart {
        over_the_network(&SharedPart::from(self.writer(attempt).finish().unwrap()))
    }

    fn writer(&self, attempt: &str) -> PartWriter {
        let mut writer = PartWriter::new::<u64, u64>(self.shared.create_file(attempt).unwrap()).unwrap();
        write(&mut writer, 3, 4);
        PairWriter::<u64, u64>::side(&mut writer, 1, b"a line").unwrap();
        writer
    }
}

fn write(writer: &mut PartWriter, key: u64, value: u64) {
    PairWriter::<u64, u64>::write(writer, &key, &value).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn what_another_node_has_written_becomes_the_output() {
    let making = making();
    let pairs = making.written("reduce 0 attempt 2");
    assert_eq!((pairs.part.records, pairs.part.bytes, pairs.sides[0].1.records), (1, 4, 1));
    let lines = making.written("reduce 1 attempt 1");
    // Attempts that do not count, one of which is not over.
    making.written("reduce 0 attempt 1");
    let late = making.writer("reduce 0 attempt 3");

    let Making { parent, staging, .. } = making;
    let accept = |attempt, told| staging.accept::<Numbers>(attempt, told).unwrap();
    let files = vec![accept("reduce 0 attempt 2", pairs), accept("reduce 1 attempt 1", lines)];
    assert_eq!((files[0].report().records, files[0].report().bytes), (2, 11));
    let (parts, sides) = staging.commit::<Numbers>(files).unwrap();
    assert_eq!(parts.len(), 1, "the last partition has lines alone");
    assert_eq!((sides["odd"].len(), sides["large"].len()), (0, 2));

    let out = parent.path().join("out");
    let expected = ["_MANIFEST.json", "_SUCCESS", "large-00000", "large-00001", "part-00000"];
    assert_eq!(names(&out), expected);
    assert_eq!(fs::read_to_string(out.join("part-00000")).unwrap(), "3\t4\n");
    assert_eq!(fs::read_to_string(out.join("large-00001")).unwrap(), "a line\n");
    assert!(late.finish().is_err());
    assert_eq!(names(&out), expected);
    assert_eq!(names(parent.path()), ["out"]);
}

#[test]
fn nothing_is_written_where_the_marker_is_not_the_drivers() {
    let making = making();
    let marker = making.folder().join(MARKER);
    let refused = |shared: &SharedStaging| shared.create_file("reduce 0 attempt 1").unwrap_err();

    let other = SharedStaging { token: making.shared.token ^ 1, ..making.shared.clone() };
    assert!(matches!(refused(&other), NotShared::Foreign { path } if path == marker));
    let content = fs::read(&marker).unwrap();
    for wrong in [&content[..content.len() - 1], &[&content[..], b"\n"].concat(), b""] {
        fs::write(&marker, wrong).unwrap();
        assert!(matches!(refused(&making.shared), NotShared::Foreign { .. }));
    }
    fs::remove_file(&marker).unwrap();
    assert!(matches!(refused(&making.shared), NotShared::NoMarker { .. }));
    fs::create_dir(&marker).unwrap();
    assert!(matches!(refused(&making.shared), NotShared::NoMarker { .. }));
    fs::remove_dir(&marker).unwrap();
    #[cfg(unix)]
    {
        // A link to the right content is not what the driver has made.
        fs::write(making.parent.path().join("elsewhere"), &content).unwrap();
        std::os::unix::fs::symlink(making.parent.path().join("elsewhere"), &marker).unwrap();
        assert!(matches!(refused(&making.shared), NotShared::NoMarker { .. }));
        fs::remove_file(&marker).unwrap();
    }
    assert!(making.names().is_empty());
    for folder in ["", ".", "out"] {
        let relative = SharedStaging { folder: folder.into(), ..making.shared.clone() };
        assert!(matches!(refused(&relative), NotShared::Name { .. }), "{folder:?}");
    }
}

#[test]
fn attempts_are_named_within_the_folder() {
    let making = making();
    for attempt in ["../x", "a/b", "/", "a\\b", "a\0b"] {
        assert!(matches!(making.shared.create_file(attempt), Err(NotShared::Name { .. })), "{attempt:?}");
    }
    let _file = making.shared.create_file("one").unwrap();
    let error = making.shared.create_file("one").unwrap_err();
    assert!(
        matches!(&error, NotShared::Create { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
    );
    assert_eq!(making.names(), ["_attempt one", MARKER]);
}

#[test]
fn an_attempt_that_does_not_end_well_leaves_no_file() {
    let making = making();
    drop(making.shared.create_file("never begun").unwrap());
    drop(making.writer("not finished"));
    drop(making.staging.create_file("here").unwrap());
    assert_eq!(making.names(), [MARKER]);
    let late = making.writer("late");
    fs::remove_file(making.folder().join(MARKER)).unwrap();
    let error = late.finish().unwrap_err().to_string();
    assert!(error.contains("_attempt late") && error.contains(MARKER), "{error}");
    assert!(making.names().is_empty());
}

#[test]
fn the_files_of_an_attempt_that_does_not_count_are_removed() {
    let making = making();
    let told = making.written("at a peer");
    assert_eq!(making.names(), ["_attempt at a peer", "_attempt at a peer side 1", MARKER]);
    drop(making.staging.accept::<Numbers>("at a peer", told).unwrap());
    assert_eq!(making.names(), [MARKER]);
    let mut writer = making.staging.open::<Numbers>("here").unwrap();
    PairWriter::<u64, u64>::side(&mut writer, 0, b"a line").unwrap();
    let part = writer.finish().unwrap();
    assert_eq!(making.names(), ["_attempt here", "_attempt here side 0", MARKER]);
    drop(part);
    assert_eq!(making.names(), [MARKER]);
}

#[test]
fn a_part_that_is_not_the_attempts_is_refused() {
    let making = making();
    let told = making.written("one");
    making.written("two");
    fs::write(making.parent.path().join("thesis"), "3\t4\n").unwrap();
    let refused = |change: &dyn Fn(&mut SharedPart)| {
        let mut told = told.clone();
        change(&mut told);
        making.staging.accept::<Numbers>("one", told).unwrap_err()
    };
    for name in ["_attempt two", "../thesis", "_attempt one/../../thesis", "", MARKER, "_attempt one side 1"]
    {
        let error = refused(&|told| told.part.name = name.into());
        assert!(matches!(&error, RefusedPart::Name { found, .. } if found == name), "{error}");
        let error = refused(&|told| told.sides[0].1.name = format!("{name}x"));
        assert!(matches!(&error, RefusedPart::Name { .. }), "{error}");
    }
    for bytes in [0, 3, 5, u64::MAX] {
        let error = refused(&|told| told.part.bytes = bytes);
        assert!(matches!(error, RefusedPart::Length { found: 4, .. }), "{error}");
    }
    let side = |output| move |told: &mut SharedPart| told.sides[0].0 = output;
    assert!(matches!(refused(&side(2)), RefusedPart::Side { output: 2 }));
    assert!(matches!(refused(&side(u32::MAX)), RefusedPart::Side { .. }));
    assert!(matches!(refused(&side(0)), RefusedPart::Name { .. }));
    let twice = refused(&|told| told.sides.push(told.sides[0].clone()));
    assert!(matches!(twice, RefusedPart::Side { output: 1 }));

    let path = making.folder().join("_attempt one");
    fs::remove_file(&path).unwrap();
    assert!(matches!(refused(&|_| ()), RefusedPart::Missing { .. }));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(making.parent.path().join("thesis"), &path).unwrap();
        assert!(matches!(refused(&|_| ()), RefusedPart::Missing { .. }));
        fs::remove_file(&path).unwrap();
    }
    fs::create_dir(&path).unwrap();
    assert!(matches!(refused(&|_| ()), RefusedPart::Missing { .. }));
}

#[test]
fn a_run_is_written_unless_its_attempt_is_stopped() {
    let making = making();
    let attempt = crate::exec::Attempt::default();
    // Two bytes of key, one of value; a pair, 3, and 4.
    let run = Run::from_bytes(vec![2, 1, 0, 3, 4], 1).unwrap();
    let part = making.staging.write_in::<Numbers>("one", &run, &attempt).unwrap();
    assert_eq!(fs::read_to_string(making.folder().join("_attempt one")).unwrap(), "3\t4\n");
    assert_eq!(SharedPart::from(part).part.records, 1);
    attempt.cancel();
    let error = making.staging.write_in::<Numbers>("two", &run, &attempt).unwrap_err();
    assert_eq!(error.failure.kind, crate::FailureKind::Cancelled);
    let error = making.staging.write_in::<Numbers>("one", &run, &attempt).unwrap_err();
    assert_eq!(error.failure.kind, crate::FailureKind::Write);
    assert_eq!(making.names(), ["_attempt one", MARKER]);
}

#[test]
fn a_folder_that_is_given_up_vanishes_with_its_marker() {
    let making = making();
    let late = making.writer("late");
    assert!(making.shared.check().is_ok());
    let Making { parent, staging, shared } = making;
    drop(staging);
    assert!(names(parent.path()).is_empty());
    assert!(matches!(shared.create_file("later"), Err(NotShared::NoMarker { .. })));
    assert!(late.finish().is_err());
    assert!(names(parent.path()).is_empty());
}

/// Does something while nodes that have all seen the marker in a folder begin files there, as fast as they can, until it is
/// gone.
fn while_files_are_begun(folder: &Path, act: impl FnOnce()) {
    let folder = &folder;
    let started = std::sync::Barrier::new(5);
    std::thread::scope(|scope| {
        for node in 0..4 {
            let started = &started;
            scope.spawn(move || {
                let begin = |i: u32| File::create_new(folder.join(attempt_name(&format!("{node} {i}"))));
                (0..100).for_each(|i| drop(begin(i).unwrap()));
                started.wait();
                (100..).take_while(|&i| begin(i).is_ok()).count();
            });
        }
        started.wait();
        act();
    });
}

#[test]
fn a_folder_that_is_given_up_vanishes_though_files_are_begun_in_it() {
    let Making { parent, staging, shared } = making();
    while_files_are_begun(Path::new(&shared.folder), || drop(staging));
    assert_eq!(names(parent.path()), [""; 0]);
}

#[test]
fn files_that_are_begun_while_a_folder_is_committed_are_not_in_the_output() {
    let making = making();
    let told = making.written("one");
    let Making { parent, staging, shared } = making;
    while_files_are_begun(Path::new(&shared.folder), || {
        let part = staging.accept::<Numbers>("one", told).unwrap();
        staging.commit::<Numbers>(vec![part]).unwrap();
    });
    let found = names(&parent.path().join("out"));
    assert_eq!(found, ["_MANIFEST.json", "_SUCCESS", "large-00000"]);
    assert_eq!(names(parent.path()), ["out"]);
}

#[test]
fn markers_are_all_different_and_not_shown() {
    let (one, other) = (making(), making());
    assert_ne!(one.shared.token, other.shared.token);
    let shown = format!("{:?} {:?}", one.shared, one.staging);
    assert!(shown.contains("folder"), "{shown}");
    for token in [one.shared.token.to_string(), format!("{:x}", one.shared.token)] {
        assert!(!shown.contains(&token), "{shown}");
    }
}

#[test]
fn without_shared_storage_there_is_no_marker() {
    let parent = tempfile::tempdir().unwrap();
    let staging = Staging::create::<Numbers>(&PartFiles::new(parent.path().join("out"))).unwrap();
    assert!(staging.shared().is_none());
    let hidden = parent.path().join(&names(parent.path())[0]);
    assert!(names(&hidden).is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_named_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let parent = tempfile::tempdir().unwrap();
    let odd = parent.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&odd).unwrap();
    let to = PartFiles::new(odd.join("out"));
    drop(Staging::create::<Numbers>(&to).unwrap());
    let error = Staging::create::<Numbers>(&to.on_shared_storage(true)).unwrap_err().to_string();
    assert!(error.contains("not UTF-8") && error.contains("rename it"), "{error}");
    assert!(names(&odd).is_empty());
}
