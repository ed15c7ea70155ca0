use super::*;
#[test]
fn measure() {
    let server = Runtime::new().unwrap();
    let (member, client) = pool();
    let (sa, ra) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let (member, sa) = (member.clone(), sa.clone());
        server.spawn(async move {
            let mut peer = FakePeer::start(&member);
            sa.send(peer.address()).unwrap();
            let mut served = peer.session(2).await;
            loop {
                if let Command::Start { job, attempt: a, .. } = served.command().await {
                    served.complete(job, a.task.index()).await;
                }
            }
        });
    }
    let addresses = vec![ra.recv().unwrap(), ra.recv().unwrap()];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let identity = Identity::client(&client, Validity::default()).unwrap();
    let p = runtime
        .block_on(Pool::connect_as(identity, addresses, PoolOptions { min_peers: 2, ..options() }))
        .unwrap();
    let (mailbox, messages) = channel();
    let guard = p.hub().subscribe(mailbox, 1);
    let ids = [PeerId(1), PeerId(2)];
    for tasks in [2u32, 8, 64] {
        let mut times = Vec::new();
        for _ in 0..2000 {
            let begun = Instant::now();
            let mut left = 0;
            for t in 0..tasks {
                p.hub().send(ids[t as usize % 2], start(guard.job, t));
                left += 1;
            }
            while left > 0 {
                if let Message::Completed { .. } = messages.recv().unwrap() {
                    left -= 1;
                }
            }
            times.push(begun.elapsed());
        }
        times.sort();
        eprintln!(
            "{tasks} tasks: median {:?} p95 {:?}; {:.0} tasks/s",
            times[1000],
            times[1900],
            f64::from(tasks) * 2000.0 / times.iter().sum::<Duration>().as_secs_f64()
        );
    }
}
