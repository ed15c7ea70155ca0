//! The membership stream of a control connection: both sides say [`Hello`], then what they know of the pool.

use super::{
    gossip::Input,
    links::Link,
    node::{Node, close},
};
use crate::{
    Role,
    wire::{
        FrameReader, FrameWriter, WireError,
        message::{Gossip, Hello, Open, Record},
    },
};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// Messages that wait to be written: the largest table twice.
const OUTBOX_MAX: usize = 64;

/// What is to be written to a membership stream.
#[derive(Debug)]
pub(super) enum Said {
    Hello(Hello),
    Records(Vec<Record>),
}

/// The side that has made the connection opens the stream.
pub(super) async fn dialled(node: Arc<Node>, link: Link) {
    match link.connection.open_bi().await {
        Ok((send, receive)) => {
            converse(node, link, FrameWriter::new(send), FrameReader::new(receive), None).await;
        }
        Err(error) => tracing::debug!(node = %link.node(), %error, "no membership stream"),
    }
}

/// The other side has opened the stream, with its `hello`.
pub(super) async fn accepted(
    node: Arc<Node>,
    link: Link,
    writer: FrameWriter,
    reader: FrameReader,
    hello: Hello,
) {
    converse(node, link, writer, reader, Some(hello)).await;
}

/// Ends a connection whose other side broke the protocol.
pub(super) fn violation(link: &Link, what: &str) {
    tracing::debug!(node = %link.node(), role = %link.role(), what, "closed a connection: the protocol was broken");
    link.connection.close(close::PROTOCOL, what);
}

async fn converse(
    node: Arc<Node>,
    link: Link,
    writer: FrameWriter,
    reader: FrameReader,
    hello: Option<Hello>,
) {
    let (outbox, said) = mpsc::channel(OUTBOX_MAX);
    let (over, is_over) = oneshot::channel();
    if node.gossip.send(Input::Linked { link: link.clone(), outbox, over: is_over }).await.is_err() {
        return;
    }
    let opened_here = hello.is_none();
    let mut write = std::pin::pin!(write(writer, said, opened_here));
    let mut read = std::pin::pin!(read(&node, &link, reader, hello));
    // Either half may end first; the other ends with it.
    let result = tokio::select! {
        result = &mut read => result,
        result = &mut write => match result {
            // This node leaves: the other side ends its half when it has read that.
            Ok(()) => read.await,
            Err(error) => Err(error),
        },
    };
    // If the mesh is closed, nobody needs to know.
    let _ = node.gossip.send(Input::Unlinked { link: link.id }).await;
    match result {
        Err(error @ (WireError::Unexpected(_) | WireError::Codec(_) | WireError::TooLong { .. })) => {
            violation(&link, &error.to_string());
        }
        Err(error) => tracing::debug!(node = %link.node(), %error, "a membership stream broke"),
        Ok(()) => {}
    }
    // A connection whose sides do not hear of the pool is of no use as such; if both live, it is made anew.
    link.connection.close(close::OVER, "the membership stream ended");
    // Nobody listens unless this node leaves.
    let _ = over.send(());
}

/// Writes what is said until the outbox is dropped.
async fn write(
    mut writer: FrameWriter,
    mut said: mpsc::Receiver<Said>,
    mut open: bool,
) -> Result<(), WireError> {
    while let Some(said) = said.recv().await {
        match said {
            Said::Hello(hello) if open => {
                open = false;
                writer.send(&Open::Membership(hello)).await?;
            }
            Said::Hello(hello) => writer.send(&Gossip::Hello(hello)).await?,
            Said::Records(records) => writer.send(&Gossip::Table(records)).await?,
        }
    }
    writer.finish()
}

/// Reads what the other side says until it ends the stream.
async fn read(
    node: &Node,
    link: &Link,
    mut reader: FrameReader,
    hello: Option<Hello>,
) -> Result<(), WireError> {
    let hello = match hello {
        Some(hello) => hello,
        None => match reader.expect().await? {
            Gossip::Hello(hello) => hello,
            Gossip::Table(_) => return Err(WireError::Unexpected("a table came before the hello")),
        },
    };
    if link.role() == Role::Member
        && let Ok(address) = hello.your_address.parse::<SocketAddr>()
    {
        // Seen from there, the connection was dialled if it was not from here.
        tell(node, Input::Reached { address, dialled: !link.dialled }).await;
    }
    heard(node, link, hello.table).await?;
    loop {
        match reader.next().await? {
            Some(Gossip::Table(records)) => heard(node, link, records).await?,
            Some(Gossip::Hello(_)) => return Err(WireError::Unexpected("a second hello")),
            None => return Ok(()),
        }
    }
}

async fn heard(node: &Node, link: &Link, records: Vec<Record>) -> Result<(), WireError> {
    if records.is_empty() {
        return Ok(());
    }
    if link.role() != Role::Member {
        return Err(WireError::Unexpected("a client told of members"));
    }
    tell(node, Input::Heard { link: link.clone(), records }).await;
    Ok(())
}

async fn tell(node: &Node, input: Input) {
    // If the task is gone, so is this one in a moment.
    let _ = node.gossip.send(input).await;
}
