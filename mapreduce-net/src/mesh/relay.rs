//! Streams between nodes that have no connection with each other, passed on by a member that has one with both.
//!
//! Whoever wants to reach a node sends [`Open::Relay`] to a member, and waits until it answers with [`Relaying`]: the
//! member has opened a stream to the node by then, with [`Open::Relayed`] in front. From there on it passes bytes on in
//! both directions, holding one chunk of each. There is no second hop.

use super::{
    OpenError,
    links::Link,
    node::{Node, reset},
    random, streams,
};
use crate::{
    NodeId, Role,
    transport::{Channel, RecvStream, SendStream, StreamError},
    wire::{FrameReader, FrameWriter, WireError, message::Open},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::timeout;

/// Streams that a member passes on at once. Each takes a stream of two connections, and one chunk in each direction.
pub(super) const RELAYED_MAX: usize = 256;
/// Members that are asked to pass a stream on.
const ASKED_MAX: usize = 16;
/// Bytes passed on at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Says that a stream is passed on from here on.
#[derive(Debug, Serialize, Deserialize)]
struct Relaying;

/// Opens a stream to `to` through a member: the one that has done it before, else one after the other.
pub(super) async fn through_another(
    node: &Arc<Node>,
    to: NodeId,
    channel: Channel,
    open: &Open,
) -> Result<(FrameWriter, FrameReader), OpenError> {
    let mut problem = node.links.problem(to).unwrap_or_else(|| "there is no connection with it".to_owned());
    let linked = node.links.linked();
    let is_member = |relay: &NodeId| node.roster.borrow().others.contains_key(relay);
    let mut relays: Vec<NodeId> =
        linked.into_iter().filter(|relay| *relay != to && is_member(relay)).collect();
    random::shuffle(&mut relays);
    let known = node.links.relay(to);
    relays.sort_by_key(|relay| Some(*relay) != known);
    if relays.is_empty() {
        problem.push_str(", and there is no member in between");
    }
    for relay in relays.into_iter().take(ASKED_MAX) {
        match ask(node, relay, to, channel).await {
            Ok((mut writer, reader)) => {
                node.links.set_relay(to, relay);
                writer.send(open).await?;
                return Ok((writer, reader));
            }
            Err(error) => {
                tracing::debug!(%relay, node = %to, %error, "a stream was not passed on");
                problem = format!("{problem}; not through {relay} either: {error}");
            }
        }
    }
    Err(OpenError::Unreachable { node: to, reason: problem })
}

/// Asks a member to pass a stream on.
async fn ask(
    node: &Arc<Node>,
    relay: NodeId,
    to: NodeId,
    channel: Channel,
) -> Result<(FrameWriter, FrameReader), WireError> {
    let asked = async {
        let stream = streams::direct(node, relay, channel, &Open::Relay { to }).await?;
        let (writer, mut reader) = stream.ok_or(WireError::Unexpected("the connection is lost"))?;
        let Relaying = reader.expect().await?;
        Ok((writer, reader))
    };
    let late = Err(WireError::Unexpected("it did not answer"));
    timeout(node.patience(), asked).await.unwrap_or(late)
}

/// Passes a stream on that came over `link` and is meant for `to`.
pub(super) async fn serve(
    node: &Arc<Node>,
    link: &Link,
    to: NodeId,
    mut writer: FrameWriter,
    reader: FrameReader,
) {
    let from_member = link.role() == Role::Member;
    let relayed = Open::Relayed { from: link.node(), from_member };
    let permit = node.relayed.try_acquire();
    let onward = match &permit {
        Ok(_) if node.role == Role::Member => {
            timeout(node.patience(), onward(node, link, to, &relayed)).await.ok().flatten()
        }
        _ => None,
    };
    let Some((mut onward, back)) = onward else {
        tracing::debug!(from = %link.node(), %to, "did not pass a stream on");
        writer.stream().reset(reset::NOT_RELAYED);
        reader.into_parts().1.stop(reset::NOT_RELAYED);
        return;
    };
    if let Err(error) = writer.send(&Relaying).await {
        tracing::debug!(from = %link.node(), %to, %error, "nobody waits for a stream that was to be passed on");
        return;
    }
    let (first, forth) = reader.into_parts();
    let (first_back, back) = back.into_parts();
    tokio::join!(pass_on(first, forth, onward.stream()), pass_on(first_back, back, writer.stream()));
}

/// A stream to `to`, over a connection that there is. Clients cannot reach each other.
async fn onward(
    node: &Arc<Node>,
    link: &Link,
    to: NodeId,
    relayed: &Open,
) -> Option<(FrameWriter, FrameReader)> {
    for channel in [link.connection.channel(), Channel::Control] {
        let Some(onward) = node.links.newest(to, channel) else { continue };
        if link.role() == Role::Client && onward.role() == Role::Client {
            return None;
        }
        let Ok((send, receive)) = onward.connection.open_bi().await else { continue };
        let mut writer = FrameWriter::new(send);
        if writer.send(relayed).await.is_ok() {
            return Some((writer, FrameReader::new(receive)));
        }
    }
    None
}

/// Copies one direction of a stream: bytes as bytes, an end as an end, and a break as a break.
async fn pass_on(first: Vec<u8>, mut from: RecvStream, to: &mut SendStream) {
    if let Err(error) = to.write_all(&first).await {
        return from.stop(code_of(&error));
    }
    loop {
        let read = tokio::select! {
            read = from.read_chunk(CHUNK_BYTES) => read,
            // It is not finished yet, so this is its reader who gave it up, or a lost connection.
            stopped = to.stopped() => {
                let code = stopped.ok().flatten().and_then(|code| u32::try_from(code).ok());
                return from.stop(code.unwrap_or(SendStream::ABANDONED));
            }
        };
        match read {
            Ok(Some(chunk)) => {
                if let Err(error) = to.write_all(&chunk).await {
                    return from.stop(code_of(&error));
                }
            }
            Ok(None) => {
                // The only error is that the reader has given it up.
                let _ = to.finish();
                return;
            }
            Err(error) => return to.reset(code_of(&error)),
        }
    }
}

/// The code with which the other half is given up.
fn code_of(error: &StreamError) -> u32 {
    match error {
        StreamError::Reset { code } | StreamError::Stopped { code } => {
            u32::try_from(*code).unwrap_or(SendStream::ABANDONED)
        }
        _ => SendStream::ABANDONED,
    }
}
