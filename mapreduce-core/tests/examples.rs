//! The examples as a user runs them: real processes on real files, compared with an independent computation.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{Folder, names};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The example programs lie beside the folder of the test programs; `cargo test` builds both.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let path = profile.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is not there; run `cargo build -p mapreduce-core --examples`",
        path.display()
    );
    path
}

fn run(name: &str, arguments: &[&Path]) -> Output {
    Command::new(example(name)).args(arguments).output().unwrap()
}

fn succeed(name: &str, arguments: &[&Path]) -> String {
    let output = run(name, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a program that has to fail says.
fn fail(name: &str, arguments: &[&Path]) -> String {
    let output = run(name, arguments);
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The parts of an output folder, one after the other.
fn parts(folder: &Path) -> Vec<u8> {
    let parts = names(folder).into_iter().filter(|name| name.starts_with("part-"));
    parts.flat_map(|name| fs::read(folder.join(name)).unwrap()).collect()
}

#[test]
fn word_count_counts_the_words_of_all_files() {
    let folder = Folder::new();
    let texts: Vec<String> = (0..3u64)
        .map(|file| (0..20_000).map(|i| format!("w{} \t é{}\n", i * i % 1_009, (i + file) % 11)).collect())
        .collect();
    let mut expected = BTreeMap::new();
    for word in texts.iter().flat_map(|text| text.split_whitespace()) {
        *expected.entry(word).or_insert(0) += 1;
    }
    let expected: String = expected.iter().map(|(word, n)| format!("{word}\t{n}\n")).collect();
    let (files, out) = (folder.files(&texts), folder.join("counts"));

    let said = succeed("word_count", &[&out, &files[0], &files[1], &files[2]]);
    assert_eq!(said, format!("{} words in 1 parts\n", expected.lines().count()));
    assert!(parts(&out) == expected.into_bytes());
    assert_eq!(names(&out), ["_MANIFEST.json", "_SUCCESS", "part-00000"]);
}

#[test]
fn word_count_reads_its_own_output() {
    let folder = Folder::new();
    let (first, second) = (folder.join("first"), folder.join("second"));
    succeed("word_count", &[&first, &folder.file("text", "b a b")]);
    succeed("word_count", &[&second, &first]);
    assert_eq!(parts(&second), b"1\t1\n2\t1\na\t1\nb\t1\n");
}

#[test]
fn sort_sorts_the_lines_of_all_files_by_their_bytes() {
    let folder = Folder::new();
    let texts: Vec<Vec<u8>> = (0..3u64)
        .map(|file| {
            // Any byte but the line feed; lines that are equal, empty, or the beginning of others.
            let line =
                |i: u64| (0..i % 17).map(move |j| (i * 37 + j * j * 11 + file) as u8 | 0x20).chain([b'\n']);
            (0..10_000).flat_map(line).collect()
        })
        .collect();
    let mut expected: Vec<Vec<u8>> = texts
        .iter()
        .flat_map(|text| text.split_inclusive(|byte| *byte == b'\n'))
        .map(<[u8]>::to_vec)
        .collect();
    // By their bytes without the line feed, which is less than any byte in them.
    expected.sort();
    let (files, out) = (folder.files(&texts), folder.join("sorted"));

    let said = succeed("sort", &[&out, &files[0], &files[1], &files[2]]);
    assert_eq!(said, "30000 lines in 16 parts\n");
    assert!(parts(&out) == expected.concat());
}

#[test]
fn the_examples_say_how_they_are_used() {
    assert_eq!(fail("word_count", &[]), "Error: \"usage: word_count OUTPUT INPUT...\"\n");
    assert_eq!(fail("sort", &[]), "Error: \"usage: sort OUTPUT INPUT...\"\n");
}

#[test]
fn the_examples_name_an_input_that_is_missing() {
    let folder = Folder::new();
    let (out, missing) = (folder.join("out"), folder.join("missing"));
    for name in ["word_count", "sort"] {
        let said = fail(name, &[&out, &missing]);
        assert!(said.contains(&missing.display().to_string()), "{said}");
        let said = fail(name, &[&out]);
        assert!(said.contains("no file was given"), "{said}");
    }
    assert!(folder.names().is_empty());
}

#[test]
fn the_examples_do_not_overwrite_an_output() {
    let folder = Folder::new();
    let (out, text) = (folder.join("out"), folder.file("text", "a b"));
    for name in ["word_count", "sort"] {
        fs::create_dir(&out).unwrap();
        fs::write(out.join("mine"), "").unwrap();
        let said = fail(name, &[&out, &text]);
        assert!(said.contains(&out.display().to_string()), "{said}");
        assert_eq!(names(&out), ["mine"]);
        fs::remove_dir_all(&out).unwrap();
    }
}
