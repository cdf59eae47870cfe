//! Lists that were read beside those in force: what the new ones may take the place of, and what stays because nothing may.
//! Never lets fewer be revoked than before because a file is bad, old or gone, and never lets one authority's keep another's out.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{List, Lists, Signers, VARIANTS_MAX, shown, wrong};
use crate::tls::TlsError;

/// What is wrong with a list that no authority of its name has signed.
const DISOWNED: &str = "a list bears the name of an authority that did not sign it";

/// What is wrong with a list of one key that says it is of another, which has one in force.
const MISLABELLED: &str =
    "a list calls its key as that of another list of its issuer is called, and is not signed with that";

/// What is wrong when a list is older than the one in force of the same signer about the same certificates.
const OLDER: &str = "a list is older than the one in force, which may have revoked more";

/// What is wrong when nothing is left of an issuer.
const MISSING: &str = "an issuer that has a list in force has none here: all its certificates would be refused";

/// What is wrong when what is left of an issuer says less.
const GONE: &str = "a list in force is gone, and its issuer's others do not name all that it revokes";

/// What is wrong with lists of a name under so many keys that no verifier can take them.
const CROWDED: &str = "expected fewer keys under the same names";

/// What is wrong with lists of which there are too many.
const HEAP: &str = "expected fewer lists: those in one name stay as they are in force";

/// Lists in one name at most, but for as many as are in force in it from the start on: an authority has a few. Many more would take so
/// long to hold against each other that what other authorities revoke waits.
const OF_NAME_MAX: usize = 128;

/// Lists in all at most, beyond which no name comes in that is new and nobody's who is known.
const ALL_MAX: usize = 1_024;

/// Lists that have gone at most of which it is remembered that they were in force.
const GONE_MAX: usize = 64;

/// A list that stays in force because what the files hold cannot take its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptList {
    /// The file that it was read from.
    pub file: String,
    /// Whose list it is: the name of its issuer, as far as it can be shown.
    pub issuer: String,
}

/// Lists that may come into force, and what of them is there because something is wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Renewed {
    pub(crate) lists: Lists,
    /// Those among them that stay.
    pub(crate) kept: BTreeSet<KeptList>,
}

/// What lists are held against: those in force, and by whom a list may be signed, under the authorities as they were and as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside<'a> {
    pub(crate) in_force: &'a Lists,
    /// What was in force and has gone.
    pub(crate) gone: &'a Lists,
    pub(crate) before: Signers<'a>,
    pub(crate) now: Signers<'a>,
}

impl Beside<'_> {
    /// Whether nobody who may issue can have gone with the authorities.
    fn are_authorities_left(&self) -> bool {
        self.before.0.iter().all(|authority| self.now.0.contains(authority))
    }

    /// Those in force that stand in anybody's way: one that turned out to be nobody's does not, whatever its date. So do those that have
    /// gone once it is known whose they are, as when that one has shown its certificate, or is revoked no more: else an older one could
    /// be brought after they went.
    fn known(&self) -> Vec<&Arc<List>> {
        let is_disowned = |list: &List| list.is_disowned(self.before) || list.is_disowned(self.now);
        let is_back = |list: &List| {
            list.has_signer(self.now, |key| list.is_signed_with(key)) && self.in_force.have_lost(list, self.now)
        };
        let back = self.gone.0.iter().filter(|list| is_back(list));
        self.in_force.0.iter().chain(back).filter(|list| !is_disowned(list)).collect()
    }

    /// Whether a list says that it is of a key which did not sign it, and whose lists in force say the same: whoever has an old key of an
    /// authority, signed by that though it is, must not overtake what its new one revokes.
    fn is_mislabelled(&self, list: &List) -> bool {
        let is_known = |known: &List| known.has_signer(self.now, |key| known.is_signed_with(key));
        let alike: Vec<&Arc<List>> =
            self.in_force.of(&list.issuer).filter(|known| known.is_of_key_of(list) && is_known(known)).collect();
        !alike.is_empty() && !alike.iter().any(|known| list.is_by_signer_of(known, self.now))
    }

    /// Whether an issuer of which no list is left may lose the one in force: it has gone with its authority, or `lists` revoke every
    /// certificate of it that anybody has shown, and with it whatever is below.
    fn may_go(&self, known: &List, lists: &Lists) -> bool {
        if !self.are_authorities_left() && !known.has_signer(self.now, |key| known.is_signed_with(key)) {
            return true;
        }
        let (authorities, issuers) = self.now;
        let is_revoked = |der: &CertificateDer<'static>| lists.revoke_any_of([der]);
        !known.is_named_as_any_of(authorities)
            && issuers.are_all(&known.issuer, authorities, |key| known.is_signed_with(key), is_revoked)
    }
}

