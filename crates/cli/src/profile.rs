//! The profile file: what a person would otherwise type every time. Unknown keys are refused; a flag or a variable
//! outranks it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::Failure;
use crate::redacted::redacted;

redacted!(Profile);

/// The section used when none is named.
const DEFAULT_SECTION: &str = "default";
/// Largest profile file read, in bytes.
const MAX_PROFILE_BYTES: u64 = 64 * 1024;

/// One section of the file. Paths are relative to the file's folder.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Address of the service.
    pub server: Option<String>,
    /// Authorities that signed the service's certificate.
    pub ca: Option<PathBuf>,
    /// The caller's certificate.
    pub cert: Option<PathBuf>,
    /// The caller's private key.
    pub key: Option<PathBuf>,
    /// The organisation's code.
    pub organisation: Option<String>,
    /// The person's identifier.
    pub user_id: Option<String>,
    /// The person's name.
    pub user_name: Option<String>,
    /// The person's role.
    pub user_role: Option<String>,
    /// Code of the role.
    pub role_code: Option<String>,
    /// Why they ask.
    pub purpose: Option<String>,
    /// The token that proves them.
    pub person_token_file: Option<PathBuf>,
}

/// Reads the section `name`, or `[default]` when none is named and there is one.
///
/// # Errors
/// A named file or section that is not there, and a file that cannot be understood.
pub fn load(file: Option<&Path>, name: Option<&str>) -> Result<Profile, Failure> {
    let Some(path) = file.map(Path::to_owned).or_else(usual_file) else { return section_without_file(name) };
    if !path.exists() && file.is_none() {
        return section_without_file(name);
    }
    let shown = path.display();
    let failed = |why: String| Failure::usage(format!("failed to read profile file {shown}: {why}"));
    let length = std::fs::metadata(&path).map_err(|error| failed(error.to_string()))?.len();
    if length > MAX_PROFILE_BYTES {
        return Err(failed(format!("expected at most {MAX_PROFILE_BYTES} bytes, found {length}")));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let mut sections = parse(&text).map_err(&failed)?;
    let section = sections.remove(name.unwrap_or(DEFAULT_SECTION));
    match (section, name) {
        (Some(profile), _) => Ok(profile.in_folder(path.parent().unwrap_or(Path::new(".")))),
        (None, Some(name)) => Err(failed(format!("it has no section [{name}]"))),
        (None, None) => Ok(Profile::default()),
    }
}

/// The sections of a file, by their names.
///
/// # Errors
/// What cannot be understood.
pub fn parse(text: &str) -> Result<BTreeMap<String, Profile>, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

fn section_without_file(name: Option<&str>) -> Result<Profile, Failure> {
    match name {
        Some(name) => Err(Failure::usage(format!("failed to find profile {name}: there is no profile file"))),
        None => Ok(Profile::default()),
    }
}

fn usual_file() -> Option<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let config = config.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    config.map(|folder| folder.join("kith/profiles.toml"))
}

impl Profile {
    fn in_folder(mut self, folder: &Path) -> Self {
        let paths = [&mut self.ca, &mut self.cert, &mut self.key, &mut self.person_token_file];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    const TEXT: &str = "[default]\nserver = 'a:1'\nca = 'ca.pem'\n[night]\nserver = 'b:2'\nkey = '/etc/k.pem'\n\
                        person_token_file = 'me.jwt'\n";

    #[test]
    fn sections_and_paths() {
        let (folder, path) = file(TEXT);
        let default = load(Some(&path), None).unwrap();
        assert_eq!(default.server.as_deref(), Some("a:1"));
        assert_eq!(default.ca, Some(folder.path().join("ca.pem")));
        let night = load(Some(&path), Some("night")).unwrap();
        assert_eq!(night.key, Some(PathBuf::from("/etc/k.pem")));
        assert_eq!(night.person_token_file, Some(folder.path().join("me.jwt")));
    }

    #[test]
    fn what_is_not_there_or_not_known_is_refused() {
        let (_folder, path) = file(TEXT);
        assert!(load(Some(&path), Some("day")).unwrap_err().message.contains("no section [day]"));
        assert!(load(Some(Path::new("/nonexistent/p.toml")), None).is_err());
        let (_folder, path) = file("[default]\nsevrer = 'a:1'\n");
        assert!(load(Some(&path), None).unwrap_err().message.contains("sevrer"));
    }
}
