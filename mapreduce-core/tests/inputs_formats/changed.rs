//! Files that change between plan and end of a job.

use super::{
    common::{Folder, engine, jobs::LineCount},
    compressed, opened,
};
use mapreduce_core::{
    CsvFiles, Dataset, Engine, Error, FailureKind, FixedFiles, Input, ReadError, RowFiles, TextFiles,
};
use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

/// Writes to a file, so that the time of it is another whatever the resolution of the clock.
fn rewrite(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    let later = SystemTime::now() + Duration::from_secs(10);
    File::options().write(true).open(path).unwrap().set_modified(later).unwrap();
}

fn error<I: Input>(data: &Dataset<I>) -> ReadError {
    opened(data, |_| ()).unwrap_err()
}

/// What reading says of a file that was changed, by the function that plans it.
fn changed<I: Input>(path: &Path, plan: impl Fn() -> I) {
    let content = fs::read(path).unwrap();
    let shown = path.display().to_string();
    let after = |change: &dyn Fn()| {
        fs::write(path, &content).unwrap();
        let data = Dataset::new(plan()).unwrap();
        change();
        let error = error(&data);
        assert!(error.is_permanent() && error.to_string().starts_with(&shown), "{error}");
        error
    };
    let longer = [&content[..], &content[content.len() / 2..]].concat();
    let error = after(&|| fs::write(path, &longer).unwrap());
    let ReadError::Changed { difference, .. } = &error else { panic!("{error}") };
    assert_eq!(difference, &format!("it had {} bytes and now has {}", content.len(), longer.len()));
    assert!(error.to_string().contains("do not change the input of a running job"), "{error}");
    let error = after(&|| rewrite(path, &content));
    assert!(error.to_string().contains("it has been written to"), "{error}");
    for len in [0, content.len() - 1] {
        let error = after(&|| fs::write(path, &content[..len]).unwrap());
        let ReadError::Shrunk { expected, found, .. } = error else { panic!("{error}") };
        assert_eq!((expected, found), (content.len() as u64, len as u64));
    }
    fs::write(path, &content).unwrap();
    let data = Dataset::new(plan()).unwrap();
    fs::remove_file(path).unwrap();
    let error = self::error(&data);
    // It may come back.
    assert!(matches!(error, ReadError::Io { .. }) && !error.is_permanent(), "{error}");
    assert!(error.to_string().starts_with(&shown), "{error}");
}

#[test]
fn a_file_that_changes_is_an_error_whatever_the_input() {
    let folder = Folder::new();
    let text = b"a,b\n1,2\n3,4\n".repeat(50);
    let path = folder.file("text", &text);
    changed(&path, || TextFiles::open([&path]).unwrap());
    let path = compressed::write(&folder, "zipped", &text, 1);
    changed(&path, || TextFiles::open([&path]).unwrap());
    let path = compressed::write(&folder, "zstd", &text, 2);
    changed(&path, || TextFiles::open([&path]).unwrap());
    let path = folder.file("csv", &text);
    changed(&path, || CsvFiles::<(String, String)>::open([&path]).unwrap());
    let path = folder.file("fixed", &text);
    changed(&path, || FixedFiles::open([&path], 0, 4).unwrap());
    let path = folder.file("rows", &text);
    changed(&path, || RowFiles::<u32>::open(&path, 0, 1).unwrap());
    let path = super::parquet::small(&folder);
    changed(&path, || mapreduce_core::ParquetFiles::<super::parquet::Small>::open([&path]).unwrap());
}

/// The replacement may be longer, and have the same lines where the splits are.
#[test]
fn a_job_does_not_read_a_file_that_was_replaced() {
    let folder = Folder::new();
    let path = folder.file("text", "a\nb\n");
    let data = Dataset::with_split_bytes(TextFiles::open_bytes([&path]).unwrap(), 2).unwrap();
    fs::rename(folder.file("new", "a\nb\nc\n"), &path).unwrap();
    let Err(Error::Task(error)) = engine().run(&LineCount, &(), &data) else { panic!("should have failed") };
    assert_eq!((error.failure.kind, error.attempts), (FailureKind::Read, 1), "{error}");
    assert!(error.to_string().contains("it had 4 bytes and now has 6"), "{error}");
    // Planned again, it is what it is now.
    let data = Dataset::new(TextFiles::open_bytes([&path]).unwrap()).unwrap();
    assert_eq!(opened(&data, |_| ()).unwrap().len(), 3);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error_at_its_end() {
    let folder = Folder::new();
    let content = b"0123456\n".repeat(100_000);
    for (name, content) in [("text", content.clone()), ("text.gz", compressed::gzip(&content))] {
        let path = folder.file(name, &content);
        let data = Dataset::with_split_bytes(TextFiles::open_bytes([&path]).unwrap(), u64::MAX).unwrap();
        let mut blocks = data.input().open(&data.splits()[0]).unwrap();
        assert!(blocks.next_block().unwrap().is_some());
        rewrite(&path, &content);
        let error = loop {
            match blocks.next_block() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{name}: not noticed"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ReadError::Changed { .. }), "{error}");
    }
}

/// Copies on several nodes may have been made at different times.
#[test]
fn storage_that_is_shared_may_give_files_other_times() {
    let folder = Folder::new();
    let content = b"0123456\n".repeat(100_000);
    let path = folder.file("text", &content);
    let data = Dataset::with_split_bytes(TextFiles::open_bytes([&path]).unwrap(), u64::MAX).unwrap();
    let data = data.on_shared_storage().unwrap();
    let (files, split) = (data.shared_files().unwrap(), &data.splits()[0]);
    let fingerprint = files.fingerprint(split).unwrap();
    rewrite(&path, &content);
    // To the driver that planned it, it has changed.
    assert!(matches!(files.fingerprint(split), Err(ReadError::Changed { .. })));
    let mut chunks = files.open(split, fingerprint).unwrap();
    assert!(chunks.next_chunk().unwrap().is_some());
    rewrite(&path, &[&content[..], b"more"].concat());
    let error = loop {
        match chunks.next_chunk() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("not noticed"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReadError::Changed { .. }), "{error}");
}
