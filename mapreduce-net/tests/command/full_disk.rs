//! Disks that are full while a job spills, or writes its output. The files of the processes are limited in length (`ulimit
//! -f`), and their writes meet that as they meet a full disk: with an error, behind what still fitted.

use super::{
    example, names, parts,
    support::{Ended, Lab, Process, command},
};
use std::{fs, path::Path, process::Command};

/// The longest file of a process, in blocks of 512 bytes: room for a manifest, not for what a job spills.
const BLOCKS: &str = "128";
/// Room for one task and next to nothing else: what is emitted is spilled.
const LITTLE: &str = "--memory 35700000 --spill-to spill";

/// The same command, whose files are limited.
fn limited(of: &Command) -> Command {
    let mut limited = Command::new("sh");
    // A process that does not ignore the signal is ended by it.
    limited.args(["-c", "trap '' XFSZ && ulimit -f \"$0\" && exec \"$@\"", BLOCKS]);
    limited.arg(of.get_program()).args(of.get_args());
    limited.current_dir(of.get_current_dir().expect("a folder"));
    limited
}

/// Lines in no order, which do not compress well: more than fits into the budget.
fn write_text(folder: &Path) {
    let line = |i: u64| format!("{:016x}{i}\n", i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    fs::write(folder.join("text"), (0..300_000).map(line).collect::<String>()).unwrap();
    fs::create_dir_all(folder.join("spill")).unwrap();
}

fn run(folder: &Path, args: &str) -> Ended {
    Process::start(&mut limited(&command(example("sort"), folder, args))).wait()
}

fn left_nothing(folder: &Path) {
    assert_eq!(names(folder), ["spill", "text"]);
    assert!(names(&folder.join("spill")).is_empty());
}

#[test]
fn a_run_that_cannot_spill_names_the_folder_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_text(folder.path());
    for partitions in [1, 3] {
        let args = format!("run text --output out --threads 1 --partitions {partitions} {LITTLE}");
        let ended = run(folder.path(), &args);
        let error = ended.refused(1);
        assert!(error.contains("spill: cannot spill: "), "{error}");
        assert!(error.contains("make room there, spill to another folder with --spill-to, or "), "{error}");
        left_nothing(folder.path());
    }
}

#[test]
fn an_output_that_cannot_be_written_is_named_and_nothing_of_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    write_text(folder.path());
    let ended = run(folder.path(), "run text --output out --threads 1 --partitions 3");
    let error = ended.refused(1);
    assert!(error.contains("cannot write") && error.contains(".out."), "{error}");
    assert!(error.ends_with("; make room there, or choose a folder on another disk"), "{error}");
    left_nothing(folder.path());
    // What was there before is there again.
    fs::write(folder.path().join("few"), "b\na\n").unwrap();
    run(folder.path(), "run few --output out --partitions 1").succeeded();
    run(folder.path(), "run text --output out --overwrite --threads 1 --partitions 3").refused(1);
    assert_eq!(names(folder.path()), ["few", "out", "spill", "text"]);
    assert_eq!(parts(&folder.path().join("out")), b"a\nb\n");
}

#[test]
fn a_filter_that_cannot_spill_says_so() {
    let folder = tempfile::tempdir().unwrap();
    write_text(folder.path());
    let mut map = limited(&command(example("sort"), folder.path(), &format!("map {LITTLE}")));
    let output = map.stdin(fs::File::open(folder.path().join("text")).unwrap()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("spill: cannot spill: ") && error.contains("--spill-to"), "{error}");
    left_nothing(folder.path());
}

#[test]
fn a_peer_that_cannot_spill_leaves_the_work_to_others() {
    let mut peers = 0;
    let lab = Lab::start_as(example("sort"), 2, |mut peer| {
        peers += 1;
        if peers == 1 {
            return peer;
        }
        peer.args(LITTLE.split(' '));
        fs::create_dir(peer.get_current_dir().expect("a folder").join("spill")).unwrap();
        limited(&peer)
    });
    write_text(lab.folder());
    let run = "run text --partitions 3 --output out --pool lab.pool.client --min-peers 2 --json";
    let said = lab.run(run).succeeded().stdout;
    let result: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(result["attempts_failed"].as_u64().unwrap() > 0, "{result}");
    let mut lines: Vec<String> =
        fs::read_to_string(lab.path("text")).unwrap().lines().map(|line| format!("{line}\n")).collect();
    lines.sort();
    assert!(parts(&lab.path("out")) == lines.concat().into_bytes());
    assert!(names(&lab.path("spill")).is_empty());
}
