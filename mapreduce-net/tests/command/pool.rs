//! Pools of real processes: from `pool create` to the end of the last peer.

use super::{
    example, names, parts,
    support::{Lab, Peer, Process, command},
};
use mapreduce_net::pool_file::{MemberFile, PoolFile};
use serde_json::Value;
use std::{fs, path::Path};

fn word_count(peers: usize) -> Lab {
    Lab::start(example("word_count"), peers)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_pool_of_two_from_the_first_command_to_the_last() {
    let lab = word_count(0);
    fs::write(lab.path("text"), "b a b\n").unwrap();
    lab.run("pool create --address 127.0.0.1:1 --output first.pool").succeeded();
    let first = Peer::ready(Process::start(&mut lab.command("peer --pool first.pool --listen 127.0.0.1:0")));
    // The port is known now; with one that is chosen ahead, `pool create` names it.
    let file = MemberFile::load(lab.path("first.pool")).unwrap();
    let file = file.with_addresses(vec![first.address.parse().unwrap()]).unwrap();
    file.save(lab.path("all.pool")).unwrap();
    file.client_file().save(lab.path("all.pool.client")).unwrap();
    let second = Peer::ready(Process::start(&mut lab.command("peer --pool all.pool --listen 127.0.0.1:0")));

    let ended = lab.run("run text --output counts --pool all.pool.client --min-peers 2").succeeded();
    assert!(
        ended.stdout.starts_with("2 lines in 1 part, of 1 record and 2 keys, written to counts\n"),
        "{ended:?}"
    );
    assert!(ended.stdout.ends_with(" seconds on 1 peer\n"), "{ended:?}");
    assert_eq!(ended.stderr, "");
    assert_eq!(parts(&lab.path("counts")), b"a\t1\nb\t2\n");
    drop((first, second));
}

#[test]
fn a_peer_spills_what_its_memory_does_not_hold() {
    let lab = Lab::start(example("sort"), 0);
    let line = |i: u64| {
        format!("{:016x} and what follows, so that it adds up\n", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    };
    let text: String = (0..600_000).map(line).collect();
    fs::write(lab.path("text"), text).unwrap();
    fs::create_dir(lab.path("spill")).unwrap();
    lab.run("pool create --address 127.0.0.1:1 --output first.pool").succeeded();
    let refused = lab.run("peer --pool first.pool --listen 127.0.0.1:0 --spill-to nowhere");
    assert!(refused.refused(1).starts_with("error: --spill-to nowhere: nothing can be spilled there: "));
    let peer = "peer --pool first.pool --listen 127.0.0.1:0 --threads 1 --memory 60MB --spill-to spill";
    let peer = Peer::ready(Process::start(&mut lab.command(peer)));
    let file = MemberFile::load(lab.path("first.pool")).unwrap();
    file.with_addresses(vec![peer.address.parse().unwrap()]).unwrap().save(lab.path("all.pool")).unwrap();

    lab.run("run text --output here --partitions 3").succeeded();
    let said =
        lab.run("run text --output there --partitions 3 --pool all.pool --memory 1GB --json").succeeded();
    assert!(json(&said.stdout)["spilled_bytes"].as_u64().unwrap() > 0, "{said:?}");
    assert!(parts(&lab.path("there")) == parts(&lab.path("here")));
}

#[test]
fn status_shows_a_line_for_each_peer() {
    let mut lab = word_count(2);
    // A peer is known to the others a moment after it is ready.
    lab.peer(0).process.stderr_line(|line| line.contains("joined"));
    for file in ["lab.pool", "lab.pool.client"] {
        let said = lab.run(&format!("pool status --pool {file}")).succeeded().stdout;
        let mut lines = said.lines();
        let head: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(head, ["id", "address", "threads", "jobs", "version"]);
        let mut rows: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
        let version = env!("CARGO_PKG_VERSION");
        let mut expected: Vec<Vec<String>> = (0..2)
            .map(|number| {
                let Peer { id, address, .. } = lab.peer(number);
                [id, address, "1", "word-count", version].map(str::to_owned).to_vec()
            })
            .collect();
        rows.sort();
        expected.sort();
        assert_eq!(rows, expected);
    }
    let status = json(&lab.run("pool status --pool lab.pool --json").succeeded().stdout);
    assert_eq!(status["pool"], MemberFile::load(lab.member_file()).unwrap().pool().to_string());
    let members = status["members"].as_array().unwrap();
    assert_eq!(members.len(), 2);
    for member in members {
        assert!((0..2).any(|number| member["addresses"][0] == lab.peer(number).address), "{status}");
        assert_eq!(
            (&member["threads"], &member["jobs"][0]["name"]),
            (&1.into(), &"word-count".into()),
            "{status}"
        );
    }
}

/// Texts of two dozen splits in all.
fn write_texts(lab: &Lab) {
    for file in 0..3_u64 {
        let line =
            |i: u64| format!("w{} \t é{} line {}\n", i * i % 10_009, (i + file) % 11, i * 7919 % 100_003);
        fs::write(lab.path(&format!("{file}.txt")), (0..60_000).map(line).collect::<String>()).unwrap();
    }
}

#[test]
fn jobs_on_pools_give_what_they_give_on_threads() {
    let pools = ["word_count", "sort"].into_iter().flat_map(|name| [1, 2, 5].map(|peers| (name, peers)));
    for (name, peers) in pools {
        let lab = Lab::start(example(name), peers);
        write_texts(&lab);
        let inputs = "0.txt 1.txt 2.txt --partitions 5 --json";
        lab.run(&format!("run {inputs} --output local")).succeeded();
        for (output, option) in [("sent", ""), ("shared", "--shared")] {
            let pool = format!("--pool lab.pool.client --min-peers {peers} {option}");
            let ended = lab.run(&format!("run {inputs} --output {output} {pool}")).succeeded();
            let result = json(&ended.stdout);
            let tasks = result["tasks_by_peer"].as_object().unwrap();
            assert_eq!(result["peers"], tasks.len(), "{result}");
            assert!(tasks.keys().all(|peer| peer != "local"), "{result}");
            assert_eq!((&result["records"], &result["parts"]), (&180_000.into(), &5.into()), "{result}");
            assert!(parts(&lab.path(output)) == parts(&lab.path("local")), "{name} on {peers}, {output}");
        }
    }
}

/// Every process has a folder of its own under the path of its current folder in `/proc`.
#[test]
#[cfg(target_os = "linux")]
fn a_peer_that_sees_another_folder_sends_its_output_to_the_driver() {
    let mut lab = Lab::start(example("sort"), 1);
    write_texts(&lab);
    let inputs = [0, 1, 2].map(|file| lab.path(&format!("{file}.txt")).display().to_string()).join(" ");
    let run = format!("run {inputs} --partitions 5 --output");
    lab.run(&format!("{run} local")).succeeded();
    let elsewhere = tempfile::tempdir().unwrap();
    let pool = format!("--shared --pool {}", lab.client_file().display());
    let args = format!("{run} /proc/self/cwd/out {pool}");
    Process::start(&mut command(example("sort"), elsewhere.path(), &args)).wait().succeeded();
    let line = lab.peer(0).process.stderr_line(|line| line.contains("output is sent to the driver instead"));
    assert!(line.contains("the folder of the output is not the driver's here"), "{line}");
    assert!(parts(&elsewhere.path().join("out")) == parts(&lab.path("local")));
    assert_eq!(names(elsewhere.path()), ["out"]);
    assert!(names(lab.folder()).iter().all(|name| name != "out" && !name.starts_with('.')));
}

#[test]
#[cfg(unix)]
fn a_peer_that_is_told_to_end_leaves_the_pool() {
    for signal in ["TERM", "INT"] {
        let mut lab = word_count(2);
        lab.peer(0).process.stderr_line(|line| line.contains("joined"));
        let Peer { process, id, .. } = lab.take_peer(1);
        process.signal(signal);
        let ended = process.wait().succeeded();
        // The line that it was ready is the only one there.
        assert_eq!(ended.stdout.lines().count(), 1);
        assert!(ended.stderr.contains("draining: "), "{ended:?}");
        lab.peer(0).process.stderr_line(|line| line.contains("left") && line.contains(&id));
        let status = json(&lab.run("pool status --pool lab.pool --json").succeeded().stdout);
        assert_eq!(status["members"].as_array().unwrap().len(), 1, "{status}");
    }
}

#[test]
fn the_pool_outlives_the_peer_it_was_founded_on() {
    let mut lab = word_count(2);
    fs::write(lab.path("text"), "b a b\n").unwrap();
    lab.peer(1).process.stderr_line(|line| line.contains("joined"));
    lab.take_peer(0).process.kill_and_wait();
    // The files still name it first.
    lab.run("run text --output counts --pool lab.pool.client").succeeded();
    assert_eq!(parts(&lab.path("counts")), b"a\t1\nb\t2\n");
}

#[test]
#[cfg(unix)]
fn a_program_that_waits_for_peers_can_be_interrupted() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let mut lab = word_count(1);
        fs::write(lab.path("text"), "a").unwrap();
        let args = "run text --output counts --pool lab.pool.client --min-peers 2 --wait 60";
        let driver = Process::start(&mut lab.command(args));
        lab.peer(0).process.stderr_line(|line| line.contains("a driver came"));
        driver.signal(signal);
        let ended = driver.wait();
        assert_eq!(ended.refused(status), "error: interrupted; nothing was written");
        lab.peer(0).process.stderr_line(|line| line.contains("a driver is gone"));
        assert!(!lab.path("counts").exists());
    }
}

