//! Fuzzing of everything that reads bytes of the network or the disk: targets, seeds, and a mutating loop that keeps what came
//! out differently. The corpora lie in `fuzz/corpus`, one folder for each target; the tests here run every file of them.
//! It needs no tool and no unsafe code: what guides it is what each reader says of the bytes, not which branches it took.

pub mod corpus;
pub mod dice;
pub mod mutate;
#[cfg(test)]
mod readers;
pub mod run;
pub mod seeds;
pub mod targets;
