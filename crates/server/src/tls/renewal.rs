//! Authorities and lists as the files have them now, put together with what is in force. Never lets a bad file, or the lists of one
//! authority, keep out what the others revoke.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use rustls_pki_types::{CertificateRevocationListDer, UnixTime};

use super::{Part, TlsError, TlsState};
use crate::client_trust::{Authorities, ClientTrust, read_lists, takes};
use crate::open_connections::Chain;
use crate::revocation::{Beside, KeptList, Lists, Reading, Renewed, wrong};

/// Errors that are told of one reading: a file may hold any number of lists, with something wrong with each.
const ERRORS_MAX: usize = 64;

/// Names that are tried one by one where their lists do not go together.
const NAMES_MAX: usize = 64;

/// Why lists do not come into force as they are.
const SHUT_OUT: &str =
    "somebody who is connected would be refused and is not revoked: a list is missing, or another signed it";

/// What became of reading the files again.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) errors: Vec<TlsError>,
    pub(super) failed: Vec<Part>,
    /// Lists that stay in force because something is wrong with what the files hold.
    pub(super) kept: BTreeSet<KeptList>,
}

impl Outcome {
    pub(super) fn take<T>(&mut self, read: Result<T, TlsError>) -> Option<T> {
        read.map_err(|error| self.errors.push(error)).ok()
    }

    pub(super) fn fail(&mut self, part: Part) {
        if !self.failed.contains(&part) {
            self.failed.push(part);
        }
    }

    fn take_faults(&mut self, faults: Vec<TlsError>) {
        if !faults.is_empty() {
            self.fail(Part::RevocationLists);
        }
        self.errors.extend(faults);
    }

    /// Leaves out what nobody would read any more, and says so.
    fn bound(&mut self, files: &crate::config::Tls) {
        let more = self.errors.len().saturating_sub(ERRORS_MAX);
        if more > 0 {
            self.errors.truncate(ERRORS_MAX);
            self.errors.push(wrong(&files.client_crls, &format!("{more} more lists or files have something wrong")));
        }
    }
}

/// Authorities and lists that go together, and what is wrong with others.
struct Together {
    trust: ClientTrust,
    kept: BTreeSet<KeptList>,
    faults: Vec<TlsError>,
}

/// Why they do not go together.
enum Apart {
    /// They would shut out these, whom nobody has revoked.
    ShutOut(Vec<Chain>),
    /// Anything else.
    Unfit(TlsError),
}

impl TlsState {
    /// Authorities and lists as the files have them now, as far as they are usable and go together. Where the new authorities do not
    /// go with any lists, the new lists go with the old ones.
    pub(super) fn renewed(&self, before: &Arc<ClientTrust>, now: UnixTime, outcome: &mut Outcome) -> Arc<ClientTrust> {
        let read = outcome.take(Authorities::read(&self.files.client_ca).map(Arc::new));
        let is_read = read.is_some();
        let authorities = read.filter(|read| !read.are_those(&before.authorities));
        let authorities = authorities.unwrap_or_else(|| Arc::clone(&before.authorities));
        let Reading { lists, faults } = read_lists(&self.files, now).unwrap_or_default();
        let mut found = outcome.take(self.beside(&authorities, &lists, before, now));
        if found.is_none() && !Arc::ptr_eq(&authorities, &before.authorities) {
            found = self.beside(&before.authorities, &lists, before, now).ok();
        }
        outcome.take_faults(faults);
        let trust = match found {
            Some(Together { trust, kept, faults }) => {
                outcome.take_faults(faults);
                outcome.kept = kept;
                Arc::new(trust)
            }
            None => {
                outcome.fail(Part::RevocationLists);
                Arc::clone(before)
            }
        };
        if !is_read || !Arc::ptr_eq(&trust.authorities, &authorities) {
            outcome.fail(Part::ClientAuthorities);
        }
        outcome.bound(&self.files);
        trust
    }

    /// What of the lists that were read may be in force beside `before`, under these authorities.
    fn beside(
        &self,
        authorities: &Arc<Authorities>,
        read: &Lists,
        before: &ClientTrust,
        now: UnixTime,
    ) -> Result<Together, TlsError> {
        let mut faults = Vec::new();
        let Some(in_force) = &before.lists else {
            let trust = self.trust(authorities, None)?;
            return Ok(Together { trust, kept: BTreeSet::new(), faults });
        };
        let is_taken = |list: &CertificateRevocationListDer<'static>| takes(authorities, list, &self.files);
        let usable = read.clone().usable(in_force, &mut faults, is_taken);
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let beside = Beside {
            in_force,
            gone: &gone,
            before: (before.authorities.ders.as_slice(), &*self.issuers),
            now: (authorities.ders.as_slice(), &*self.issuers),
        };
        let renewed = Renewed::of(usable, beside, &mut faults);
        let (error, shut_out) = match self.together(authorities, &renewed.lists, before, now) {
            Ok(trust) => return Ok(Together { trust, kept: renewed.kept, faults }),
            Err(Apart::ShutOut(chains)) => (wrong(&self.files.client_crls, SHUT_OUT), chains),
            Err(Apart::Unfit(error)) => (error, Vec::new()),
        };
        self.in_the_way.lock().unwrap_or_else(PoisonError::into_inner).extend(shut_out.iter().cloned());
        let certificates = shut_out.iter().flat_map(|chain| chain.iter());
        if let Some(more) = renewed.with_issuers_of(certificates, in_force)
            && let Ok(trust) = self.together(authorities, &more.lists, before, now)
        {
            faults.push(self.said_of(SHUT_OUT, more.kept.difference(&renewed.kept)));
            return Ok(Together { trust, kept: more.kept, faults });
        }
        let Some((trust, kept)) = self.name_by_name(authorities, renewed, before, now) else { return Err(error) };
        faults.push(error);
        faults.push(self.said_of("not all of them go together", kept.iter()));
        Ok(Together { trust, kept, faults })
    }