impl Renewed {
    /// What was read, with what stays in force beside it. What is wrong goes to `faults`.
    pub(crate) fn of(read: Lists, beside: Beside<'_>, faults: &mut Vec<TlsError>) -> Self {
        let mut renewed = Self { lists: read.owned(beside, faults).newest(), kept: BTreeSet::new() };
        renewed.leave_out_heaps(beside, faults);
        let new = &mut renewed.lists;
        let known = beside.known();
        let mut kept: Vec<(&Arc<List>, &str)> = Vec::new();
        // First of all, so that what is too old to stand for one stands for no other either.
        for &list in &known {
            if new.leave_out_older_than(list, beside.before) {
                kept.push((list, OLDER));
            }
        }
        let mut missing = Vec::new();
        for &list in &known {
            let own = new.by_signer_of(list, beside.before);
            if kept.iter().any(|&(other, _)| Arc::ptr_eq(other, list)) {
                continue;
            }
            if own.is_empty() {
                missing.push(list);
            } else if !list.is_stood_for_by(&own) {
                kept.push((list, GONE));
            }
        }
        let all = new.clone().with(kept.iter().map(|&(list, _)| list));
        kept.extend(missing.into_iter().filter(|list| !beside.may_go(list, &all)).map(|list| (list, MISSING)));
        for (list, why) in &kept {
            faults.push(wrong(&list.file, &format!("{why}; the list of {} stays in force", list.name)));
        }
        renewed.keep(kept.into_iter().map(|(list, _)| list));
        // With what stays there may be too many again.
        renewed.leave_out_heaps(beside, faults);
        renewed.leave_out_crowded(beside, faults);
        // An old list about some, put back beside the one about all that stays, would revoke whom that has let in again.
        renewed.lists = std::mem::take(&mut renewed.lists).without_overtaken();
        renewed
    }

