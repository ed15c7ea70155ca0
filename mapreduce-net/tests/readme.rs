//! The README shows the word count example as it is.

use std::fs;

#[test]
fn the_readme_contains_the_word_count_example() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let readme = fs::read_to_string(format!("{folder}../README.md")).unwrap();
    let example = fs::read_to_string(format!("{folder}examples/word_count.rs")).unwrap();
    let block = format!("```rust\n{example}```\n");
    assert!(readme.contains(&block), "copy examples/word_count.rs into README.md:\n{block}");
}

#[test]
fn the_word_count_takes_at_most_thirty_lines() {
    let example = include_str!("../examples/word_count.rs");
    assert!(example.lines().count() <= 30);
}
