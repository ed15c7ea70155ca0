//! Meshes over real sockets on loopback.

mod joining;
mod misuse;
mod relaying;
mod streaming;

use super::*;
use crate::{
    Validity,
    pool_file::{ClientFile, MemberFile, PoolFile},
    transport::{Connection, StreamError},
    wire::message::{Hello, Request},
};
use std::net::UdpSocket;

/// Longer than anything takes that works, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The two files of a pool.
struct Pool {
    member: MemberFile,
    client: ClientFile,
}

/// A mesh and the streams that come to it.
struct Peer {
    mesh: Mesh,
    incoming: mpsc::Receiver<Incoming>,
}

impl Pool {
    fn new() -> Self {
        let (member, client) = PoolFile::create(vec!["127.0.0.1".parse().unwrap()]).unwrap();
        Self { member, client }
    }

    /// A member's settings: it listens on loopback and joins through `through`.
    fn member(&self, through: &[&Peer]) -> MeshConfig {
        MeshConfig {
            identity: Identity::member(&self.member, Validity::default()).unwrap(),
            join: through.iter().map(|peer| address(peer.mesh.local_address())).collect(),
            listen: Some(([127, 0, 0, 1], 0).into()),
            advertise: Vec::new(),
            offer: Some(Offer { threads: 2, jobs: Vec::new() }),
            limits: Limits { connect_timeout_ms: 2_000, ..Limits::default() },
            timing: Timing {
                gossip: Duration::from_millis(50),
                // Long enough for a machine on which all tests run at once.
                member_timeout: Duration::from_secs(10),
                reconnect_max: Duration::from_millis(400),
                ..Timing::default()
            },
        }
    }

    /// A client's settings.
    fn client(&self, through: &[&Peer]) -> MeshConfig {
        MeshConfig {
            identity: Identity::client(&self.client, Validity::default()).unwrap(),
            listen: None,
            offer: None,
            ..self.member(through)
        }
    }
}

impl Peer {
    fn start(config: MeshConfig) -> Self {
        let (mesh, incoming) = Mesh::start(config).unwrap();
        Self { mesh, incoming }
    }

    fn id(&self) -> NodeId {
        self.mesh.node_id()
    }

    fn knows(&self, others: &[&Self]) -> bool {
        let members = self.mesh.members();
        others.iter().all(|other| members.iter().any(|member| member.node == other.id()))
    }

    fn is_linked(&self, others: &[&Self]) -> bool {
        others.iter().all(|other| self.mesh.node().links.is_linked(other.id()))
    }

    /// Waits until `holds`, looking again with every change of members, connections and dialled addresses.
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let node = self.mesh.node();
        let (mut roster, mut links) = (node.roster.clone(), node.links.subscribe());
        let mut dials = node.join_dials.subscribe();
        let held = async {
            while !holds(self) {
                tokio::select! {
                    changed = roster.changed() => changed.unwrap(),
                    changed = links.changed() => changed.unwrap(),
                    changed = dials.changed() => changed.unwrap(),
                }
            }
        };
        if timeout(PATIENCE, held).await.is_err() {
            panic!(
                "not until now: {what}; members {:#?}, dialled {:#?}",
                self.mesh.members(),
                self.mesh.dialled()
            );
        }
    }

    /// Waits until this node knows all `others` and has a connection with each.
    async fn until_linked(&self, others: &[&Self]) {
        self.until("it is linked", |peer| peer.knows(others) && peer.is_linked(others)).await;
    }

    async fn incoming(&mut self) -> Incoming {
        within(self.incoming.recv()).await.expect("the mesh is open")
    }

    async fn open(&self, to: NodeId, channel: Channel) -> (FrameWriter, FrameReader) {
        within(self.mesh.open(to, channel, &fetch(7))).await.unwrap()
    }

    /// How many connections of `channel` there are with another node.
    fn links(&self, other: &Self, channel: Channel) -> usize {
        self.mesh.node().links.count(other.id(), channel)
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes this long only if it hangs")
}

fn address(address: SocketAddr) -> PoolAddress {
    address.to_string().parse().unwrap()
}

/// Some message that opens a stream, told apart by its number.
fn fetch(number: u64) -> Open {
    Open::Fetch(Request::Split { dataset: number, split: 0 })
}

fn number(open: &Open) -> u64 {
    match open {
        Open::Fetch(Request::Split { dataset, .. }) => *dataset,
        other => panic!("{other:?}"),
    }
}

/// An address of this host at which nobody listens any more.
fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A question over a stream from `a` and its answer from `b`.
async fn converse(a: &Peer, b: &mut Peer, channel: Channel) -> Incoming {
    let (mut writer, mut reader) = a.open(b.id(), channel).await;
    writer.send(&"question".to_owned()).await.unwrap();
    writer.finish().unwrap();
    let mut incoming = b.incoming().await;
    assert_eq!((incoming.from, number(&incoming.open)), (a.id(), 7));
    let question: String = within(incoming.reader.expect()).await.unwrap();
    assert!(within(incoming.reader.next::<String>()).await.unwrap().is_none());
    incoming.writer.send(&format!("{question}, answered")).await.unwrap();
    incoming.writer.finish().unwrap();
    assert_eq!(within(reader.expect::<String>()).await.unwrap(), "question, answered");
    assert!(within(reader.next::<String>()).await.unwrap().is_none());
    incoming
}