    /// What is in force, but for every name whose new lists go with that. One authority's, whatever they are, keep no other's out.
    fn name_by_name(
        &self,
        authorities: &Arc<Authorities>,
        mut renewed: Renewed,
        before: &ClientTrust,
        now: UnixTime,
    ) -> Option<(ClientTrust, BTreeSet<KeptList>)> {
        let mut lists = Lists::clone(before.lists.as_deref()?);
        let mut trust = self.together(authorities, &lists, before, now).ok()?;
        for name in renewed.changed_names(&lists, &authorities.ders).into_iter().take(NAMES_MAX) {
            let next = renewed.in_one_name(&name, &lists);
            if let Ok(found) = self.together(authorities, &next, before, now) {
                (trust, lists) = (found, next);
            }
        }
        renewed.give_way(lists);
        Some((trust, renewed.kept))
    }

    /// Authorities and lists as one, unless the lists shut out somebody who is connected and whom they do not name. Whom those in force
    /// shut out already is in nobody's way.
    fn together(
        &self,
        authorities: &Arc<Authorities>,
        lists: &Lists,
        before: &ClientTrust,
        now: UnixTime,
    ) -> Result<ClientTrust, Apart> {
        let trust = self.trust(authorities, Some(Arc::new(lists.clone()))).map_err(Apart::Unfit)?;
        let in_the_way = self.in_the_way.lock().unwrap_or_else(PoisonError::into_inner);
        let is_shut_out =
            |chain: &&Chain| trust.shuts_out_by_its_lists(chain, now) && !before.shuts_out_by_its_lists(chain, now);
        let shut_out: Vec<Chain> = self.open.chains().union(&in_the_way).filter(is_shut_out).cloned().collect();
        if shut_out.is_empty() { Ok(trust) } else { Err(Apart::ShutOut(shut_out)) }
    }

    /// Remembers the lists that are in force no more.
    pub(super) fn remember(&self, before: &ClientTrust, now: &ClientTrust) {
        if let Some((before, lists)) = before.lists.as_ref().zip(now.lists.as_ref()) {
            let signers = (now.authorities.ders.as_slice(), &*self.issuers);
            self.gone.lock().unwrap_or_else(PoisonError::into_inner).remember(before, lists, signers);
        }
    }

    fn trust(&self, authorities: &Arc<Authorities>, lists: Option<Arc<Lists>>) -> Result<ClientTrust, TlsError> {
        ClientTrust::new(Arc::clone(authorities), lists, &self.files, &self.trust_domain, &self.issuers)
    }

