//! What the server says of itself, before and after: how many answers it counted, and whether what follows lookups has
//! drained. Read by the certificate of operations, never of anybody who asks about children.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kith_api::client::{Client, ConnectOptions, certificate_identity};
use kith_api::v1;

use crate::outcome::{Counters, Drain};
use crate::requests;
use crate::requests::person;

/// How often the state is looked at while waiting.
const POLL: Duration = Duration::from_millis(20);
/// Largest page of metrics read, in bytes.
const MAX_PAGE: u64 = 16 * 1024 * 1024;
/// What counts answers.
const ANSWERS: &str = "kith_answers_total ";

/// The server, as operations see it.
pub struct Control {
    runtime: tokio::runtime::Runtime,
    client: Client,
    asker: (Client, String),
    metrics: Option<String>,
}

/// What the server had counted at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// By the metrics page.
    answers: Option<u64>,
    /// Entries of the audit.
    audit: u64,
}

impl Control {
    /// Connects as operations, and as `asker`, an organisation that asks about children. `metrics` is `host:port` of the
    /// metrics page.
    ///
    /// # Errors
    /// The service cannot be reached or is not ready.
    pub fn connect(
        options: ConnectOptions,
        (asker, organisation): (ConnectOptions, String),
        metrics: Option<String>,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("failed to start a runtime")?;
        let connect = |options| {
            let connected = runtime.block_on(Client::connect(options));
            connected.map_err(|error| anyhow::anyhow!("failed to {error}"))
        };
        let named = |options: ConnectOptions| {
            let pem = std::fs::read(&options.cert).context("failed to read the certificate of operations")?;
            let identity = certificate_identity(&pem).map_err(|error| anyhow::anyhow!("failed to {error}"))?;
            Ok::<_, anyhow::Error>(connect(options)?.as_person(&person(&identity.organisation)))
        };
        let (client, asker) = (named(options)?, (connect(asker)?, organisation));
        let control = Self { runtime, client, asker, metrics };
        let status = control.status()?;
        let ready = status.readiness() == v1::Readiness::Ready;
        ensure!(ready, "the service does not answer questions now: {:?} {}", status.readiness(), status.reason);
        Ok(control)
    }

    fn status(&self) -> Result<v1::GetStatusResponse> {
        let request = self.client.request(v1::GetStatusRequest { include_feeds: false });
        let mut status = self.client.status();
        let asked = self.runtime.block_on(async move { status.get_status(request).await });
        Ok(asked.map_err(|status| anyhow::anyhow!("failed to read the status: {:?}", status.code()))?.into_inner())
    }

    fn positions(&self) -> Result<v1::Positions> {
        self.status()?.positions.context("the status has no positions")
    }

    /// What it has counted now.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn counted(&self) -> Result<Counted> {
        let answers = self.metrics.as_deref().map(page).transpose()?.map(|page| answers(&page)).transpose()?;
        Ok(Counted { answers, audit: self.positions()?.audit_last })
    }

    /// Waits until everything that follows lookups is in the log. The service writes down how far it is only with what
    /// follows a lookup, so one more is asked about a number of which nothing is held, and waited for.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn drain(&self, limit: Duration) -> Result<Drain> {
        let began = Instant::now();
        let first = self.positions()?;
        let entries_behind = first.audit_last.saturating_sub(first.audit_derived_through);
        let mut drain = Drain { entries_behind, ..Drain::default() };
        self.ask_once()?;
        let target = self.positions()?.audit_last;
        let mut through = 0;
        while through < target && began.elapsed() < limit {
            through = self.positions()?.audit_derived_through;
            if through < target {
                std::thread::sleep(POLL);
            }
        }
        drain.complete = through >= target;
        drain.seconds = began.elapsed().as_secs_f64();
        Ok(drain)
    }

    fn ask_once(&self) -> Result<()> {
        let (client, organisation) = &self.asker;
        let request = client.request(requests::one_more(organisation));
        let mut lookup = client.lookup();
        let asked = self.runtime.block_on(async move { lookup.lookup(request).await });
        asked.map(drop).map_err(|status| anyhow::anyhow!("failed to ask once more: {:?}", status.code()))
    }
}

/// Holds the server's counters against the generator's. Where the server tells no count of answers, entries of its audit are a
/// lower bound: the service writes some of its own.
#[must_use]
pub fn compare(before: Counted, after: Counted, generator: u64, in_doubt: u64) -> Counters {
    let (source, server, upper) = match (before.answers, after.answers) {
        (Some(before), Some(after)) => ("metrics", after.saturating_sub(before), true),
        _ => ("audit", after.audit.saturating_sub(before.audit), false),
    };
    let agree = server >= generator && (!upper || server <= generator + in_doubt);
    Counters { source: source.to_owned(), server, generator, in_doubt, agree }
}

fn answers(page: &str) -> Result<u64> {
    let value = page.lines().find_map(|line| line.strip_prefix(ANSWERS));
    let value = value.context("the metrics page has no kith_answers_total")?;
    value.parse().context("a count of answers that is no number")
}

/// The metrics page of a server at `host:port`.
///
/// # Errors
/// Nobody answers there, or not with a page.
pub fn page(address: &str) -> Result<String> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("failed to reach the metrics at {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: kith-load\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.take(MAX_PAGE).read_to_string(&mut text).context("failed to read the metrics page")?;
    let (head, body) = text.split_once("\r\n\r\n").context("the metrics page is no HTTP")?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("failed to read the metrics page: {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(answers: Option<u64>, audit: u64) -> Counted {
        Counted { answers, audit }
    }

    #[test]
    fn answers_are_read_from_the_page() {
        let page = "# TYPE kith_answers_total counter\nkith_answers_total 7\nkith_ready 1\n";
        assert_eq!(answers(page).unwrap(), 7);
        assert!(answers("kith_ready 1\n").is_err());
        assert!(answers("kith_answers_total x\n").is_err());
    }

    #[test]
    fn counters_agree_up_to_what_is_in_doubt() {
        let told = |server: u64, generator, in_doubt| {
            compare(counted(Some(10), 0), counted(Some(10 + server), 0), generator, in_doubt).agree
        };
        assert!(told(100, 100, 0) && told(102, 100, 2));
        assert!(!told(99, 100, 0), "answers that the server did not count");
        assert!(!told(101, 100, 0), "answers that nobody received");
    }

    #[test]
    fn the_audit_is_a_lower_bound() {
        assert!(compare(counted(None, 10), counted(None, 30), 15, 0).agree);
        assert!(!compare(counted(None, 10), counted(None, 20), 15, 0).agree);
    }
}
