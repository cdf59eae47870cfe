//! A development certificate authority, with a certificate for the server and for everyone in the directory, and with the list of
//! those who stand in none.
//! Never for production: the authority's key lies beside the certificates.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use kith_domain::caller::Role;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::config::Config;
use crate::directory::Directory;
use crate::identity::{PeerIdentity, is_trust_domain};
use crate::mistakes::Mistakes;

/// Longest life of development certificates.
const DAYS_MAX: u32 = 825;

/// The organisation that runs the service, in development.
const OPERATOR: &str = "KITH";
/// The organisation of the national services: NHS England.
const NATIONAL: &str = "X26";
/// Those who stand in no directory, each under the name of its role.
const APART: [(Role, &str); 5] = [
    (Role::Ops, OPERATOR),
    (Role::Auditor, OPERATOR),
    (Role::Demographics, NATIONAL),
    (Role::Broker, NATIONAL),
    (Role::Witness, NATIONAL),
];
/// The list of them, for `directory.services`.
const SERVICES: &str = "services.csv";
/// What the first hospital has a certificate for beside its emergency department's, under the name of the role.
const FURTHER: [Role; 2] = [Role::ScheduledCare, Role::Safeguarding];

/// Seconds in a day.
const DAY_SECONDS: i64 = 86_400;

/// What to make.
#[derive(Debug, Clone)]
pub struct DevCerts {
    /// Where the files go.
    pub out: PathBuf,
    /// Where organisations.csv, sites.csv and authorities.csv are.
    pub directory: PathBuf,
    /// Names of the server besides its loopback addresses.
    pub hosts: Vec<String>,
    /// Life of the certificates.
    pub days: u32,
    /// Trust domain of the identities.
    pub trust_domain: String,
    /// Whether an authority that is already there may be replaced.
    pub force: bool,
}

/// Why certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DevCertsError {
    /// There is an authority already.
    #[error("keep {0}: it is there already; --force replaces it and with it every certificate")]
    Exists(PathBuf),
    /// An argument is not usable.
    #[error("use {0}")]
    Argument(&'static str),
    /// The directory files have mistakes.
    #[error("read the directory:\n{0}")]
    Directory(#[from] Mistakes),
    /// A file cannot be written.
    #[error("write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// A certificate cannot be made.
    #[error("make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Makes all certificates; gives how many.
///
/// # Errors
/// When an authority is there already, an argument or file is not usable, or a file cannot be written.
pub fn make(request: &DevCerts) -> Result<usize, DevCertsError> {
    if !(1..=DAYS_MAX).contains(&request.days) {
        return Err(DevCertsError::Argument("--days: expected 1 to 825"));
    }
    if !is_trust_domain(&request.trust_domain) {
        return Err(DevCertsError::Argument("--trust-domain: expected lower-case letters, digits, dots and dashes"));
    }
    for name in ["ca.pem", "ca.key"] {
        let path = request.out.join(name);
        if !request.force && path.exists() {
            return Err(DevCertsError::Exists(path));
        }
    }
    let directory = Directory::load(&files_in(&request.directory))?;
    fs::create_dir_all(&request.out).map_err(|source| DevCertsError::Write { path: request.out.clone(), source })?;

    let key = KeyPair::generate()?;
    let params = authority(request.days);
    let certificate = params.self_signed(&key)?;
    let issuer = Issuer::new(params, &key);
    let workshop = Workshop { request, issuer };
    let mut made = 0;
    workshop.issue("server", server(request)?)?;
    for (name, identity) in identities(&directory) {
        workshop.issue(&name, client(request, &identity)?)?;
        made += 1;
    }
    workshop.list()?;
    // The authority is written last: what was interrupted before can simply be run again.
    workshop.write("ca", &certificate, &key)?;
    Ok(made + 2)
}

struct Workshop<'a> {
    request: &'a DevCerts,
    issuer: Issuer<'a, &'a KeyPair>,
}

impl Workshop<'_> {
    fn issue(&self, name: &str, params: CertificateParams) -> Result<(), DevCertsError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        self.write(name, &certificate, &key)
    }

    /// Writes the list of those who stand in no directory.
    fn list(&self) -> Result<(), DevCertsError> {
        let mut rows = BTreeMap::<&str, Vec<&str>>::new();
        for (role, organisation) in APART {
            rows.entry(organisation).or_default().push(role.word());
        }
        let mut text = String::from("ods_code,name,roles\n");
        for (organisation, roles) in rows {
            let row = [organisation, ",", organisation, " (development),", &roles.join(" "), "\n"];
            text.push_str(&row.concat());
        }
        let path = self.request.out.join(SERVICES);
        replace(&path, &text, 0o644).map_err(|source| DevCertsError::Write { path, source })
    }

    fn write(&self, name: &str, certificate: &Certificate, key: &KeyPair) -> Result<(), DevCertsError> {
        for (path, text, mode) in [
            (self.request.out.join(format!("{name}.key")), key.serialize_pem(), 0o600),
            (self.request.out.join(format!("{name}.pem")), certificate.pem(), 0o644),
        ] {
            replace(&path, &text, mode).map_err(|source| DevCertsError::Write { path, source })?;
        }
        Ok(())
    }
}

