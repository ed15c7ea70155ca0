//! A file that is given to every task.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::Folder;
use mapreduce_core::{CachedFile, Error, codec};
use std::{fs, thread};

fn sent(file: &CachedFile) -> CachedFile {
    let mut bytes = Vec::new();
    codec::encode(file, &mut bytes).unwrap();
    codec::decode(&bytes).unwrap()
}

#[test]
fn a_file_arrives_with_its_name_and_bytes() {
    let folder = Folder::new();
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let file = CachedFile::read(folder.file("model.bin", &content)).unwrap();
    fs::remove_file(folder.join("model.bin")).unwrap();
    for file in [&file, &sent(&file)] {
        assert_eq!((file.name(), file.bytes()), ("model.bin", &content[..]));
    }
    assert_eq!(format!("{file:?}"), "CachedFile { name: \"model.bin\", bytes: 100000 }");
}

#[test]
fn a_file_is_sent_as_bytes_and_not_number_by_number() {
    let mut bytes = Vec::new();
    codec::encode(&CachedFile::new("f", vec![0xff; 1000]), &mut bytes).unwrap();
    assert!(bytes.len() < 1010, "{}", bytes.len());
}

#[test]
fn code_that_wants_a_path_gets_a_temporary_file() {
    let file = sent(&CachedFile::new("words.txt", "to be"));
    let path = file.path().unwrap();
    assert_eq!(
        (path.file_name().unwrap(), fs::read(&path).unwrap()),
        ("words.txt".as_ref(), b"to be".to_vec())
    );
    let clone = file.clone();
    assert_eq!(clone.path().unwrap(), path);
    drop(file);
    assert!(path.exists());
    drop(clone);
    assert!(!path.exists());
}

#[test]
fn all_threads_get_the_same_path() {
    let file = CachedFile::new("f", "content");
    let paths: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| file.path().unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(paths.iter().all(|path| *path == paths[0] && path.exists()), "{paths:?}");
}

#[test]
fn a_name_that_is_a_path_does_not_lead_out_of_the_folder() {
    for (name, expected) in [("../../evil", "evil"), ("..", "file"), ("", "file"), ("/", "file")] {
        let path = CachedFile::new(name, "x").path().unwrap();
        assert_eq!(path.file_name().unwrap(), expected, "{name:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = Folder::new();
    let missing = folder.join("missing");
    for path in [missing.as_path(), folder.path()] {
        let error = CachedFile::read(path).unwrap_err();
        assert!(
            matches!(&error, Error::Input { input, .. } if *input == path.display().to_string()),
            "{error}"
        );
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}

#[test]
fn a_file_too_long_to_be_broadcast_is_refused_unread() {
    let folder = Folder::new();
    let path = folder.file("long", "");
    fs::File::options().write(true).open(&path).unwrap().set_len(2 << 30).unwrap();
    let error = CachedFile::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("has 2147483648 bytes") && error.contains("make it an input of the job"),
        "{error}"
    );
}
