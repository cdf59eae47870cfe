//! Conversions between the wire and the domain, one file per noun. They hold no rules: they take messages apart field by
//! field, so that a new field stops the build until someone decides about it, and collect every fault at once.

pub mod answer;
pub mod audit;
pub mod break_glass;
pub mod caller;
mod family;
pub mod fault;
pub mod feed;
pub mod file;
pub mod flag;
pub mod identity;
pub mod lookup;
pub mod notification;
pub mod own_plan;
pub mod padding;
pub mod plan;
pub mod presentation;
pub mod subject;
mod template;
pub mod time;
pub mod withholding;
pub mod words;
