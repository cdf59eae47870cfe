//! The file of those who stand among no hospitals and authorities: which organisation may call in which of their roles.
//! Taken whole or refused whole: a row with any doubt about it lets nobody in.

use std::collections::BTreeMap;
use std::path::Path;

use kith_domain::caller::Role;
use kith_domain::codes::OdsCode;
use kith_domain::directory::ServiceRoles;
use ring::digest::{SHA256, digest};

use super::load::{CODE, NAME, is_name};
use super::table::{self, Row};
use crate::identity::is_organisation_code;
use crate::mistakes::Mistakes;
use crate::reloaded::Found;

const COLUMNS: [&str; 3] = ["ods_code", "name", "roles"];

/// Looks at the file.
pub(crate) fn find(path: &Path, _in_force: Option<&ServiceRoles>) -> Found<ServiceRoles> {
    let text = match table::text(path) {
        Ok(text) => text,
        Err(what) => return Found { content: None, made: Err(vec![what]), kept: None },
    };
    let content = digest(&SHA256, text.as_bytes()).as_ref().try_into().ok();
    let mut mistakes = Mistakes::new();
    let mut listed = BTreeMap::new();
    for row in table::rows(&path.display().to_string(), &text, &COLUMNS, &mut mistakes) {
        if let Some((code, roles)) = service(&row, &mut mistakes)
            && listed.insert(code, roles).is_some()
        {
            row.note(0, format!("{:?} stands twice", code.as_str()), &mut mistakes);
        }
    }
    let made = match mistakes.into_result() {
        Ok(()) => Ok(ServiceRoles::new(listed)),
        Err(found) => Err(found.iter().map(ToString::to_string).collect()),
    };
    Found { content, made, kept: None }
}

fn service(row: &Row, mistakes: &mut Mistakes) -> Option<(OdsCode, Vec<Role>)> {
    let code = row.take(0, CODE, is_organisation_code, mistakes);
    // For whoever reads the file: the name is never shown.
    let name = row.take(1, NAME, is_name, mistakes);
    let expected = format!("some of the roles {}, each once", ServiceRoles::ROLES.map(Role::word).join(" "));
    let cell = row.take(2, &expected, |cell| roles(cell).is_some(), mistakes);
    name?;
    Some((OdsCode::parse(&code?).ok()?, roles(&cell?)?))
}

/// The roles of a cell, with spaces between them.
fn roles(cell: &str) -> Option<Vec<Role>> {
    let mut found = Vec::new();
    for word in cell.split_ascii_whitespace() {
        let role = Role::parse(word).filter(|role| ServiceRoles::ROLES.contains(role) && !found.contains(role))?;
        found.push(role);
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ServiceRoles, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("services.csv");
        std::fs::write(&path, text).unwrap();
        find(&path, None).made.map_err(|reasons| reasons.join("; "))
    }

    #[test]
    fn each_organisation_has_the_roles_that_are_listed_and_no_other() {
        let listed = read("ods_code,name,roles\nKITH,Operations,ops auditor\nX26,NHS England, broker \n").unwrap();
        let expected = [("KITH", vec![Role::Ops, Role::Auditor]), ("X26", vec![Role::Broker]), ("R1H", Vec::new())];
        for (code, roles) in expected {
            for (role, word) in Role::WORDS {
                assert_eq!(listed.list(OdsCode::parse(code).unwrap(), role), roles.contains(&role), "{code} {word}");
            }
        }
        assert_eq!(read("ods_code,name,roles\n").unwrap(), ServiceRoles::default(), "nobody at all");
    }

    #[test]
    fn what_is_not_understood_in_full_lists_nobody() {
        for (rows, reason) in [
            ("KITH,Operations,\n", "row 2: column roles: expected some of the roles"),
            ("KITH,Operations,op\n", "found \"op\""),
            ("KITH,Operations,ops ops\n", "found \"ops ops\""),
            ("R1H,Barts,ed\n", "found \"ed\""),
            ("E06000001,Hartlepool,local-authority\n", "found \"local-authority\""),
            ("kith,Operations,ops\n", "column ods_code: expected an ODS code"),
            ("KITH,,ops\n", "column name: expected a name"),
            ("KITH,Operations,ops\nKITH,Operations,auditor\n", "\"KITH\" stands twice"),
            ("KITH,Operations,ops,more\n", "row 2"),
        ] {
            let found = read(&format!("ods_code,name,roles\n{rows}")).unwrap_err();
            assert!(found.contains(reason), "{reason}: {found}");
        }
        assert!(read("ods_code,name\nKITH,Operations\n").unwrap_err().contains("missing column \"roles\""));
        assert!(read("").is_err());
        assert!(find(Path::new("/nonexistent/services.csv"), None).made.is_err());
    }
}
