//! Proposals as they are read: the demographics service sees all of them, a proposer its own, in order of id, in pages.

use crate::engine::Engine;
use crate::keys;
use crate::purge_apply;
use crate::rows::{ProposalRow, ProposalState, decode};
use kith_domain::caller::Role;
use kith_domain::change::Proposal;
use kith_domain::child::Subject;
use kith_domain::permit::ActionPermit;
use kith_domain::time::Moment;
use kith_store::{StoreError, Table};
use std::ops::ControlFlow;

/// Rows looked at for one page, so that many of others cannot make one call long.
const MAX_SCANNED: usize = 5_000;

/// A proposal with its id and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProposal {
    /// Its id.
    pub id: u64,
    /// What is proposed, and by whom.
    pub proposal: Proposal,
    /// When.
    pub at: Moment,
    /// What became of it.
    pub state: ProposalState,
    /// When it was looked at.
    pub closed_at: Option<Moment>,
}

/// A page of proposals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProposalPage {
    /// In order of id.
    pub proposals: Vec<StoredProposal>,
    /// The id after which the next page begins; none at the end.
    pub next_after: Option<u64>,
}

impl Engine {
    /// Whom a proposal is about; none where there is none. Reads the disk: not for the threads that answer questions.
    ///
    /// # Errors
    /// [`StoreError`] when the state cannot be read.
    pub fn proposal_about(&self, id: u64) -> Result<Option<Subject>, StoreError> {
        let Some(bytes) = self.store.get(Table::Proposal, &keys::proposal(id))? else { return Ok(None) };
        let row = decode::<ProposalRow>(&bytes);
        let row = row.inspect_err(|error| tracing::error!(%error, "a row of the state cannot be decoded"));
        Ok(row.ok().map(|row| row.proposal.subject))
    }

    /// Lists proposals after an id. Reads the disk: not for the threads that answer questions.
    ///
    /// # Errors
    /// [`StoreError`] when the state cannot be read.
    pub fn proposals(
        &self,
        permit: &ActionPermit,
        after: u64,
        limit: usize,
        include_closed: bool,
    ) -> Result<ProposalPage, StoreError> {
        let peer = permit.peer();
        let all = peer.role == Role::Demographics;
        let mut page = ProposalPage::default();
        let (mut scanned, mut last) = (0, after);
        self.store.scan(Table::Proposal, &keys::proposal(after.saturating_add(1)), &[], &mut |key, bytes| {
            if page.proposals.len() == limit || scanned == MAX_SCANNED {
                page.next_after = Some(last);
                return ControlFlow::Break(());
            }
            scanned += 1;
            let id = key.try_into().map_or(0, u64::from_be_bytes);
            last = id;
            match decode::<ProposalRow>(bytes) {
                Ok(row) => {
                    let find = |subject: &Subject| Ok(self.index().person(subject));
                    let stands = purge_apply::is_void(&row.proposal, find).is_ok_and(|void| !void);
                    let own = all || row.proposal.organisation == peer.organisation;
                    if own && stands && (include_closed || row.state == ProposalState::Open) {
                        let ProposalRow { proposal, at, state, closed_at } = row;
                        page.proposals.push(StoredProposal { id, proposal, at, state, closed_at });
                    }
                }
                Err(error) => tracing::error!(%error, "a row of the state cannot be decoded"),
            }
            ControlFlow::Continue(())
        })?;
        Ok(page)
    }
}
