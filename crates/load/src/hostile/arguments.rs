//! The command line of `kith-load hostile`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::Order;
use super::attack::Attack;
use super::told::Told;

/// `kith-load hostile`.
#[derive(Args)]
pub struct HostileArguments {
    /// Address of the service, host:port
    #[arg(long, value_name = "HOST:PORT")]
    server: String,
    /// Certificates as `kithd dev-certs` writes them; the first of the role ed is the hostile organisation's
    #[arg(long, value_name = "DIR")]
    certs: PathBuf,
    /// What it does: pings, settings, control, empty, resets, headers, connections, silent, stalled, slow-reads, deaf, calls,
    /// changes; each may say with how many clients, as pings=8; all of them when left out
    #[arg(long, value_name = "ATTACK[=CLIENTS],...", value_delimiter = ',', value_parser = attack)]
    attacks: Vec<(Attack, usize)>,
    /// How long, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    seconds: f64,
    /// Connections opened in a second that are the first of their clients
    #[arg(long, value_name = "RATE", default_value_t = 1_000.0)]
    first_opens_per_s: f64,
    /// Connections opened in a second beside them, by clients whose last one has ended
    #[arg(long, value_name = "RATE", default_value_t = 400.0)]
    opens_per_s: f64,
    /// Of the connections on which nothing is asked keep so many open at most, and let go of further ones once they are let in, so that
    /// the other attacks have some of the places of their organisation; all are kept when left out
    #[arg(long, value_name = "COUNT")]
    keep_open: Option<usize>,
    /// Call this unary method instead of asking questions: for a server that is not Kith
    #[arg(long, value_name = "PATH")]
    empty_path: Option<String>,
    /// Where its check-ins say that the child is: a site of the hostile organisation; its code and 01 when left out
    #[arg(long, value_name = "CODE")]
    site: Option<String>,
    /// Come from this address of this machine, such as 127.0.0.2, so that what the service bounds by address is bounded apart from
    /// those who ask beside it
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// Write what has become of the clients to this file, each second and at the end
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print nothing
    #[arg(long)]
    quiet: bool,
}

fn attack(text: &str) -> Result<(Attack, usize), String> {
    let Some((name, count)) = text.split_once('=') else {
        return text.parse().map(|attack: Attack| (attack, attack.clients()));
    };
    let clients = count.parse().ok().filter(|clients| (1..=100_000).contains(clients));
    Ok((name.parse()?, clients.ok_or_else(|| format!("expected 1 to 100000 clients, found {count}"))?))
}

/// Attacks, and says what became of it.
///
/// # Errors
/// It could not begin, or a file cannot be written.
pub fn run(arguments: HostileArguments) -> Result<ExitCode> {
    let HostileArguments {
        server,
        certs,
        mut attacks,
        seconds,
        first_opens_per_s,
        opens_per_s,
        keep_open,
        empty_path,
        site,
        from,
        json,
        quiet,
    } = arguments;
    if attacks.is_empty() {
        attacks = Attack::ALL.iter().map(|(attack, _, clients)| (*attack, *clients)).collect();
    }
    let order = Order {
        server,
        certs,
        attacks,
        seconds,
        first_opens_per_second: first_opens_per_s,
        opens_per_second: opens_per_s,
        keep_open,
        empty_path,
        site,
        from,
    };
    let write = |told: &Told| json.as_deref().map_or(Ok(()), |path| told.write(path));
    let told = super::run(&order, write)?;
    write(&told)?;
    if !quiet {
        print!("{}", table(&told));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(told: &Told) -> String {
    let mut text = format!(
        "{:<12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9} {:>10}\n",
        "attack",
        "clients",
        "came",
        "opened",
        "refused",
        "shaken",
        "begun",
        "ended",
        "open",
        "calls",
        "answered",
        "kept",
        "MB"
    );
    for (name, became) in &told.attacks {
        text += &format!(
            "{name:<12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9} {:>10.1}\n",
            became.clients,
            became.took_part,
            became.opened,
            became.refused,
            became.shaken,
            became.begun,
            became.ended_by_server,
            became.open,
            became.calls,
            became.answered,
            became.kept,
            became.bytes as f64 / 1e6
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_may_say_its_clients() {
        assert_eq!(attack("pings"), Ok((Attack::Pings, Attack::Pings.clients())));
        assert_eq!(attack("connections=7"), Ok((Attack::Connections, 7)));
        for bad in ["ping", "pings=0", "pings=", "pings=100001", "="] {
            assert!(attack(bad).is_err(), "{bad}");
        }
    }
}
