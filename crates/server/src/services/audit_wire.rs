//! Entries of the audit on the wire. What may be shown has been decided by the engine: where an entry has no place, nothing here
//! finds one.

use kith_api::convert::{flag, time, words};
use kith_api::v1;
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::directory::Directory;
use kith_engine::{
    AuditEnded, AuditPage, AuditRead, AuditRef, AuditRemoval, Became, Code, Configured, Decision, Disclosed,
    MissingEntries, SeenChange, SeenEntry, SeenPerson, SeenPlace, Whom,
};
use v1::audit_entry::Decision as Wire;

use super::notifications::JOURNAL;

fn reference(sequence: u64) -> String {
    AuditRef { journal: JOURNAL, sequence }.to_string()
}

/// Name of an organisation or an authority.
fn name(code: OdsCode, directory: &Directory) -> String {
    match LaCode::parse(code.as_str()) {
        Ok(authority) => directory.authority_name(authority),
        Err(_) => directory.organisation_name(code),
    }
}

fn subject(whom: Whom) -> v1::AuditSubject {
    let subject = match whom {
        Whom::Asked(number) => v1::audit_subject::Subject::NhsNumber(number.digits()),
        Whom::AskedKey => v1::audit_subject::Subject::AskedKey(true),
        Whom::SamePerson(pseudonym) => v1::audit_subject::Subject::SamePerson(hex::encode(pseudonym)),
        Whom::Other(pseudonym) => v1::audit_subject::Subject::OtherPerson(hex::encode(pseudonym)),
    };
    v1::AuditSubject { subject: Some(subject) }
}

fn part(code: Code) -> v1::DisclosedPart {
    let (outcome, held) = match code {
        Code::Held(held) => (v1::Outcome::Held, held),
        Code::NoneHeld => (v1::Outcome::NoneHeld, 0),
        Code::CannotSay => (v1::Outcome::CannotSay, 0),
        Code::Withheld => (v1::Outcome::IdentityNotConfirmed, 0),
    };
    v1::DisclosedPart { outcome: outcome.into(), held }
}

fn answered(disclosed: &Disclosed, counted: bool) -> v1::AuditAnswered {
    let Disclosed { identity, plans, presentations, shielded: _, siblings, mother } = *disclosed;
    v1::AuditAnswered {
        identity: words::identity(identity).into(),
        plans: Some(part(plans)),
        presentations: Some(part(presentations)),
        siblings,
        mother: mother.map(part),
        counted,
    }
}

fn event(kind: v1::ServiceEventKind) -> v1::ServiceEvent {
    v1::ServiceEvent { kind: kind.into(), ..v1::ServiceEvent::default() }
}

fn read(read: &AuditRead) -> v1::AuditRead {
    let AuditRead { person, organisation, from, until, entry, given, looked_at } = read;
    v1::AuditRead {
        person_id: person.as_ref().map(|person| person.as_str().to_owned()).unwrap_or_default(),
        organisation: organisation.map(|code| code.to_string()).unwrap_or_default(),
        from: from.map(time::timestamp),
        until: until.map(time::timestamp),
        audit_reference: entry.map(reference).unwrap_or_default(),
        given: *given,
        looked_at: *looked_at,
    }
}