#[test]
fn a_quiet_peer_logs_nothing_about_what_is_normal() {
    let lab = word_count(1);
    fs::write(lab.path("text"), "a").unwrap();
    let mut peer = lab.command("peer --pool lab.pool --listen 127.0.0.1:0 --quiet");
    let peer = Peer::ready(Process::start(&mut peer));
    lab.run("run text --output counts --pool lab.pool.client --min-peers 2").succeeded();
    assert_eq!(peer.process.kill_and_wait().stderr, "");
}

#[test]
fn the_files_of_a_pool_can_be_made_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let said = Process::start(&mut command(
        example("word_count"),
        folder.path(),
        "pool create --address 10.0.0.1 --address lab.lan:99 --output lab.pool",
    ))
    .wait()
    .succeeded()
    .stdout;
    assert!(said.contains("wrote lab.pool: ") && said.contains("wrote lab.pool.client: "), "{said}");
    assert!(said.contains(" peer --pool lab.pool\n"), "{said}");
    let member = MemberFile::load(folder.path().join("lab.pool")).unwrap();
    let addresses: Vec<String> = member.addresses().iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.1:7077", "lab.lan:99"]);
    let client = PoolFile::load(folder.path().join("lab.pool.client")).unwrap();
    assert_eq!(client.pool(), member.pool());
    for name in ["lab.pool", "lab.pool.client"] {
        assert_private(&folder.path().join(name));
    }
}

#[cfg(unix)]
fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(not(unix))]
fn assert_private(_: &Path) {}
