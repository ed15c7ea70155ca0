//! The table against scripts, and against the plain rule that the newest record counts.

use super::*;
use mapreduce_core::JobId;
use proptest::prelude::*;

const GOSSIP: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn record(number: u8, version: u64) -> Record {
    Record {
        node: id(number),
        version,
        left: false,
        addresses: vec![format!("10.0.0.{number}:7077")],
        threads: 2,
        jobs: Vec::new(),
        build: "0.1.0".to_owned(),
    }
}

fn left(number: u8, version: u64) -> Record {
    Record { left: true, ..record(number, version) }
}

fn seconds(seconds: u64) -> Time {
    Time::from_micros(seconds * 1_000_000)
}

/// The table of member 0.
fn member() -> Table {
    Table::new(Time::ZERO, id(0), Some(record(0, 1)), GOSSIP, TIMEOUT)
}

fn events(table: &mut Table) -> Vec<Event> {
    std::iter::from_fn(|| table.poll_event()).filter(|event| *event != Event::Gossip).collect()
}

/// Lets time pass up to `to`, tick by tick.
fn pass(table: &mut Table, to: Time) -> Vec<Event> {
    while table.poll_timeout() <= to {
        let now = table.poll_timeout();
        table.handle_timeout(now);
    }
    events(table)
}

fn hear(table: &mut Table, now: Time, records: Vec<Record>) -> Vec<Event> {
    assert_eq!(table.handle_records(now, records), Ok(0));
    events(table)
}

#[test]
fn members_join_change_and_leave() {
    let mut table = member();
    assert_eq!(
        hear(&mut table, Time::ZERO, vec![record(2, 5), record(1, 7)]),
        [Event::Joined(id(2)), Event::Joined(id(1))]
    );
    // Older, the same, and newer with nothing to say.
    assert_eq!(hear(&mut table, Time::ZERO, vec![record(1, 6), record(1, 7), record(1, 8)]), []);
    let more = Record { threads: 9, ..record(1, 9) };
    assert_eq!(hear(&mut table, Time::ZERO, vec![more.clone()]), [Event::Changed(id(1))]);
    assert_eq!(table.live().collect::<Vec<_>>(), [&more, &record(2, 5)]);

    assert_eq!(hear(&mut table, Time::ZERO, vec![left(2, 6)]), [Event::Left(id(2))]);
    assert_eq!(hear(&mut table, Time::ZERO, vec![record(2, 5), record(2, 6), left(2, 6)]), []);
    assert!(!table.is_live(id(2)));
    assert_eq!(table.record(id(2)), Some(&left(2, 6)), "others are to hear of it");
    // It was started again with the same key.
    assert_eq!(hear(&mut table, Time::ZERO, vec![record(2, 7)]), [Event::Joined(id(2))]);
}

#[test]
fn who_left_before_it_was_known_is_passed_on_but_was_never_there() {
    let mut table = member();
    assert_eq!(hear(&mut table, Time::ZERO, vec![left(1, 4)]), []);
    assert_eq!(hear(&mut table, Time::ZERO, vec![record(1, 3)]), []);
    assert_eq!(table.records_for(id(9)), [record(0, 1), left(1, 4)]);
}

#[test]
fn a_version_that_stands_still_is_a_lost_member_and_old_news_do_not_bring_it_back() {
    let mut table = member();
    hear(&mut table, Time::ZERO, vec![record(1, 5), record(2, 5)]);
    assert_eq!(pass(&mut table, seconds(6)), []);
    assert_eq!(hear(&mut table, seconds(6), vec![record(1, 6), record(2, 5)]), []);
    assert_eq!(pass(&mut table, seconds(9)), []);
    assert_eq!(pass(&mut table, seconds(10)), [Event::Lost(id(2))]);
    assert_eq!(hear(&mut table, seconds(10), vec![record(2, 5), record(2, 4)]), []);
    assert_eq!(
        table.gone().map(|(record, state)| (record.node, state)).collect::<Vec<_>>(),
        [(id(2), State::Lost)]
    );
    // Others make up their own minds; but the lost one is told what to exceed.
    assert_eq!(table.records_for(id(1)).iter().map(|record| record.node).collect::<Vec<_>>(), [id(0), id(1)]);
    assert!(table.records_for(id(2)).contains(&record(2, 5)));
    assert_eq!(table.record(id(2)), None);

    assert_eq!(hear(&mut table, seconds(11), vec![record(2, 6)]), [Event::Joined(id(2))]);
}