fn decision(decision: &Decision) -> Wire {
    match decision {
        Decision::Answered { disclosed, counted } => Wire::Answered(answered(disclosed, *counted)),
        Decision::Refused(code) => {
            Wire::Refused(v1::AuditRefused { reason: code.word().to_owned(), count: 1, first: None, last: None })
        }
        Decision::RefusedMany { code, count, first, last } => Wire::Refused(v1::AuditRefused {
            reason: code.word().to_owned(),
            count: *count,
            first: Some(time::timestamp(*first)),
            last: Some(time::timestamp(*last)),
        }),
        Decision::Changed { acknowledged, refused } => {
            Wire::Changed(v1::AuditChanged { acknowledged: *acknowledged, refused: *refused, each: Vec::new() })
        }
        // The engine shows what of them may be seen. Why a child was not there is for the watch of use alone.
        Decision::ChangedEach(_) | Decision::NotThere(_) => {
            let (acknowledged, refused) = decision.changed().unwrap_or_default();
            Wire::Changed(v1::AuditChanged { acknowledged, refused, each: Vec::new() })
        }
        Decision::ListedEach(listed) => Wire::Listed(listed.len() as u64),
        Decision::Listed(count) => Wire::Listed(*count),
        Decision::AuditRead(what) => Wire::Read(read(what)),
        Decision::Proven { journal: _, sequence: 0 } => Wire::Proven(String::new()),
        Decision::Proven { journal, sequence } => {
            Wire::Proven(AuditRef { journal: *journal, sequence: *sequence }.to_string())
        }
        Decision::Opened { disclosed, reason, words: _, queue: _ } => Wire::Opened(v1::AuditOpened {
            answered: Some(answered(disclosed, true)),
            reason: words::opening_reason(*reason).into(),
        }),
        Decision::OpeningReviewed(reference, outcome) => Wire::OpeningReviewed(v1::AuditOpeningReviewed {
            reference: reference.to_string(),
            outcome: words::review_outcome(*outcome).into(),
        }),
        Decision::Flagged(raised) => Wire::Flagged(flag::kind(raised.kind).into()),
        Decision::FlagReviewed(_, outcome) => Wire::FlagReviewed(flag::outcome(*outcome).into()),
        Decision::Withheld { reason, words: _, look_again } => Wire::Withheld(v1::AuditWithheld {
            reason: words::withholding_reason(*reason).into(),
            look_again: Some(time::date(*look_again)),
        }),
        Decision::WithholdingLifted => Wire::WithholdingLifted(true),
        // Which answer it was is told to nobody: it may be one of a worklist.
        Decision::Resolved(_) => Wire::Resolved(String::new()),
        // The engine shows what was told again; one that cannot be read tells nothing. How many of those sent together were refused,
        // or had been acknowledged before, is shown to nobody.
        Decision::ToldAgain { .. } | Decision::RefusedRows { .. } => Wire::Uncounted(true),
        Decision::Started
        | Decision::Stopped
        | Decision::Gap(_)
        | Decision::FilePositionReset(_, _)
        | Decision::ConfigChanged(_, _)
        | Decision::ConfigRefused(_)
        | Decision::ListKept { .. }
        | Decision::AuditRemoved { .. } => Wire::Service(service(decision)),
    }
}

/// What was configured anew, and what could not be.
fn configured(what: Configured) -> (v1::ServiceEventKind, v1::ServiceEventKind) {
    use v1::ServiceEventKind as Kind;
    match what {
        Configured::Policy => (Kind::PolicyChanged, Kind::PolicyRefused),
        Configured::Certificate => (Kind::CertificateChanged, Kind::CertificateRefused),
        Configured::ClientAuthorities => (Kind::ClientAuthoritiesChanged, Kind::ClientAuthoritiesRefused),
        Configured::RevocationLists => (Kind::RevocationListsChanged, Kind::RevocationListsRefused),
        Configured::PersonTokens => (Kind::PersonTokensChanged, Kind::PersonTokensRefused),
        Configured::Keys => (Kind::KeysChanged, Kind::KeysRefused),
        // With settings or a directory that cannot be used nothing starts, and there is nobody to tell.
        Configured::Settings => (Kind::SettingsChanged, Kind::Unspecified),
        Configured::AuditKey => (Kind::AuditKeyChanged, Kind::AuditKeyRefused),
        Configured::Directory => (Kind::DirectoryChanged, Kind::Unspecified),
        Configured::Services => (Kind::ServicesChanged, Kind::ServicesRefused),
    }
}