    /// Adds lists in force that stay.
    fn keep<'a>(&mut self, lists: impl IntoIterator<Item = &'a Arc<List>>) {
        for list in lists {
            self.kept.insert(list.to_kept());
            self.lists = std::mem::take(&mut self.lists).with([list]);
        }
    }

    /// Where there are more lists in a name than can be held against each other in time, that name stays as it is in force. Where there
    /// are more in all, names that are new and nobody's who is known wait.
    fn leave_out_heaps(&mut self, beside: Beside<'_>, faults: &mut Vec<TlsError>) {
        let Beside { in_force, gone: _, before: _, now: (authorities, issuers) } = beside;
        let names: Vec<Arc<List>> = self.lists.keys_by_name().iter().map(|keys| Arc::clone(keys[0])).collect();
        for first in names {
            let (own, old) = (self.lists.of(&first.issuer).count(), in_force.of(&first.issuer).count());
            let is_anybodys =
                || first.is_named_as_any_of(authorities) || issuers.vouch(&first.issuer, authorities, |_| true);
            let is_one_too_many = self.lists.0.len() > ALL_MAX && old == 0 && !is_anybodys();
            if own > OF_NAME_MAX.max(old) || is_one_too_many {
                faults.push(wrong(&first.file, &format!("{HEAP}: {}", first.name)));
                self.lists.0.retain(|list| list.issuer != first.issuer);
                self.keep(in_force.of(&first.issuer));
            }
        }
    }

    /// Where there are more keys than verifiers can be made for, those that are new wait, name by name: those of the authorities of the
    /// configuration last, and of the others those with the most first. What keys that are in force revoke anew does not wait.
    fn leave_out_crowded(&mut self, beside: Beside<'_>, faults: &mut Vec<TlsError>) {
        let Beside { in_force, gone: _, before: _, now: (authorities, _) } = beside;
        let is_known = |list: &List| in_force.of(&list.issuer).any(|known| known.is_of_key_of(list));
        while self.lists.count_variants() > VARIANTS_MAX {
            let names = self.lists.keys_by_name();
            let grown = names.iter().filter(|keys| keys.len() > 1 && !keys.iter().all(|key| is_known(key)));
            let crowd = grown.max_by_key(|keys| (!keys[0].is_named_as_any_of(authorities), keys.len()));
            let Some(first) = crowd.map(|keys| Arc::clone(keys[0])) else { return };
            faults.push(wrong(&first.file, &format!("{CROWDED}: {}", first.name)));
            self.lists.0.retain(|list| list.issuer != first.issuer || is_known(list));
            // What stood for one in force may be among those that wait, though another by its key is left.
            let is_lost = |known: &List| self.lists.have_lost(known, beside.before);
            let lost: Vec<&Arc<List>> = in_force.of(&first.issuer).filter(|known| is_lost(known)).collect();
            self.keep(lost);
        }
    }

    /// The same with what is in force beside it in the name of any issuer of these certificates, about such as it tells nothing of.
    /// Nothing where there is no such list.
    pub(crate) fn with_issuers_of<'a>(
        &self,
        certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>,
        in_force: &Lists,
    ) -> Option<Self> {
        let issuers: BTreeSet<Vec<u8>> = certificates.into_iter().filter_map(issuer).collect();
        let is_told_of = |list: &Arc<List>| {
            let is_about_it = |own: &Arc<List>| own.scope.is_empty() || own.scope == list.scope;
            self.lists.0.iter().any(|own| own.is_of_key_of(list) && is_about_it(own))
        };
        let mut renewed = self.clone();
        for issuer in &issuers {
            renewed.keep(in_force.of(issuer).filter(|list| !is_told_of(list)));
        }
        (renewed.lists.0.len() > self.lists.0.len()).then_some(renewed)
    }

    /// The names in which it has others than are in force; those of `authorities` first, and of each those with few keys.
    pub(crate) fn changed_names(&self, in_force: &Lists, authorities: &[CertificateDer<'static>]) -> Vec<Vec<u8>> {
        let names = self.lists.keys_by_name();
        let mut changed: Vec<_> =
            names.iter().filter(|keys| !self.lists.are_as_in(in_force, &keys[0].issuer)).collect();
        changed.sort_by_key(|keys| (!keys[0].is_named_as_any_of(authorities), keys.len()));
        changed.into_iter().map(|keys| keys[0].issuer.clone()).collect()
    }

    /// What is in force but for one name, of which it has what this has.
    pub(crate) fn in_one_name(&self, issuer: &[u8], in_force: &Lists) -> Lists {
        let mut lists = in_force.clone();
        lists.0.retain(|list| list.issuer != issuer);
        lists.with(self.lists.of(issuer))
    }

    /// That `lists` are in force in its place: what they have in a name in which this has anything else stays.
    pub(crate) fn give_way(&mut self, lists: Lists) {
        let stay = lists.0.iter().filter(|list| !self.lists.are_as_in(&lists, &list.issuer));
        self.kept.extend(stay.map(|list| list.to_kept()));
        self.lists = lists;
    }
}