#[test]
fn those_that_are_gone_are_forgotten_after_a_while() {
    let mut table = member();
    hear(&mut table, Time::ZERO, vec![left(1, 5)]);
    assert_eq!(pass(&mut table, seconds(59)), []);
    assert_eq!(table.gone().count(), 1);
    assert_eq!(pass(&mut table, seconds(60)), [Event::Forgotten]);
    assert_eq!(table.gone().count(), 0);
}

#[test]
fn a_node_that_slept_does_not_take_its_own_silence_for_that_of_others() {
    let mut table = member();
    hear(&mut table, Time::ZERO, vec![record(1, 5)]);
    table.handle_timeout(seconds(3_600));
    assert_eq!(events(&mut table), []);
    assert_eq!(pass(&mut table, seconds(3_609)), []);
    assert_eq!(pass(&mut table, seconds(3_610)), [Event::Lost(id(1))]);
}

#[test]
fn a_node_knows_best_about_itself() {
    let mut table = member();
    assert_eq!(hear(&mut table, Time::ZERO, vec![record(0, 1), record(0, 0), left(0, 0)]), []);
    for (others_say, version) in [(left(0, 1), 2), (record(0, 8), 9), (left(0, 20), 21)] {
        assert_eq!(hear(&mut table, Time::ZERO, vec![others_say]), [Event::Own]);
        assert_eq!(table.own(), Some(&record(0, version)));
    }
    table.set_addresses(vec!["10.0.0.0:7077".to_owned()]);
    assert_eq!(events(&mut table), []);
    table.set_addresses(Vec::new());
    assert_eq!(events(&mut table), [Event::Own]);
    assert_eq!(table.own().map(|own| own.version), Some(22));
    table.leave();
    assert_eq!(events(&mut table), [Event::Own]);
    assert_eq!(hear(&mut table, Time::ZERO, vec![record(0, 50)]), [Event::Own]);
    assert_eq!(table.own().map(|own| (own.left, own.version)), Some((true, 51)));
}

#[test]
fn a_node_that_is_no_member_has_no_record_and_believes_none_of_itself() {
    let mut table = Table::new(Time::ZERO, id(0), None, GOSSIP, TIMEOUT);
    assert_eq!(hear(&mut table, Time::ZERO, vec![record(0, 5), record(1, 5)]), [Event::Joined(id(1))]);
    table.leave();
    table.set_addresses(vec!["10.0.0.0:1".to_owned()]);
    assert_eq!(pass(&mut table, seconds(10)), [Event::Lost(id(1))]);
    assert_eq!(table.own(), None);
    assert_eq!(table.records_for(id(2)), []);
}

#[test]
fn a_member_says_that_it_lives_and_tells_somebody_with_each_interval() {
    let mut table = member();
    for second in 1..=5 {
        assert_eq!(table.poll_timeout(), seconds(second));
        table.handle_timeout(Time::from_micros(seconds(second).as_micros() - 1));
        assert_eq!(table.poll_event(), None);
        table.handle_timeout(seconds(second));
        assert_eq!(table.poll_event(), Some(Event::Gossip));
        assert_eq!(table.own(), Some(&record(0, 1 + second)));
    }
}

#[test]
fn what_is_out_of_bounds_is_refused_and_nothing_of_it_taken() {
    let job = |bytes| JobId { name: "x".repeat(bytes), version: 1, schema: 0 };
    let good = Record {
        addresses: vec!["a.example:1".to_owned(); ADDRESSES_MAX],
        jobs: vec![job(NAME_BYTES_MAX); JOBS_MAX],
        build: "x".repeat(NAME_BYTES_MAX),
        ..record(1, VERSION_END - 1)
    };
    let with = |change: fn(&mut Record)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    let mut table = member();
    for (bad, error) in [
        (with(|r| r.version = VERSION_END), RecordError::Version),
        (with(|r| r.addresses.push("a:1".to_owned())), RecordError::Addresses),
        (with(|r| r.addresses[3] = "a:0".to_owned()), RecordError::Address),
        (with(|r| r.addresses[3] = format!("{}:1", "a".repeat(300))), RecordError::Address),
        (with(|r| r.jobs.push(r.jobs[0].clone())), RecordError::Jobs),
        (with(|r| r.jobs[7].name.push('x')), RecordError::Name),
        (with(|r| r.build.push('x')), RecordError::Name),
    ] {
        assert_eq!(table.handle_records(Time::ZERO, vec![record(2, 1), bad]), Err(error));
        assert_eq!(events(&mut table), []);
    }
    assert_eq!(table.handle_records(Time::ZERO, vec![record(2, 1); 2_049]), Err(RecordError::Records));
    assert_eq!(hear(&mut table, Time::ZERO, vec![good]), [Event::Joined(id(1))]);
}