/// Writes a file anew with this mode, whatever mode an older one had.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

fn files_in(directory: &Path) -> Config {
    let mut config = Config::default();
    config.directory.organisations = directory.join("organisations.csv");
    config.directory.sites = directory.join("sites.csv");
    config.directory.authorities = directory.join("authorities.csv");
    config
}

/// One identity for each organisation and authority, and one at least of every role, with its file name.
fn identities(directory: &Directory) -> Vec<(String, PeerIdentity)> {
    let trusts = directory.organisations().map(|o| (o.code.clone(), o.code.clone(), Role::Ed));
    let authorities = directory.authorities().map(|a| (a.code.clone(), a.code.clone(), Role::LocalAuthority));
    let apart = APART.into_iter().map(|(role, organisation)| (role.to_string(), organisation.to_owned(), role));
    let first = directory.organisations().take(1);
    let further = first.flat_map(|o| FURTHER.map(|role| (role.to_string(), o.code.clone(), role)));
    trusts
        .chain(authorities)
        .chain(apart)
        .chain(further)
        .map(|(name, organisation, role)| (name, PeerIdentity { organisation, role }))
        .collect()
}

fn authority(days: u32) -> CertificateParams {
    let mut params = dated(days);
    params.distinguished_name.push(DnType::CommonName, "Kith development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(days: u32, name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = dated(days);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

fn server(request: &DevCerts) -> Result<CertificateParams, DevCertsError> {
    let mut params = leaf(request.days, "kithd", ExtendedKeyUsagePurpose::ServerAuth);
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let mut names: Vec<SanType> = loopback.into_iter().map(SanType::IpAddress).collect();
    for host in &request.hosts {
        let name = match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.as_str().try_into()?),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    params.subject_alt_names = names;
    Ok(params)
}

fn client(request: &DevCerts, identity: &PeerIdentity) -> Result<CertificateParams, DevCertsError> {
    let mut params = leaf(request.days, &identity.organisation, ExtendedKeyUsagePurpose::ClientAuth);
    params.subject_alt_names = vec![SanType::URI(identity.to_uri(&request.trust_domain).as_str().try_into()?)];
    Ok(params)
}

/// In force from yesterday, so that a clock a little behind accepts it, for `days` from today.
fn dated(days: u32) -> CertificateParams {
    let midnight = |offset_days: i64| {
        let at = Timestamp::now() + SignedDuration::from_secs(offset_days * DAY_SECONDS);
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let [month, day] = [date.month(), date.day()].map(|part| u8::try_from(part).unwrap_or(1));
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = midnight(-1);
    params.not_after = midnight(i64::from(days) + 1);
    params
}