    /// Why these stay in force.
    fn said_of<'a>(&self, why: &str, kept: impl Iterator<Item = &'a KeptList>) -> TlsError {
        let mut words = format!("{why}; in force stay");
        let before = words.len();
        for KeptList { file, issuer } in kept.take(ERRORS_MAX) {
            words.push_str(&format!(" the list of {issuer} from {file},"));
        }
        if words.len() == before {
            words.push_str(" those that were");
        }
        wrong(&self.files.client_crls, words.trim_end_matches(','))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
        KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
    };

    use super::*;
    use crate::tls::FileChange;

    /// The certificate of an authority, and a list of its.
    fn authority(name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).unwrap().pem();
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2999, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        (pem, list.signed_by(&Issuer::new(params, key)).unwrap().pem().unwrap())
    }

    fn with_lists(dir: &Path, authority: &str) -> TlsState {
        // Makes the server's files.
        crate::accept::tests::tls(dir);
        std::fs::write(dir.join("clients.pem"), authority).unwrap();
        let files = crate::config::Tls {
            certificate: dir.join("server.pem"),
            key: dir.join("server.key"),
            client_ca: dir.join("clients.pem"),
            client_crls: dir.join("lists"),
            ..crate::config::Tls::default()
        };
        TlsState::load(files, "kith.test").unwrap()
    }

    #[test]
    fn a_list_that_stays_is_told_to_the_audit_by_its_file_and_its_issuer_once() {
        let dir = tempfile::tempdir().unwrap();
        let (bad, root) = (dir.path().join("lists/between.pem"), dir.path().join("lists/root.pem"));
        let ((pem, of_root), (_, of_between)) = (authority("root"), authority("between"));
        std::fs::create_dir(dir.path().join("lists")).unwrap();
        std::fs::write(root, of_root).unwrap();
        std::fs::write(&bad, &of_between).unwrap();
        let tls = with_lists(dir.path(), &pem);
        let told = || {
            let mut told = Vec::new();
            tls.changes().hand(|change| {
                told.push(change);
                true
            });
            told
        };
        told();
        std::fs::write(&bad, "no list").unwrap();
        assert!(tls.reload().is_err());
        let list = KeptList { file: bad.to_string_lossy().into_owned(), issuer: String::from("CN=between") };
        let refused = FileChange { part: Part::RevocationLists, in_force: None, kept: None };
        assert_eq!(told(), [refused.clone(), FileChange { kept: Some(list), ..refused.clone() }]);
        assert!(tls.reload().is_err());
        assert_eq!(told(), [refused], "that it stays was told");
        assert!(tls.try_again().is_empty());
        assert_eq!((told(), tls.kept_lists().len()), (vec![], 1));

        std::fs::write(&bad, of_between).unwrap();
        assert!(tls.try_again().is_empty());
        assert_eq!((told(), tls.kept_lists().len()), (vec![], 0), "the same is in force as ever");
    }

    /// What stands under the list of the root, and beside it in a file of their own so many lists of others.
    fn with_many_lists(dir: &Path, count: usize) -> (TlsState, PathBuf) {
        let (bad, root) = (dir.join("lists/between.pem"), dir.join("lists/root.pem"));
        let (pem, of_root) = authority("root");
        let many: String = (0..count).map(|n| authority(&format!("between {n}")).1).collect();
        std::fs::create_dir(dir.join("lists")).unwrap();
        std::fs::write(root, of_root).unwrap();
        std::fs::write(&bad, many).unwrap();
        let tls = with_lists(dir, &pem);
        told_to_stay(&tls);
        (tls, bad)
    }

    /// Of which lists the audit hears, which takes all that there is, that they stay.
    fn told_to_stay(tls: &TlsState) -> Vec<KeptList> {
        let mut told = Vec::new();
        tls.changes().hand(|change| {
            told.extend(change.kept);
            true
        });
        told
    }

    #[test]
    fn lists_that_stay_beyond_those_that_one_reading_tells_of_are_told_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (tls, bad) = with_many_lists(dir.path(), super::super::KEPT_TOLD_MAX + 6);
        std::fs::write(&bad, "no list").unwrap();
        assert!(tls.reload().is_err());
        let mut all = told_to_stay(&tls);
        assert_eq!(all.len(), super::super::KEPT_TOLD_MAX);
        assert!(tls.try_again().is_empty());
        let others = told_to_stay(&tls);
        assert_eq!(others.len(), 6);
        all.extend(others);
        all.sort();
        assert!(all.into_iter().eq(tls.kept_lists()), "each once");
        assert!(tls.try_again().is_empty() && told_to_stay(&tls).is_empty());
    }

    /// While the audit takes nothing, the changes that wait for it are bounded.
    #[test]
    fn lists_that_stay_wait_until_there_is_room_for_them_and_push_out_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (tls, bad) = with_many_lists(dir.path(), 6);
        let before = FileChange { part: Part::Certificate, in_force: Some([1; 32]), kept: None };
        // Room for four of them.
        while tls.changes().room() > 4 {
            assert_eq!(tls.changes().note(before.clone()), None);
        }
        std::fs::write(&bad, "no list").unwrap();
        assert!(tls.reload().is_err());
        assert!(tls.try_again().is_empty() && tls.try_again().is_empty());
        let (mut all, mut others) = (Vec::new(), 0);
        tls.changes().hand(|change| {
            others += usize::from(change == before);
            all.extend(change.kept);
            true
        });
        assert_eq!((all.len(), others), (4, super::super::FileChanges::default().room() - 4));
        assert!(tls.try_again().is_empty());
        all.extend(told_to_stay(&tls));
        all.sort();
        assert!(all.into_iter().eq(tls.kept_lists()), "each once");
        assert!(tls.try_again().is_empty() && told_to_stay(&tls).is_empty());
    }

    #[test]
    fn a_list_that_stays_is_told_again_where_later_changes_pushed_it_out_before_the_audit_took_it() {
        let dir = tempfile::tempdir().unwrap();
        let (tls, bad) = with_many_lists(dir.path(), 6);
        std::fs::write(&bad, "no list").unwrap();
        // Each time it is told that the lists cannot be used; the first time also which stay, and that gives way in the end.
        for _ in 0..=super::super::FileChanges::default().room() + 12 {
            assert!(tls.reload().is_err());
        }
        assert_eq!(told_to_stay(&tls), Vec::new());
        assert!(tls.try_again().is_empty());
        let mut all = told_to_stay(&tls);
        all.sort();
        assert!(all.into_iter().eq(tls.kept_lists()), "each once");
    }
}
