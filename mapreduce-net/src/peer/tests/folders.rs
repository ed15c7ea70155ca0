//! Reduce attempts that write into the driver's folder, where it is one, and return their output where it is not.

use super::{
    driver::{Link, encoded, map, oracle, reduce, round},
    *,
};
use crate::wire::message::{BeginRound, Command, OutputPlace, Source};
use mapreduce_core::{Block, Format, engine::SharedPart, schedule::AttemptId};
use std::{fs, path::Path};
use tempfile::TempDir;

const TEXT: &str = "to be or not to be\n";
const TOKEN: u128 = 0x1234 << 64;

/// A folder with the marker of a driver.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("_shared"), format!("mapreduce output in the making\n{TOKEN:032x}\n"))
        .unwrap();
    folder
}

/// What a driver says of a folder.
fn staging(folder: &Path, token: u128) -> Option<Block<u8>> {
    Some(encoded(&(folder.to_str().unwrap(), token, Format::Text)).into())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A round with its map output made.
async fn mapped(begin: BeginRound) -> (Pool, Driver, Link) {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &[TEXT]);
    link.begin(begin).await;
    link.map(map(0)).await;
    link.completed().await;
    link.sources(vec![Source { node: pool.peer().node_id(), outputs: vec![(0, 1)] }]).await;
    (pool, driver, link)
}

#[tokio::test]
async fn output_is_written_into_the_drivers_folder() {
    let folder = folder();
    let begin = BeginRound { staging: staging(folder.path(), TOKEN), ..round(1) };
    let (_pool, _driver, mut link) = mapped(begin).await;
    for number in [1, 2] {
        link.reduce(AttemptId { number, ..reduce(0) }).await;
        let completed = link.completed().await;
        let OutputPlace::Files(SharedPart { part, sides }) = &completed.output else {
            panic!("{completed:?}")
        };
        assert_eq!((part.name.clone(), sides.len()), (format!("_attempt reduce 0 attempt {number}"), 0));
        let expected: String =
            oracle(TEXT).iter().map(|(word, count)| format!("{word}\t{count}\n")).collect();
        assert_eq!(fs::read_to_string(folder.path().join(&part.name)).unwrap(), expected);
        assert_eq!((part.records, part.bytes), (4, expected.len() as u64));
        let report = completed.report;
        assert_eq!((report.records, report.bytes, report.checksum), (4, part.bytes, part.checksum));
        assert_eq!(completed.processed, 4);
    }
}

#[tokio::test]
async fn output_is_returned_where_the_folder_is_not_the_drivers() {
    let (folder, elsewhere) = (folder(), tempfile::tempdir().unwrap());
    for (what, staging) in [
        ("another marker", staging(folder.path(), TOKEN + 1)),
        ("no marker", staging(elsewhere.path(), TOKEN)),
        ("no folder", staging(&elsewhere.path().join("missing"), TOKEN)),
        ("no absolute path", staging(Path::new("."), TOKEN)),
        // Of a build with formats that this one does not have.
        ("no format", Some(encoded(&(folder.path().to_str().unwrap(), TOKEN, 99u32)).into())),
        ("nonsense", Some(Block::from(vec![0xff; 30]))),
    ] {
        let (_pool, _driver, mut link) = mapped(BeginRound { staging, ..round(1) }).await;
        link.reduce(reduce(0)).await;
        let completed = link.completed().await;
        assert_eq!(driver::inline_counts(&completed.inline().unwrap()), oracle(TEXT), "{what}");
        assert_eq!(names(folder.path()), ["_shared"], "{what}");
        assert!(names(elsewhere.path()).is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_file_that_is_there_is_not_written_over() {
    let folder = folder();
    let begin = BeginRound { staging: staging(folder.path(), TOKEN), ..round(1) };
    let (_pool, _driver, mut link) = mapped(begin).await;
    let path = folder.path().join("_attempt reduce 0 attempt 1");
    fs::write(&path, "of somebody else").unwrap();
    link.reduce(reduce(0)).await;
    assert_eq!(driver::inline_counts(&link.completed().await.inline().unwrap()), oracle(TEXT));
    assert_eq!(fs::read_to_string(&path).unwrap(), "of somebody else");
    // The next attempt has a name of its own.
    link.reduce(AttemptId { number: 2, ..reduce(0) }).await;
    assert!(matches!(link.completed().await.output, OutputPlace::Files(_)));
    link.end_round(1).await;
    link.tell(Command::Ping { number: 1 }).await;
    link.hear().await;
    assert_eq!(names(folder.path()).len(), 3, "what becomes of its files is the driver's matter");
}