#[test]
fn beyond_the_most_members_no_more_are_taken_and_the_oldest_of_the_gone_are_forgotten() {
    let many = |from: u32, left| -> Vec<Record> {
        let node = |number: u32| {
            let mut bytes = [0xff; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            NodeId::from_bytes(bytes)
        };
        (from..from + 1_024).map(|number| Record { node: node(number), left, ..record(1, 5) }).collect()
    };
    let mut table = member();
    assert_eq!(table.handle_records(Time::ZERO, many(0, false)), Ok(0));
    assert_eq!(table.handle_records(Time::ZERO, many(512, false)), Ok(512));
    assert_eq!(table.live().count(), MEMBERS_MAX);
    assert_eq!(table.handle_records(seconds(1), many(10_000, true)), Ok(0));
    assert_eq!(table.handle_records(seconds(2), many(20_000, true)), Ok(0));
    assert_eq!((table.live().count(), table.gone().count()), (MEMBERS_MAX, MEMBERS_MAX));
    assert!(table.gone().all(|(record, _)| record.node >= many(20_000, true)[0].node));
    // There is room again once somebody leaves.
    let mut leaver = many(0, true).swap_remove(0);
    leaver.version = 6;
    assert_eq!(table.handle_records(seconds(3), vec![leaver]), Ok(0));
    assert_eq!(table.handle_records(seconds(3), many(512, false)), Ok(511));
}

fn arbitrary_record() -> impl Strategy<Value = Record> {
    (1u8..6, 1u64..6, any::<bool>(), 0u32..3).prop_map(|(number, version, left, threads)| Record {
        left,
        threads,
        ..record(number, version)
    })
}

fn known(table: &Table) -> Vec<(Record, Option<State>)> {
    let gone = table.gone().map(|(record, state)| (record.clone(), Some(state)));
    table.live().map(|record| (record.clone(), None)).chain(gone).collect()
}

proptest! {
    /// Whatever the order, the repetitions and the packing of the news, all end with the newest record of each member.
    #[test]
    fn any_order_and_duplication_of_news_ends_in_the_same_table(
        news in prop::collection::vec(arbitrary_record(), 0..40),
        order in prop::collection::vec((any::<prop::sample::Index>(), 1usize..4), 0..80),
    ) {
        let mut table = member();
        for record in &news {
            table.handle_records(Time::ZERO, vec![record.clone()]).unwrap();
        }
        let mut other = member();
        if !news.is_empty() {
            for (index, count) in order {
                let from = index.index(news.len());
                let to = (from + count).min(news.len());
                other.handle_records(Time::ZERO, news[from..to].to_vec()).unwrap();
            }
        }
        let rest: Vec<Record> = news.iter().rev().cloned().collect();
        other.handle_records(Time::ZERO, rest).unwrap();
        prop_assert_eq!(known(&table), known(&other));

        let key = |r: &Record| (r.version, r.left, r.threads);
        for number in 1..6 {
            let newest = news.iter().filter(|record| record.node == id(number)).max_by_key(|record| key(record));
            let found = table.live().chain(table.gone().map(|(record, _)| record)).find(|r| r.node == id(number));
            prop_assert_eq!(newest, found);
        }
    }

    /// What is told of joins and losses always adds up to who is there.
    #[test]
    fn events_add_up_to_the_members_that_are_there(
        steps in prop::collection::vec((arbitrary_record(), 0u64..8), 0..60),
    ) {
        let (mut table, mut now, mut there) = (member(), Time::ZERO, std::collections::BTreeSet::new());
        for (record, wait) in steps {
            now = now + Duration::from_secs(wait);
            while table.poll_timeout() <= now {
                let tick = table.poll_timeout();
                table.handle_timeout(tick);
            }
            table.handle_records(now, vec![record]).unwrap();
            for event in events(&mut table) {
                match event {
                    Event::Joined(node) => prop_assert!(there.insert(node)),
                    Event::Changed(node) => prop_assert!(there.contains(&node)),
                    Event::Left(node) | Event::Lost(node) => prop_assert!(there.remove(&node)),
                    Event::Own | Event::Forgotten | Event::Gossip => {}
                }
            }
            prop_assert!(table.live().map(|record| record.node).eq(there.iter().copied()));
        }
    }
}
