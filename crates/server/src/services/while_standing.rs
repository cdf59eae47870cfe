//! The messages of a stream, as long as the certificate stands that it comes under. What takes them goes on behind its call, where
//! nobody ends it when the call is ended.
//! Never gives a message after the fall, though it had arrived before.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_stream::Stream;
use tonic::{Request, Status, Streaming};

use crate::connection;
use crate::open_connections::Standing;

/// The messages of a call.
pub(super) type Messages<T> = WhileStanding<Streaming<T>>;

/// What comes while the certificate stands.
pub(super) struct WhileStanding<S> {
    inner: S,
    standing: Arc<Standing>,
}

impl<T> Messages<T> {
    /// Those of this call.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the request did not come over a connection of this server.
    pub(super) fn of(request: Request<Streaming<T>>) -> Result<Self, Status> {
        let standing = connection::standing(&request)?;
        Ok(Self { inner: request.into_inner(), standing })
    }
}

impl<T, S> Stream for WhileStanding<S>
where
    S: Stream<Item = Result<T, Status>> + Unpin,
{
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.standing.stands() {
            Pin::new(&mut this.inner).poll_next(context)
        } else {
            Poll::Ready(Some(Err(cut_off())))
        }
    }
}

/// Nobody hears it: the call is ended by whoever ends every call of a fallen certificate, which tells its peer and counts it for the
/// audit. So it has no reason, like whatever breaks off with its connection.
fn cut_off() -> Status {
    Status::cancelled("the certificate no longer stands")
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::services::group;

    #[tokio::test]
    async fn what_had_arrived_before_the_fall_is_not_taken_after_it() {
        let standing = Arc::<Standing>::default();
        let arrived = tokio_stream::iter((1..=200).map(Ok::<u32, Status>));
        let mut messages = WhileStanding { inner: arrived, standing: Arc::clone(&standing) };
        let first = group::next(&mut messages).await;
        assert!(!first.items.is_empty() && first.end.is_none());
        standing.fall();
        let behind = group::next(&mut messages).await;
        assert!(behind.items.is_empty());
        let end = behind.end.expect("an end").expect_err("it is not whole");
        assert_eq!((end.code(), end.details().is_empty()), (Code::Cancelled, true));
    }
}
