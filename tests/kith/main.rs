//! What Kith promises, held against the programs themselves: real processes, real disks, real TLS. One binary, so that
//! it links once. It never reaches into the server: everything goes through the protocol, the files or the signals.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod answers;

#[cfg(test)]
mod kills;
#[cfg(test)]
mod load;
#[cfg(test)]
mod notifications;
#[cfg(test)]
mod power_cut;