impl Lists {
    /// Without those that no verifier takes, though they can be read. One that is in force is taken.
    pub(crate) fn usable(
        mut self,
        in_force: &Lists,
        faults: &mut Vec<TlsError>,
        is_taken: impl Fn(&CertificateRevocationListDer<'static>) -> Result<(), String>,
    ) -> Self {
        self.0.retain(|list| {
            let is_known = in_force.0.iter().any(|known| known.der == list.der);
            let refused = if is_known { None } else { is_taken(&list.der).err() };
            faults.extend(refused.iter().map(|why| wrong(&list.file, &format!("the list of {}: {why}", list.name))));
            refused.is_none()
        });
        self
    }

    /// Without those in the name of an authority that did not sign them: what the others revoke need not wait for whoever wrote those,
    /// and none of those may pass for a newer list of the authority whose name and key it bears. What is in force already stays in the
    /// name of an authority between, unless one by that key is there: it may be of a new key, and whoever has shown that of the old one
    /// must not be in its way.
    fn owned(self, beside: Beside<'_>, faults: &mut Vec<TlsError>) -> Self {
        let (disowned, mut left): (Vec<Arc<List>>, Vec<Arc<List>>) =
            self.0.into_iter().partition(|list| list.is_disowned(beside.now));
        faults.extend(disowned.iter().map(|list| wrong(&list.file, &format!("{DISOWNED}: {}", list.name))));
        left.retain(|list| {
            let is_mislabelled = beside.is_mislabelled(list);
            if is_mislabelled {
                faults.push(wrong(&list.file, &format!("{MISLABELLED}: {}", list.name)));
            }
            !is_mislabelled
        });
        let may_stay = |list: &Arc<List>| {
            beside.in_force.0.iter().any(|known| known.der == list.der)
                && !list.is_named_as_any_of(beside.now.0)
                && !left.iter().any(|own| own.is_of_key_of(list))
        };
        let staying: Vec<Arc<List>> = disowned.into_iter().filter(may_stay).collect();
        left.extend(staying);
        Self(left)
    }

    fn by_signer_of(&self, known: &List, signers: Signers<'_>) -> Vec<&Arc<List>> {
        self.0.iter().filter(|list| list.is_by_signer_of(known, signers)).collect()
    }

    /// Whether nothing here stands for one that was in force.
    fn have_lost(&self, known: &List, signers: Signers<'_>) -> bool {
        let own = self.by_signer_of(known, signers);
        own.is_empty() || !known.is_stood_for_by(&own)
    }

    /// Adds what was in force before, is not now, and has nothing in its place.
    pub(crate) fn remember(&mut self, before: &Lists, now: &Lists, signers: Signers<'_>) {
        for list in before.0.iter().filter(|list| now.have_lost(list, signers)) {
            if self.0.len() < GONE_MAX && !self.0.iter().any(|known| known.der == list.der) {
                self.0.push(Arc::clone(list));
            }
        }
    }

    /// Leaves out whatever of the signer of a list in force is about the same certificates and older, when nothing newer is there.
    fn leave_out_older_than(&mut self, known: &List, signers: Signers<'_>) -> bool {
        let own = self.by_signer_of(known, signers);
        let same: Vec<Arc<List>> = own.into_iter().filter(|list| list.scope == known.scope).cloned().collect();
        let are_older = !same.is_empty() && same.iter().all(|list| list.issued_s < known.issued_s);
        if are_older {
            self.0.retain(|list| !same.iter().any(|older| Arc::ptr_eq(older, list)));
        }
        are_older
    }

    /// These and others, each once.
    fn with<'a>(mut self, others: impl IntoIterator<Item = &'a Arc<List>>) -> Self {
        for other in others {
            if !self.0.iter().any(|list| list.der == other.der) {
                self.0.push(Arc::clone(other));
            }
        }
        self.in_order()
    }

    /// Of how many verifiers there would have to be one each.
    fn count_variants(&self) -> usize {
        self.keys_by_name().iter().fold(1, |count: usize, keys| count.saturating_mul(keys.len()))
    }

    /// Whether both have the same in a name.
    fn are_as_in(&self, others: &Lists, issuer: &[u8]) -> bool {
        let (own, other): (Vec<_>, Vec<_>) = (self.of(issuer).collect(), others.of(issuer).collect());
        own.len() == other.len() && own.iter().all(|list| other.iter().any(|one| one.der == list.der))
    }
}

impl List {
    /// Whether nothing is lost with this, which was in force: it is there still, or a newer one is in its place or about everything, or
    /// whatever it revokes others revoke. Else an old list of another scope, or one of two of the same second, would do to let in who is
    /// revoked. `own` are those by its signer.
    fn is_stood_for_by(&self, own: &[&Arc<List>]) -> bool {
        let is_about_it = |list: &List| list.scope.is_empty() || list.scope == self.scope;
        own.iter().any(|list| list.der == self.der || (is_about_it(list) && list.issued_s > self.issued_s))
            || self.revoked.iter().all(|number| own.iter().any(|list| list.revoked.contains(number)))
    }

    fn to_kept(&self) -> KeptList {
        KeptList { file: shown(&self.file.to_string_lossy()), issuer: self.name.clone() }
    }
}

/// Who issued a certificate, as DER.
fn issuer(der: &CertificateDer<'static>) -> Option<Vec<u8>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate.issuer().as_raw().to_vec())
}
