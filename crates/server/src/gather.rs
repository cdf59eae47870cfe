//! Gathers what is written on a connection and sends it when the connection's task has done everything it had to do: a reply
//! then leaves in one piece, and its reader is woken once. Never holds anything back while the task waits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gathered at most; beyond it writing waits until the peer takes some.
const MAX_BYTES: usize = 64 << 10;

/// Kept for the next time, when it has grown.
const KEPT_BYTES: usize = 8 << 10;

/// A stream whose writes are gathered. A flush that is asked for is done at the next poll of the task, which is asked for at
/// the same time; polling a connection begins with reading, so that is where it is done.
pub(crate) struct Gather<S> {
    inner: S,
    bytes: Vec<u8>,
    /// Of these, so many have been taken.
    taken: usize,
    /// The task has been asked to come again.
    woken: bool,
    /// The stream must be flushed once everything has been taken.
    unflushed: bool,
}

/// The bytes are replies.
impl<S: fmt::Debug> fmt::Debug for Gather<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, bytes, taken, woken: _, unflushed: _ } = self;
        f.debug_struct("Gather")
            .field("inner", inner)
            .field("bytes", &bytes.len())
            .field("taken", taken)
            .finish_non_exhaustive()
    }
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, bytes: Vec::new(), taken: 0, woken: false, unflushed: false }
    }

    pub(crate) fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Sends everything.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.woken = false;
        while let Some(left) = self.bytes.get(self.taken..).filter(|left| !left.is_empty()) {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, left))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.taken += count;
        }
        self.taken = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        if self.unflushed {
            ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what is to be flushed, where it can be.
    pub(crate) fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed { self.poll_send(cx) } else { Poll::Ready(Ok(())) }
    }

    /// Room for more, or waiting for it.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.bytes.len() < MAX_BYTES { Poll::Ready(Ok(())) } else { self.poll_send(cx) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gather<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The peer may be slow to take it: reading goes on.
        if let Poll::Ready(Err(error)) = this.poll_unsent(cx) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut this.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_room(cx))?;
        this.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.unflushed = true;
        if !this.bytes.is_empty() && !this.woken {
            this.woken = true;
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_room(cx))?;
        bytes.iter().for_each(|part| this.bytes.extend_from_slice(part));
        Poll::Ready(Ok(bytes.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