fn service(decision: &Decision) -> v1::ServiceEvent {
    match decision {
        Decision::Started => event(v1::ServiceEventKind::Started),
        Decision::Stopped => event(v1::ServiceEventKind::Stopped),
        Decision::Gap(after) => {
            v1::ServiceEvent { after_audit_reference: reference(*after), ..event(v1::ServiceEventKind::Gap) }
        }
        Decision::FilePositionReset(authority, next) => v1::ServiceEvent {
            authority: authority.to_string(),
            next_file_number: *next,
            ..event(v1::ServiceEventKind::FilePositionReset)
        },
        Decision::ConfigChanged(what, sha256) => {
            v1::ServiceEvent { sha256: hex::encode(sha256), ..event(configured(*what).0) }
        }
        Decision::ConfigRefused(what) => event(configured(*what).1),
        Decision::ListKept { file, issuer } => {
            let (file, issuer) = (file.clone(), issuer.clone());
            v1::ServiceEvent { file, issuer, ..event(v1::ServiceEventKind::RevocationListKept) }
        }
        Decision::AuditRemoved { through, leaves, before } => v1::ServiceEvent {
            through_audit_reference: reference(*through),
            leaves_kept: *leaves,
            made_before: Some(time::timestamp(*before)),
            ..event(v1::ServiceEventKind::AuditRemoved)
        },
        Decision::Answered { .. }
        | Decision::Refused(_)
        | Decision::RefusedMany { .. }
        | Decision::Changed { .. }
        | Decision::ChangedEach(_)
        | Decision::ListedEach(_)
        | Decision::Listed(_)
        | Decision::AuditRead(_)
        | Decision::Opened { .. }
        | Decision::OpeningReviewed(..)
        | Decision::Flagged(_)
        | Decision::FlagReviewed(..)
        | Decision::Withheld { .. }
        | Decision::WithholdingLifted
        | Decision::Resolved(_)
        | Decision::ToldAgain { .. }
        | Decision::RefusedRows { .. }
        | Decision::NotThere(_)
        | Decision::Proven { .. } => event(v1::ServiceEventKind::Unspecified),
    }
}

fn change(seen: &SeenChange) -> v1::AuditChange {
    let SeenChange { event_id, became } = *seen;
    let (reason, effect) = match became {
        Became::Applied => ("", v1::Effect::Applied),
        Became::Kept => ("", v1::Effect::Kept),
        Became::Overtaken => ("", v1::Effect::Overtaken),
        Became::Repeated => ("", v1::Effect::Unspecified),
        Became::Refused(code) => (code.word(), v1::Effect::Unspecified),
    };
    v1::AuditChange {
        event_id: event_id.map(|id| id.to_string()).unwrap_or_default(),
        reason: reason.to_owned(),
        effect: effect.into(),
        repeated: became == Became::Repeated,
    }
}

/// An entry.
pub(super) fn entry(seen: &SeenEntry, directory: &Directory) -> v1::AuditEntry {
    let SeenEntry {
        reference,
        at,
        method,
        role,
        purpose,
        context,
        about,
        mother,
        as_mother: _,
        decision: decided,
        changes,
        uncounted,
        fields,
        place,
        shielded,
    } = seen;
    let mut entry = v1::AuditEntry {
        audit_reference: reference.to_string(),
        at: Some(time::timestamp(*at)),
        call: method.map(|method| method.word().to_owned()).unwrap_or_default(),
        role: role.map(|role| role.word().to_owned()).unwrap_or_default(),
        purpose: purpose.map(|purpose| words::purpose(purpose).into()).unwrap_or_default(),
        care_context: context.map(|context| words::care_context(context).into()).unwrap_or_default(),
        about: about.map(subject),
        mother: mother.map(subject),
        fields: fields.iter().map(|field| words::field(field).into()).collect(),
        shielded: *shielded,
        decision: Some(if *uncounted { Wire::Uncounted(true) } else { decision(decided) }),
        ..v1::AuditEntry::default()
    };
    if let Some(Wire::Changed(changed)) = &mut entry.decision {
        changed.each = changes.iter().map(change).collect();
    }
    if let Some(SeenPlace { organisation, person, request_id, trace, responsible }) = place {
        entry.organisation = organisation.to_string();
        entry.organisation_name = name(*organisation, directory);
        entry.request_id = request_id.map(|id| id.to_string()).unwrap_or_default();
        entry.trace_id = trace.map(|trace| hex::encode(trace.0)).unwrap_or_default();
        entry.responsible_authorities = responsible.iter().map(LaCode::to_string).collect();
        if let Some(SeenPerson { user_id, user_name, user_role, role_code, proven }) = person {
            entry.user_id = user_id.as_str().to_owned();
            entry.user_name = user_name.as_str().to_owned();
            entry.user_role = user_role.as_str().to_owned();
            entry.role_code = role_code.as_str().to_owned();
            entry.person_proven = *proven;
        }
    }
    entry
}

