//! A TCP socket that can move from one runtime to another: handshake on one thread, calls on another.
//! Never readable or writable while it is between two.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A socket that is registered with a runtime, or between two.
#[derive(Debug)]
pub(crate) enum Socket {
    /// Registered with the runtime that polls it.
    Attached(TcpStream),
    /// Registered with none.
    Detached(std::net::TcpStream),
    /// Given up after a failed move.
    Closed,
}

impl Socket {
    /// Leaves the runtime it is registered with.
    pub(crate) fn detach(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Socket::Closed) {
            Socket::Attached(stream) => Socket::Detached(stream.into_std()?),
            other @ (Socket::Detached(_) | Socket::Closed) => other,
        };
        Ok(())
    }

    /// Registers with the runtime of the calling thread.
    pub(crate) fn attach(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Socket::Closed) {
            Socket::Detached(stream) => Socket::Attached(TcpStream::from_std(stream)?),
            other @ (Socket::Attached(_) | Socket::Closed) => other,
        };
        Ok(())
    }

    /// Whether the peer has closed the connection, or cut it off, whatever is still to be read of it.
    pub(crate) fn is_read_closed(&self) -> bool {
        let Socket::Attached(stream) = self else { return false };
        let ready = pin!(stream.ready(Interest::READABLE));
        matches!(ready.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        match self {
            Socket::Attached(stream) => Ok(Pin::new(stream)),
            Socket::Detached(_) | Socket::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().stream()?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream()?.poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Socket::Attached(stream) => stream.is_write_vectored(),
            Socket::Detached(_) | Socket::Closed => false,
        }
    }
}
