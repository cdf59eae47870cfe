//! What Kith promises, held against the programs themselves: real processes, real disks, real TLS. One binary, so that
//! it links once. It never reaches into the server: everything goes through the protocol, the files or the signals.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod adoption;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod api_errors;
#[cfg(test)]
mod audit_reading;
#[cfg(test)]
mod audit_retention;
#[cfg(test)]
mod audited;
#[cfg(test)]
mod births;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod break_glass;
#[cfg(test)]
mod broker;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod core_files;
#[cfg(test)]
mod decade;
#[cfg(test)]
mod every_combination;
#[cfg(test)]
mod family;
#[cfg(test)]
mod feeds;
#[cfg(test)]
mod files;
#[cfg(test)]
mod flags;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod load;
#[cfg(test)]
mod load_generator;
#[cfg(test)]
mod mesh;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod model;
#[cfg(test)]
mod nightly;
#[cfg(test)]
mod not_ready;
#[cfg(test)]
mod notifications;
#[cfg(test)]
mod order;
#[cfg(test)]
mod own_people;
#[cfg(test)]
mod own_plans;
#[cfg(test)]
mod person;
#[cfg(test)]
mod person_tokens;
#[cfg(test)]
mod pipelined;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod purge;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod tamper;
#[cfg(test)]
mod testssl;
#[cfg(test)]
mod withholding;
#[cfg(test)]
mod witness;