/// A lookup of the child that was asked for. What was disclosed of the child is no part of it. Ids are told of one's own people.
pub(super) fn look(seen: &SeenEntry, own_people: bool, directory: &Directory) -> v1::Look {
    let SeenEntry {
        reference,
        at,
        method,
        role: _,
        purpose,
        context,
        about,
        mother,
        as_mother,
        decision: _,
        changes: _,
        uncounted: _,
        fields: _,
        place,
        shielded,
    } = seen;
    let asked_about = if *as_mother { mother } else { about };
    let mut look = v1::Look {
        audit_reference: reference.to_string(),
        at: Some(time::timestamp(*at)),
        purpose: purpose.map(|purpose| words::purpose(purpose).into()).unwrap_or_default(),
        care_context: context.map(|context| words::care_context(context).into()).unwrap_or_default(),
        call: method.map(|method| method.word().to_owned()).unwrap_or_default(),
        other_number: matches!(asked_about, Some(Whom::SamePerson(_))),
        as_mother: *as_mother,
        shielded: *shielded,
        ..v1::Look::default()
    };
    if let Some(SeenPlace { organisation, person, request_id, trace: _, responsible: _ }) = place {
        look.organisation = organisation.to_string();
        look.organisation_name = name(*organisation, directory);
        let request_id = request_id.filter(|_| own_people);
        look.request_id = request_id.map(|id| id.to_string()).unwrap_or_default();
        if let Some(SeenPerson { user_id, user_name, user_role, role_code: _, proven }) = person {
            look.user_name = user_name.as_str().to_owned();
            look.user_role = user_role.as_str().to_owned();
            look.person_proven = *proven;
            if own_people {
                look.user_id = user_id.as_str().to_owned();
            }
        }
    }
    look
}

