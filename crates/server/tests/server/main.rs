//! The process parts together: real sockets, real TLS, real threads, and a service made for the tests.

#[cfg(test)]
mod authority;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod handshakes;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod kept_lists;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod process;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod reasons;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod transport;
