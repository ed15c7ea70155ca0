//! The examples `inverted_index`, `join`, `grep` and `page_rank`: on threads, on a pool of two processes and as filters,
//! compared with computations on the collections of the standard library.

use super::{
    example,
    filters::{piped, refused, sort},
    names, parts,
    support::Lab,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// How many lines the random inputs have: the last ones are of several splits.
const SIZES: [usize; 4] = [0, 1, 60, 30_000];

/// Numbers that look random, the same every time (xorshift64).
struct Random(u64);

impl Random {
    fn new(seed: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ seed as u64)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// What `run ARGS` writes in so many parts, the same on threads and on the peers of the lab.
fn written(lab: &Lab, args: &str, partitions: u32) -> Vec<u8> {
    let all = format!("run {args} --partitions {partitions} --overwrite --json");
    let on_threads = lab.run(&format!("{all} --output threads --threads 2")).succeeded();
    let on_pool = lab.run(&format!("{all} --output pool --pool lab.pool.client --min-peers 2")).succeeded();
    let output = parts(&lab.path("threads"));
    assert!(parts(&lab.path("pool")) == output, "on a pool {args} gives something else");
    for ended in [on_threads, on_pool] {
        let said: Value = serde_json::from_str(&ended.stdout).unwrap();
        let fields = "output pairs records input_bytes keys output_bytes spilled_bytes parts peers threads tasks_by_peer \
                      attempts_lost attempts_failed counters map_seconds reduce_seconds seconds peak_rss_bytes";
        let missing: Vec<&str> =
            fields.split_whitespace().filter(|field| said.get(field).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?} of {said}");
        let newlines = output.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!((&said["parts"], &said["pairs"]), (&partitions.into(), &newlines.into()), "{said}");
    }
    output
}

fn sorted_lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort();
    lines
}

#[test]
fn inverted_index_lists_the_documents_of_each_word() {
    let lab = Lab::start(example("inverted_index"), 2);
    for size in SIZES {
        let mut random = Random::new(size);
        let mut text = String::new();
        let mut counts = BTreeMap::new();
        for _ in 0..size {
            let document = format!("{}{}", random.one_of(&["a", "a b", "\"é\""]), random.below(40));
            text += &document;
            text.push('\t');
            for _ in 0..random.below(6) {
                let word = format!("{}{}", random.one_of(&["w", "wé", "x"]), random.below(30));
                text += &if random.below(2) == 0 { word.clone() } else { word.to_uppercase() };
                text += random.one_of(&[" ", "\t", ", ", "-"]);
                *counts.entry((word, document.clone())).or_insert(0) += 1;
            }
            text.push('\n');
        }
        let line = |((word, document), count): (&(String, String), &u64)| {
            format!("{word}\t{{\"document\":{},\"count\":{count}}}\n", Value::from(document.as_str()))
        };
        let expected: String = counts.iter().map(line).collect();

        fs::write(lab.path("documents.tsv"), &text).unwrap();
        assert!(written(&lab, "documents.tsv", 1) == expected.as_bytes(), "{size} lines");
        let in_parts = written(&lab, "documents.tsv", 3);
        assert!(sorted_lines(&in_parts) == sorted_lines(expected.as_bytes()), "{size} lines");
        let pairs = piped("inverted_index", "map", text.as_bytes());
        let filtered = piped("inverted_index", "reduce", &sort(&pairs));
        assert!(filtered == expected.as_bytes(), "{size} lines");
    }
}

#[test]
fn join_pairs_the_lines_of_equal_keys() {
    let lab = Lab::start(example("join"), 2);
    for size in SIZES {
        let mut random = Random::new(size);
        // Keys that are on both sides, several times, or on one side only.
        let mut side = |keys: usize| -> Vec<(String, String)> {
            (0..size)
                .map(|line| {
                    (format!("é{}", random.below(keys) * 7), format!("{line}\t\"{}", random.below(9)))
                })
                .collect()
        };
        let (left, right) = (side(size + 1), side(2 * size + 1));
        let mut left_of = BTreeMap::<_, Vec<_>>::new();
        left.iter().for_each(|(key, rest)| left_of.entry(key).or_default().push(rest));
        let mut joined = BTreeMap::<_, Vec<_>>::new();
        for (key, right) in &right {
            let pairs = left_of.get(key).into_iter().flatten().map(|left| serde_json::json!([left, right]));
            joined.entry(key).or_default().extend(pairs);
        }
        let lines = |(key, pairs): (&String, Vec<Value>)| -> String {
            pairs.iter().map(|pair| format!("{key}\t{pair}\n")).collect()
        };
        let expected: String = joined.into_iter().map(|(key, pairs)| lines((key, pairs))).collect();

        let [left, right] = [left, right]
            .map(|side| side.iter().map(|(key, rest)| format!("{key}\t{rest}\n")).collect::<String>());
        fs::write(lab.path("left.tsv"), &left).unwrap();
        fs::write(lab.path("right.tsv"), &right).unwrap();
        assert!(written(&lab, "left.tsv right.tsv", 1) == expected.as_bytes(), "{size} lines");
        let in_parts = written(&lab, "left.tsv right.tsv", 3);
        assert!(sorted_lines(&in_parts) == sorted_lines(expected.as_bytes()), "{size} lines");
        let left = piped("join", "map --input 0 --split 0", left.as_bytes());
        let right = piped("join", "map --input 1 --split 1", right.as_bytes());
        let filtered = piped("join", "reduce", &sort(&[left, right].concat()));
        assert!(filtered == expected.as_bytes(), "{size} lines");
    }
}

#[test]
fn a_join_can_be_written_as_a_table() {
    let lab = Lab::start(example("join"), 0);
    fs::write(lab.path("users.tsv"), "1\tAda\n2\tBob\n").unwrap();
    fs::write(lab.path("orders.tsv"), "2\ta book\n1\ta lamp, green\n3\ta hat\n").unwrap();
    lab.run("run users.tsv orders.tsv --output joined --format csv").succeeded();
    let expected = "key,value_0,value_1\n1,Ada,\"a lamp, green\"\n2,Bob,a book\n";
    assert_eq!(String::from_utf8(parts(&lab.path("joined"))).unwrap(), expected);
}

#[test]
fn grep_keeps_the_lines_that_match_in_their_order() {
    let lab = Lab::start(example("grep"), 2);
    for size in SIZES {
        let mut random = Random::new(size);
        let mut text = Vec::new();
        for _ in 0..size {
            text.extend((0..random.below(30)).map(|_| b"xX0123456789 \t\r\0\xe9\xff"[random.below(18)]));
            text.push(b'\n');
        }
        let matches = |line: &&[u8]| {
            line.windows(3)
                .any(|part| matches!(part, [b'x' | b'X', a, b] if a.is_ascii_digit() && b.is_ascii_digit()))
        };
        let expected =
            text.split_inclusive(|byte| *byte == b'\n').filter(matches).collect::<Vec<_>>().concat();

        fs::write(lab.path("text"), &text).unwrap();
        for partitions in [1, 3] {
            assert!(written(&lab, r"(?i)x\d\d text", partitions) == expected, "{size} lines");
        }
        let pairs = piped("grep", r"map (?i)x\d\d", &text);
        assert!(piped("grep", r"reduce (?i)x\d\d", &sort(&pairs)) == expected, "{size} lines");
    }
}

/// PageRank by the power method over floating-point numbers.
fn ranks_of(links: &[(String, String)], damping: f64) -> BTreeMap<String, f64> {
    let pages: BTreeSet<&String> = links.iter().flat_map(|(from, to)| [from, to]).collect();
    let number: BTreeMap<&String, usize> = pages.iter().zip(0..).map(|(page, i)| (*page, i)).collect();
    let links: Vec<(usize, usize)> = links.iter().map(|(from, to)| (number[from], number[to])).collect();
    let n = pages.len();
    let mut degrees = vec![0_u32; n];
    links.iter().for_each(|(from, _)| degrees[*from] += 1);
    let mut ranks = vec![1.0 / n as f64; n];
    for _ in 0..200 {
        let without_links: f64 = (0..n).filter(|page| degrees[*page] == 0).map(|page| ranks[page]).sum();
        let mut next = vec![(1.0 - damping + damping * without_links) / n as f64; n];
        for (from, to) in &links {
            next[*to] += damping * ranks[*from] / f64::from(degrees[*from]);
        }
        ranks = next;
    }
    pages.into_iter().cloned().zip(ranks).collect()
}

#[test]
fn page_rank_gives_the_stationary_ranks() {
    let lab = Lab::start(example("page_rank"), 2);
    for size in SIZES {
        let mut random = Random::new(size);
        let pages = size / 20 + 2;
        let links: Vec<(String, String)> = (0..size)
            .map(|_| {
                // Low numbers are linked to more often; some pages have no links, and some link to themselves.
                let (from, to) = (random.below(pages), random.below(pages) * random.below(pages) / pages);
                (format!("page {}", from - from % 3), format!("page {to}"))
            })
            .collect();
        let text: String = links.iter().map(|(from, to)| format!("{from}\t{to}\n")).collect();
        fs::write(lab.path("links.tsv"), text).unwrap();

        let args = "links.tsv --damping 0.8 --tolerance 1e-10";
        let output = written(&lab, args, 1);
        let ranks: BTreeMap<String, f64> = str::from_utf8(&output)
            .unwrap()
            .lines()
            .map(|line| line.split_once('\t').unwrap())
            .map(|(page, rank)| (page.to_owned(), rank.parse().unwrap()))
            .collect();
        let expected = ranks_of(&links, 0.8);
        assert!(ranks.keys().eq(expected.keys()));
        for (page, rank) in &ranks {
            assert!((rank - expected[page]).abs() < 1e-9, "{page}: {rank}, not {}", expected[page]);
        }
        // Not merely near: the same digits, however the work is cut.
        let in_parts = written(&lab, args, 3);
        assert!(sorted_lines(&in_parts) == sorted_lines(&output), "{size} lines");
    }
}

#[test]
fn page_rank_says_how_many_rounds_it_took_and_when_they_are_too_many() {
    let lab = Lab::start(example("page_rank"), 0);
    fs::write(lab.path("links.tsv"), "a\tb\nb\ta\nb\tc\n").unwrap();
    let said = lab.run("run links.tsv --output ranks").succeeded().stdout;
    let rounds = said.lines().find_map(|line| line.strip_prefix("rounds: ")).unwrap();
    assert!((5..100).contains(&rounds.parse::<u32>().unwrap()), "{said}");
    let ended = lab.run("run links.tsv --output few --rounds-max 3");
    let expected = "the ranks of page-rank still move after 3 rounds; raise --rounds-max or --tolerance";
    assert!(ended.refused(1).ends_with(expected), "{ended:?}");
    assert_eq!(names(lab.folder()), ["lab.pool", "lab.pool.client", "links.tsv", "ranks"]);
}

#[test]
fn page_rank_settles_as_far_as_rounding_lets_it_and_refuses_more() {
    let lab = Lab::start(example("page_rank"), 0);
    let mut random = Random::new(7);
    let links: String =
        (0..5_000).map(|_| format!("{}\t{}\n", random.below(300), random.below(300))).collect();
    fs::write(lab.path("links.tsv"), links).unwrap();
    for damping in [0.0, 0.5, 0.85, 0.99] {
        let args = format!("run links.tsv --output ranks --overwrite --damping {damping} --tolerance");
        let ended = lab.run(&format!("{args} 1e-18"));
        let error = ended.refused(1);
        assert!(error.contains("--tolerance 1e-18 is less than the "), "{error}");
        let least = error.split("less than the ").nth(1).unwrap().split(' ').next().unwrap();
        let least: f64 = least.parse().unwrap();
        assert!(least < 1e-11, "{least}");
        // What it says is rounded.
        lab.run(&format!("{args} {:e}", least * 1.5)).succeeded();
    }
}

#[test]
fn the_filters_of_page_rank_list_the_links_of_each_page() {
    let pairs = piped("page_rank", "map", b"b\ta\na\tc\nb\tc\n");
    let lists = piped("page_rank", "reduce", &sort(&pairs));
    assert_eq!(String::from_utf8(lists).unwrap(), "a\t[\"c\"]\nb\t[\"a\",\"c\"]\nc\t[]\n");
}

#[test]
fn lines_that_are_of_no_use_are_named() {
    for (name, inputs) in [("inverted_index", "bad"), ("join", "good bad"), ("page_rank", "bad")] {
        let lab = Lab::start(example(name), 0);
        fs::write(lab.path("good"), "a\tb\n").unwrap();
        for (bad, expected) in [("a\tb\nab\n", "the line has no tab"), ("a\tb\na\t\u{0}\n\n", "has no tab")] {
            fs::write(lab.path("bad"), bad).unwrap();
            let ended = lab.run(&format!("run {inputs} --output out"));
            let error = ended.refused(1);
            assert!(error.contains("bad") && error.contains(expected), "{error}");
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        }
        fs::write(lab.path("bad"), b"a\tb\na\t\xff\n").unwrap();
        let ended = lab.run(&format!("run {inputs} --output out"));
        assert!(ended.refused(1).contains("bad") && ended.stderr.contains("UTF-8"), "{ended:?}");
        assert_eq!(names(lab.folder()), ["bad", "good", "lab.pool", "lab.pool.client"]);
    }
    assert!(refused("inverted_index", "map", b"a\tb\nab\n").contains("the line has no tab"));
    assert!(refused("join", "map --input 1", b"ab\n").contains("the line has no tab"));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let lab = |name| {
        let lab = Lab::start(example(name), 0);
        fs::write(lab.path("a"), "a\tb\n").unwrap();
        lab
    };
    for inputs in ["a", "a a a"] {
        let ended = lab("join").run(&format!("run {inputs} --output out"));
        assert_eq!(ended.refused(1), "error: give two inputs, the left and the right one");
    }
    for (name, args, expected) in [
        ("grep", "run ( a --output out", "unclosed group"),
        ("grep", "map [", "unclosed character class"),
        ("page_rank", "run a --output out --damping 1", "give a number from 0 to less than 1"),
        ("page_rank", "run a --output out --tolerance=-1", "give a number above 0 and less than 1"),
        ("page_rank", "run a --output out --tolerance 0", "give a number above 0 and less than 1"),
    ] {
        let ended = lab(name).run(args);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}

#[test]
fn an_output_that_is_there_is_refused_before_anything_runs() {
    for (name, args) in [("inverted_index", "a"), ("join", "a a"), ("grep", "a a"), ("page_rank", "a")] {
        let lab = Lab::start(example(name), 0);
        fs::write(lab.path("a"), "a\tb\n").unwrap();
        fs::create_dir(lab.path("out")).unwrap();
        // There is no such pool either, which is not looked for.
        let ended = lab.run(&format!("run {args} --output out --pool missing.pool"));
        assert!(ended.refused(1).starts_with("error: out: is already there"), "{ended:?}");
    }
}
