//! Taking what has arrived on a stream in groups, without waiting for a group to fill: one sync then serves many events
//! of a busy stream, and a single event waits for nothing.

use std::pin::Pin;
use std::task::Poll;

use tokio_stream::Stream;
use tonic::Status;

/// Most events taken at once.
pub(super) const MAX_GROUP: usize = 128;

/// What arrived.
pub(super) struct Group<T> {
    pub(super) items: Vec<T>,
    /// How the stream ended, if it did.
    pub(super) end: Option<Result<(), Status>>,
}

/// Waits for the next item and takes everything that has arrived with it. Given up before that it loses nothing: it waits only while
/// it has taken no item.
pub(super) async fn next<T, S>(stream: &mut S) -> Group<T>
where
    S: Stream<Item = Result<T, Status>> + Unpin,
{
    let mut items = Vec::new();
    std::future::poll_fn(|context| {
        while items.len() < MAX_GROUP {
            match Pin::new(&mut *stream).poll_next(context) {
                Poll::Ready(Some(Ok(item))) => items.push(item),
                Poll::Ready(Some(Err(status))) => return ended(&mut items, Err(status)),
                Poll::Ready(None) => return ended(&mut items, Ok(())),
                Poll::Pending if items.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Group { items: std::mem::take(&mut items), end: None })
    })
    .await
}

fn ended<T>(items: &mut Vec<T>, end: Result<(), Status>) -> Poll<Group<T>> {
    Poll::Ready(Group { items: std::mem::take(items), end: Some(end) })
}