/// What was looked at for a page.
pub(super) fn searched(page: &AuditPage) -> v1::AuditSearched {
    let AuditPage {
        found: _,
        ended,
        next_before: _,
        range,
        looked_at,
        removed,
        missing,
        shielded_left_out,
        together_left_out,
        own_people_only,
    } = page;
    let end = match ended {
        AuditEnded::Whole => v1::AuditSearchEnd::Whole,
        AuditEnded::PageFull => v1::AuditSearchEnd::PageFull,
        AuditEnded::Stopped => v1::AuditSearchEnd::Stopped,
        AuditEnded::Removed => v1::AuditSearchEnd::Removed,
        AuditEnded::Older => v1::AuditSearchEnd::Older,
    };
    let missing = missing.iter().map(|MissingEntries { after, before, announced_at }| v1::MissingEntries {
        after_audit_reference: reference(*after),
        before_audit_reference: before.map(reference).unwrap_or_default(),
        announced_at: announced_at.map(time::timestamp),
    });
    v1::AuditSearched {
        end: end.into(),
        newest_reference: range.map(|(_, newest)| reference(newest)).unwrap_or_default(),
        oldest_reference: range.map(|(oldest, _)| reference(oldest)).unwrap_or_default(),
        entries_looked_at: *looked_at,
        missing: missing.collect(),
        shielded_left_out: *shielded_left_out,
        together_left_out: *together_left_out,
        own_people_only: *own_people_only,
        removed: removed.map(|AuditRemoval { through, at, before }| v1::AuditRemoval {
            through_audit_reference: reference(through),
            removed_at: Some(time::timestamp(at)),
            made_before: Some(time::timestamp(before)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_domain::fields::FieldSet;
    use kith_domain::flag::{Flag, FlagKind, FlagOutcome};
    use kith_domain::text::{PersonText, RoleCode, UserId};
    use kith_domain::time::Moment;
    use std::collections::BTreeSet;

    #[test]
    fn what_changed_nothing_is_not_told_as_applied() {
        let told = |became| {
            let told = change(&SeenChange { event_id: None, became });
            (told.reason.clone(), told.effect(), told.repeated)
        };
        assert_eq!(told(Became::Applied), (String::new(), v1::Effect::Applied, false));
        assert_eq!(told(Became::Kept), (String::new(), v1::Effect::Kept, false));
        assert_eq!(told(Became::Overtaken), (String::new(), v1::Effect::Overtaken, false));
        assert_eq!(told(Became::Repeated), (String::new(), v1::Effect::Unspecified, true));
        let refused = ("VERSION_ZERO".to_owned(), v1::Effect::Unspecified, false);
        assert_eq!(told(Became::refused("VERSION_ZERO")), refused);
    }

    #[test]
    fn whatever_is_configured_is_told_by_its_own_name() {
        use Configured::{
            AuditKey, Certificate, ClientAuthorities, Directory, Keys, PersonTokens, Policy, RevocationLists, Services,
            Settings,
        };
        let all = [
            Policy,
            Certificate,
            ClientAuthorities,
            RevocationLists,
            PersonTokens,
            Keys,
            Settings,
            AuditKey,
            Directory,
            Services,
        ];
        let decisions = all.map(|what| [Decision::ConfigChanged(what, [7; 32]), Decision::ConfigRefused(what)]);
        let told = decisions.iter().flatten().map(|decision| service(decision).kind().as_str_name());
        assert_eq!(told.collect::<BTreeSet<_>>().len(), 2 * all.len() - 1, "two of them are never refused");
        let directory = service(&Decision::ConfigChanged(Directory, [7; 32]));
        assert_eq!(directory.kind(), v1::ServiceEventKind::DirectoryChanged);
        let tokens = service(&Decision::ConfigRefused(PersonTokens));
        assert_eq!(tokens.kind(), v1::ServiceEventKind::PersonTokensRefused);
        let keys = service(&Decision::ConfigRefused(Keys));
        assert_eq!(keys.kind(), v1::ServiceEventKind::KeysRefused);
        let key = service(&Decision::ConfigRefused(AuditKey));
        assert_eq!(key.kind(), v1::ServiceEventKind::AuditKeyRefused);
        for [changed, _] in &decisions {
            assert_eq!(service(changed).sha256, "07".repeat(32), "what is in force");
        }
        let kept = service(&Decision::ListKept { file: "a.pem".to_owned(), issuer: "CN=b".to_owned() });
        assert_eq!(kept.kind(), v1::ServiceEventKind::RevocationListKept);
        assert_eq!((kept.file.as_str(), kept.issuer.as_str()), ("a.pem", "CN=b"));
    }

    /// Who sends tokens tells a place, so it stands with the person and goes with them.
    #[test]
    fn whether_a_token_proved_the_person_is_told_with_the_person_alone() {
        let seen = |place| SeenEntry {
            reference: AuditRef { journal: JOURNAL, sequence: 7 },
            at: Moment(1_000),
            method: None,
            role: None,
            purpose: None,
            context: None,
            about: None,
            mother: None,
            as_mother: false,
            decision: Decision::Listed(1),
            changes: Vec::new(),
            uncounted: false,
            fields: FieldSet::NONE,
            place,
            shielded: false,
        };
        let by = |proven| SeenPlace {
            organisation: OdsCode::parse("R1H").unwrap(),
            person: Some(SeenPerson {
                user_id: UserId::parse("u1").unwrap(),
                user_name: PersonText::parse("A Nurse").unwrap(),
                user_role: PersonText::parse("Nurse").unwrap(),
                role_code: RoleCode::parse("R8000").unwrap(),
                proven,
            }),
            request_id: None,
            trace: None,
            responsible: Vec::new(),
        };
        let directory = Directory::default();
        let told = |place| {
            let one = seen(place);
            let looks = [true, false].map(|own_people| look(&one, own_people, &directory).person_proven);
            (entry(&one, &directory).person_proven, looks)
        };
        assert_eq!(told(Some(by(true))), (true, [true; 2]), "whoever is told the person");
        assert_eq!([told(Some(by(false))), told(None)], [(false, [false; 2]); 2]);
    }

    /// Whom a flag is about is where they asked, and a shielded child may be there.
    #[test]
    fn a_flag_and_its_review_lead_to_nobody() {
        let flag = Flag {
            kind: FlagKind::SameChild,
            at: Moment(1_000),
            organisation: OdsCode::parse("R1H").unwrap(),
            user_id: UserId::parse("jo.nurse").ok(),
            counted: 10,
            out_of: 0,
            threshold: 10,
            first_entry: 7,
            last_entry: 300,
        };
        let kind = v1::FlagKind::SameChild.into();
        assert!(decision(&Decision::Flagged(flag)) == Wire::Flagged(kind));
        let found = v1::FlagOutcome::TakenFurther.into();
        assert!(decision(&Decision::FlagReviewed(301, FlagOutcome::TakenFurther)) == Wire::FlagReviewed(found));
    }
}
