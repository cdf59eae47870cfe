//! What many records share: codes of organisations, sites and authorities, and who looked a child up.

use crate::interned::Interned;
use kith_domain::codes::{LaCode, OdsCode, SiteCode};
use kith_domain::text::PersonText;
use std::hash::Hash;

/// Far over the organisations, and the sites, that England has.
const MOST_CODES: u32 = 1 << 16;
/// Viewers held once: about two for each place in an emergency department. Each takes some 200 bytes; whoever comes after
/// is held with the row, so that made-up names cannot fill the memory.
const MOST_VIEWERS: u32 = 1 << 18;

/// A viewer: name and role.
pub(super) type Viewer = (PersonText, PersonText);

/// The tables behind every packed record of an index.
#[derive(Debug)]
pub(crate) struct Tables {
    organisations: Interned<OdsCode>,
    sites: Interned<SiteCode>,
    authorities: Interned<LaCode>,
    pub(super) viewers: Interned<Viewer>,
}

impl Default for Tables {
    fn default() -> Self {
        Self::with_room(MOST_CODES, MOST_VIEWERS)
    }
}

impl Tables {
    /// Room for so many codes of each kind, and so many viewers.
    pub(super) fn with_room(codes: u32, viewers: u32) -> Self {
        Self {
            organisations: Interned::new(codes),
            sites: Interned::new(codes),
            authorities: Interned::new(codes),
            viewers: Interned::new(viewers),
        }
    }
}

/// A code with a table of its own.
pub(super) trait Code: Hash + Eq + Clone {
    fn table(tables: &Tables) -> &Interned<Self>;
    fn text(&self) -> &str;
    fn of_text(text: &str) -> Option<Self>;
}

macro_rules! code {
    ($code:ident, $table:ident) => {
        impl Code for $code {
            fn table(tables: &Tables) -> &Interned<Self> {
                &tables.$table
            }

            fn text(&self) -> &str {
                self.as_str()
            }

            fn of_text(text: &str) -> Option<Self> {
                Self::parse(text).ok()
            }
        }
    };
}

code!(OdsCode, organisations);
code!(SiteCode, sites);
code!(LaCode, authorities);
