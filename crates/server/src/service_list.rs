//! Which organisations that stand in no directory may call, while the service runs: read at the start, and again when the file
//! changes. Whoever is not listed does nothing, and a file that cannot be used never replaces one that is in force.

use std::sync::Arc;

use kith_domain::directory::ServiceRoles;

use crate::config::Config;
use crate::directory::services::find;
use crate::mistakes::Mistakes;
use crate::reloaded::{FileError, Read, ReloadedFile};

/// Its name on the metrics page and in the log.
pub(crate) const WHAT: &str = "services";

/// The list's file while the service runs.
pub(crate) type ServiceList = ReloadedFile<ServiceRoles>;

/// Notes what is wrong with the file that the configuration names.
pub(crate) fn note_mistakes(config: &Config, mistakes: &mut Mistakes) {
    let file = &config.directory.services;
    if file.as_os_str().is_empty() {
        return;
    }
    for reason in find(file, None).made.err().unwrap_or_default() {
        mistakes.note(format!("directory.services: {}", file.display()), reason);
    }
}

/// The list to begin with, and the file to look at from then on. Without a file nobody is listed.
pub(crate) fn begin(config: &Config) -> Result<(ServiceList, Read<Arc<ServiceRoles>>), FileError> {
    let (file, first) = ServiceList::begin(WHAT, &config.directory.services, find)?;
    let first = first.map_or_else(
        || Read { made: Arc::default(), sha256: [0; 32] },
        |Read { made, sha256 }| Read { made: Arc::new(made), sha256 },
    );
    Ok((file, first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reloaded::Look;

    #[test]
    fn a_change_counts_at_once_when_asked_for_and_a_bad_file_changes_nothing() {
        let place = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.directory.services = place.path().join("services.csv");
        assert!(begin(&config).is_err(), "no file is no list");
        let write = |roles: &str| {
            std::fs::write(&config.directory.services, format!("ods_code,name,roles\nKITH,Operations,{roles}\n"))
                .unwrap();
        };
        write("ops");
        let (file, first) = begin(&config).unwrap();
        assert_ne!(*first.made, ServiceRoles::default());
        write("nobody");
        assert!(matches!(file.look(true), Look::Refused(_)) && file.has_failed());
        let mut mistakes = Mistakes::new();
        note_mistakes(&config, &mut mistakes);
        assert_eq!(mistakes.iter().count(), 1);
        write("auditor");
        let Look::Changed(read) = file.look(true) else { panic!("it can be used") };
        assert!(read.made != *first.made && !file.has_failed());
    }

    #[test]
    fn without_a_file_nobody_is_listed() {
        let mut config = Config::default();
        config.directory.services = std::path::PathBuf::new();
        let (_, first) = begin(&config).unwrap();
        assert_eq!((first.sha256, &*first.made), ([0; 32], &ServiceRoles::default()));
    }
}
