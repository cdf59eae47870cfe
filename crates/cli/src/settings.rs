//! What a run needs to reach the service: flags and variables first, then the profile. It names everything that is
//! missing at once.

use std::path::PathBuf;
use std::time::Duration;

use kith_api::client::{Client, ConnectOptions, certificate_identity};
use kith_api::v1;

use crate::args::{ConnectionArgs, PersonArgs};
use crate::failure::Failure;
use crate::person::Person;
use crate::person_token;
use crate::profile;

/// What a run needs.
#[derive(Debug)]
pub struct Settings {
    connect: ConnectOptions,
    /// The caller's organisation.
    pub organisation: String,
    /// Who asks, as far as given.
    pub person: Person,
    /// The file with the token that proves them.
    token_file: Option<PathBuf>,
}

impl Settings {
    /// Merges flags, variables and the profile.
    ///
    /// # Errors
    /// Names what is missing, or the file that cannot be read.
    pub fn new(connection: ConnectionArgs, person: PersonArgs) -> Result<Self, Failure> {
        let ConnectionArgs { server, ca, cert, key, profile, profile_file, timeout_ms } = connection;
        let known = profile::load(profile_file.as_deref(), profile.as_deref())?;
        let server = server.or(known.server);
        let (ca, cert, key) = (ca.or(known.ca), cert.or(known.cert), key.or(known.key));
        let missing: Vec<&str> = [
            ("--server", server.is_none()),
            ("--ca", ca.is_none()),
            ("--cert", cert.is_none()),
            ("--key", key.is_none()),
        ]
        .into_iter()
        .filter_map(|(flag, missing)| missing.then_some(flag))
        .collect();
        let (Some(server), Some(ca), Some(cert), Some(key)) = (server, ca, cert, key) else {
            return Err(Failure::usage(format!(
                "missing {}: give the flags, the variables KITH_SERVER, KITH_CA, KITH_CERT and KITH_KEY, or a profile",
                missing.join(", ")
            )));
        };
        let organisation = match person.organisation.or(known.organisation) {
            Some(code) => code,
            None => organisation_of(&cert)?,
        };
        let timeout = Duration::from_millis(timeout_ms);
        Ok(Self {
            connect: ConnectOptions { server, ca, cert, key, connect_timeout: timeout, request_timeout: timeout },
            organisation,
            person: Person {
                user_id: person.user_id.or(known.user_id),
                user_name: person.user_name.or(known.user_name),
                user_role: person.user_role.or(known.user_role),
                role_code: person.role_code.or(known.role_code),
                purpose: person.purpose.or(known.purpose),
            },
            token_file: person.person_token_file.or(known.person_token_file),
        })
    }

    /// Connects with the person behind every call, for messages that name nobody by themselves.
    ///
    /// # Errors
    /// A person who is not named in full, and as [`Settings::connect`].
    pub async fn connect_as_person(&self) -> Result<Client, Failure> {
        let caller = self.person.caller(&self.organisation, v1::Purpose::RecordKeeping)?;
        Ok(self.connect().await?.as_person(&caller))
    }

    /// Connects.
    ///
    /// # Errors
    /// Could not ask, or a file or address that cannot be used.
    pub async fn connect(&self) -> Result<Client, Failure> {
        let token = self.token_file.as_deref().map(person_token::read).transpose()?;
        let client = Client::connect(self.connect.clone()).await?;
        match token {
            Some(token) => person_token::given(client, &token),
            None => Ok(client),
        }
    }
}

fn organisation_of(cert: &PathBuf) -> Result<String, Failure> {
    let shown = cert.display();
    let pem = std::fs::read(cert)
        .map_err(|error| Failure::bad_input(format!("failed to read certificate file {shown}: {error}")))?;
    let identity = certificate_identity(&pem)
        .map_err(|error| Failure::bad_input(format!("failed to {error} ({shown}); or give --organisation")))?;
    Ok(identity.organisation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(server: Option<&str>) -> ConnectionArgs {
        ConnectionArgs {
            server: server.map(str::to_owned),
            ca: Some("ca.pem".into()),
            cert: Some("/nonexistent/cert.pem".into()),
            key: None,
            profile: None,
            profile_file: None,
            timeout_ms: 5000,
        }
    }

    fn person(organisation: Option<&str>) -> PersonArgs {
        let organisation = organisation.map(str::to_owned);
        PersonArgs {
            user_id: None,
            user_name: None,
            user_role: None,
            role_code: None,
            purpose: None,
            organisation,
            person_token_file: None,
        }
    }

    #[test]
    fn everything_missing_is_named_at_once() {
        let error = Settings::new(connection(None), person(Some("R1H"))).unwrap_err();
        assert!(error.message.contains("--server, --key"), "{}", error.message);
        assert_eq!(error.exit.code(), 2);
    }

    #[test]
    fn the_organisation_is_the_one_given_or_the_certificates() {
        let mut given = connection(Some("a:1"));
        given.key = Some("key.pem".into());
        assert_eq!(Settings::new(given, person(Some("R1H"))).unwrap().organisation, "R1H");
        let mut not_given = connection(Some("a:1"));
        not_given.key = Some("key.pem".into());
        let error = Settings::new(not_given, person(None)).unwrap_err();
        assert!(error.message.contains("/nonexistent/cert.pem"), "{}", error.message);
    }
}
