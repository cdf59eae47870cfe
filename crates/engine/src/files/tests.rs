//! Plan files against a real store, with the moment as an argument: numbers, rows, snapshots, and files that are broken off.

mod broken;
mod counter;
mod goes_on;
mod links;
mod local_keys;
mod names;
pub(crate) mod place;
mod rows;
mod several_numbers;
mod snapshots;
mod told;
