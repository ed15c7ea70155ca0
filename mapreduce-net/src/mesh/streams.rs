//! Streams: opened to a node by whichever way there is, and taken from others.

use super::{
    Incoming, OpenError, converse, data,
    links::Link,
    node::{Node, reset},
    relay,
};
use crate::{
    NodeId, Role,
    transport::{Channel, RecvStream, SendStream},
    wire::{FrameReader, FrameWriter, WireError, message::Open},
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// Opens a stream to `to`, directly or through a member that has a connection with it.
pub(super) async fn open(
    node: &Arc<Node>,
    to: NodeId,
    channel: Channel,
    open: &Open,
) -> Result<(FrameWriter, FrameReader), OpenError> {
    if to == node.id {
        return Err(OpenError::Unreachable { node: to, reason: "it is this node itself".to_owned() });
    }
    if let Some(stream) = direct(node, to, channel, open).await? {
        return Ok(stream);
    }
    relay::through_another(node, to, channel, open).await
}

/// Opens a stream to `to` on a connection with it; `None` if there is none, and none can be made.
pub(super) async fn direct(
    node: &Arc<Node>,
    to: NodeId,
    channel: Channel,
    open: &Open,
) -> Result<Option<(FrameWriter, FrameReader)>, WireError> {
    if node.links.newest(to, channel).is_none() {
        first_dialled(node, to).await;
        if channel == Channel::Data && node.links.is_linked(to) {
            data::connect(node, to).await;
        }
    }
    for channel in [channel, Channel::Control] {
        while let Some(link) = node.links.newest(to, channel) {
            match link.connection.open_bi().await {
                Ok((send, receive)) => {
                    let mut writer = FrameWriter::new(send);
                    writer.send(open).await?;
                    return Ok(Some((writer, FrameReader::new(receive))));
                }
                // The next one, if there is another.
                Err(_) => node.links.remove(&link),
            }
        }
    }
    Ok(None)
}

/// Waits for the first attempt to dial a member. Whoever has just heard of a member does not have to go through another.
async fn first_dialled(node: &Node, to: NodeId) {
    let mut links = node.links.subscribe();
    let decided = async {
        while !node.links.is_linked(to)
            && node.roster.borrow().others.contains_key(&to)
            && node.links.problem(to).is_none()
        {
            // The sender is in the node.
            if links.changed().await.is_err() {
                return;
            }
        }
    };
    let patience = Duration::from_millis(u64::from(node.limits.connect_timeout_ms) / 2);
    // Past that, whatever way there is.
    let _ = timeout(patience, decided).await;
}

/// Finds out what a stream is for that another node has opened, and sees to it.
pub(super) async fn serve(node: Arc<Node>, link: Link, send: SendStream, receive: RecvStream) {
    let (writer, mut reader) = (FrameWriter::new(send), FrameReader::new(receive));
    let (from, role, channel) = (link.node(), link.role(), link.connection.channel());
    let open = match first_message(&node, &mut reader).await {
        Ok(open) => open,
        Err(error) => return refuse(from, writer, reader, &error.to_string()),
    };
    match open {
        Open::Membership(hello) => {
            if channel != Channel::Control || link.dialled || !link.begin_gossip() {
                return converse::violation(&link, "a membership stream that has no place here");
            }
            converse::accepted(node, link, writer, reader, hello).await;
        }
        Open::Relay { to } => relay::serve(&node, &link, to, writer, reader).await,
        Open::Relayed { .. } if role != Role::Member => {
            converse::violation(&link, "a client posed as a member that passes streams on");
        }
        Open::Relayed { from: origin, from_member } => {
            let role = if from_member { Role::Member } else { Role::Client };
            match first_message(&node, &mut reader).await {
                Ok(open @ (Open::Session { .. } | Open::Fetch(_))) if origin != node.id => {
                    deliver(&node, Incoming { from: origin, role, open, writer, reader }).await;
                }
                Ok(_) => refuse(from, writer, reader, "this cannot be passed on"),
                Err(error) => refuse(from, writer, reader, &error.to_string()),
            }
        }
        Open::Session { .. } | Open::Fetch(_) => {
            if channel == Channel::Control && matches!(open, Open::Fetch(_)) {
                // The other side cannot dial this node, else it had come with a data connection: it needs one from here.
                data::begin(&node, from);
            }
            deliver(&node, Incoming { from, role, open, writer, reader }).await;
        }
    }
}

async fn first_message(node: &Node, reader: &mut FrameReader) -> Result<Open, WireError> {
    let late = Err(WireError::Unexpected("the stream did not say what it is for"));
    timeout(node.patience(), reader.expect()).await.unwrap_or(late)
}

async fn deliver(node: &Node, incoming: Incoming) {
    if let Some(sender) = node.incoming.upgrade() {
        // Whoever does not take streams any more lets them be reset.
        let _ = sender.send(incoming).await;
    }
}

/// Resets a stream that is not as it should be. The connection goes on.
fn refuse(from: NodeId, mut writer: FrameWriter, reader: FrameReader, what: &str) {
    tracing::debug!(node = %from, what, "reset a stream");
    writer.stream().reset(reset::PROTOCOL);
    reader.into_parts().1.stop(reset::PROTOCOL);
}
