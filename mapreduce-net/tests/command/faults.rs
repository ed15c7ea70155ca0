//! Word count and sort on pools of real processes that are killed while they work.

use super::{
    example, parts,
    support::{Lab, Peer, Process},
};
use std::fs;

/// Megabytes of text, which keep two peers busy for much longer than it takes to kill one.
fn write_texts(lab: &Lab) {
    for file in 0..4_u64 {
        let line = |i: u64| format!("w{} x{} y{}\n", i * i % 50_021, (i + file) % 11, i * 7919 % 100_003);
        fs::write(lab.path(&format!("{file}.txt")), (0..250_000).map(line).collect::<String>()).unwrap();
    }
}

const RUN: &str = "run 0.txt 1.txt 2.txt 3.txt --partitions 7";

#[test]
#[cfg(unix)]
fn a_peer_may_be_killed_while_it_works() {
    for name in ["word_count", "sort"] {
        let mut lab = Lab::start(example(name), 3);
        write_texts(&lab);
        lab.run(&format!("{RUN} --output local")).succeeded();
        // The founder, then the last but one.
        for (output, peers) in [("first", 3), ("second", 2)] {
            let args = format!("{RUN} --output {output} --pool lab.pool.client --min-peers {peers}");
            let driver = Process::start(&mut lab.command(&args));
            let mut peer = lab.take_peer(0).process;
            // It may have seen a job of another driver before.
            peer.sees(driver.id(), "a driver came");
            peer.stderr_line(|line| line.contains("a job begins"));
            // The driver stands still until the peer is dead: the job cannot be over by then.
            driver.signal("STOP");
            peer.kill_and_wait();
            driver.signal("CONT");
            driver.wait().succeeded();
            assert!(parts(&lab.path(output)) == parts(&lab.path("local")), "{name}, {output}");
        }
    }
}

#[test]
fn a_peer_may_be_killed_while_another_one_fetches_from_it() {
    let mut lab = Lab::start(example("word_count"), 1);
    write_texts(&lab);
    lab.run(&format!("{RUN} --output local")).succeeded();
    let mut peers = [(); 2].map(|()| {
        let args = "peer --pool lab.pool --listen 127.0.0.1:0 --threads 1 --verbose";
        Peer::ready(Process::start(&mut lab.command(args)))
    });
    let others = [lab.peer(0).id.clone(), peers[1].id.clone()];
    let driver = format!("{RUN} --output pool --pool lab.pool.client --min-peers 3");
    let driver = Process::start(&mut lab.command(&driver));
    // Peers connect for data when they have map output to fetch.
    let peer = &mut peers[0].process;
    let fetched = |line: &str| line.contains("channel=Data") && others.iter().any(|id| line.contains(id));
    peer.stderr_line(fetched);
    peer.kill();
    driver.wait().succeeded();
    assert!(parts(&lab.path("pool")) == parts(&lab.path("local")));
}
