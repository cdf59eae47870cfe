//! What became of a hostile organisation's clients, told while they go on, and whether their attack took place: beside one that
//! never began anybody does well.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::attack::Attack;

/// Clients of an attack that must have taken part in it, where it has as many.
const LEAST_CLIENTS: u64 = 8;
/// Connections that an attack by their number must have tried, where it has as many clients. How many of them the server keeps is its own to
/// say: it may let one organisation have a few hundred.
const LEAST_TRIED: u64 = 2_000;

/// What became of the clients of one attack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Became {
    /// Clients at a time.
    pub clients: u64,
    /// Of these, on whose connection the attack has begun at least once.
    pub took_part: u64,
    /// Connections begun.
    pub opened: u64,
    /// Of these, that could not be opened.
    pub refused: u64,
    /// Handshakes that ended well on this side: of the certificate the server has not spoken yet.
    pub shaken: u64,
    /// Connections on which the attack has begun: the server spoke HTTP/2, so it has taken the certificate. Of those who never
    /// come so far, connections that the network opened.
    pub begun: u64,
    /// Connections that the server ended.
    pub ended_by_server: u64,
    /// Connections on which the attack has begun, and which are open now.
    pub open: u64,
    /// How often the frames of a flood were queued.
    pub frames: u64,
    /// Calls begun.
    pub calls: u64,
    /// Calls with an answer of any kind.
    pub answered: u64,
    /// Calls answered well; of changes, those of which the answer says that they are kept.
    pub kept: u64,
    /// Bytes queued to be sent, before TLS.
    pub bytes: u64,
}

impl Became {
    /// Connections tried: handshakes that ended well on this side, by which the server knows whose they are; of those who never come so far,
    /// connections that the network opened.
    fn tried(&self, attack: Attack) -> u64 {
        if attack.shakes() { self.shaken } else { self.begun }
    }

    /// What an attack by the number of its connections lacks of it.
    fn lacks_of_a_crowd(&self, attack: Attack, before: &Self) -> Option<String> {
        let (tried, least) = (self.tried(attack), self.clients.clamp(1, LEAST_TRIED));
        if tried < least {
            return Some(format!("{tried} connections were tried, expected at least {least}"));
        }
        // Whom the server sends away comes again, as long as not all are in.
        (self.open < least && tried == before.tried(attack)).then(|| "nobody came again".to_owned())
    }

    /// What this attack lacks to have taken place since `before`, if anything.
    fn lacks(&self, attack: Attack, before: &Self) -> Option<String> {
        let least = self.clients.clamp(1, LEAST_CLIENTS);
        if self.took_part < least {
            return Some(format!(
                "{} of {} clients took part, expected at least {least}",
                self.took_part, self.clients
            ));
        }
        if self.open == 0 && self.begun == before.begun {
            return Some("no connection was open".to_owned());
        }
        let (what, now, then) = match attack {
            Attack::Pings | Attack::Settings | Attack::Control | Attack::Empty | Attack::Headers => {
                ("frames were sent", self.frames, before.frames)
            }
            Attack::Resets => ("calls were begun", self.calls, before.calls),
            // The same calls stay open all the time.
            Attack::SlowReads | Attack::Deaf => ("calls were begun", self.calls, 0),
            Attack::Calls => ("calls were answered", self.answered, before.answered),
            Attack::Changes => ("changes were kept", self.kept, before.kept),
            Attack::Connections | Attack::Silent | Attack::Stalled => return self.lacks_of_a_crowd(attack, before),
        };
        (now == then).then(|| format!("no {what}"))
    }
}

/// What became of all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// How long it has gone on.
    pub seconds: f64,
    /// By attack.
    pub attacks: BTreeMap<String, Became>,
}

impl Told {
    /// Writes it as a whole: whoever reads the file meanwhile has the one before.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("failed to encode what became of it")? + "\n";
        let part = path.with_extension("part");
        let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, path));
        written.with_context(|| format!("failed to write {}", path.display()))
    }

    /// Reads what was written last; nothing while there is none.
    ///
    /// # Errors
    /// There is something else.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
        serde_json::from_str(&text).map(Some).with_context(|| format!("failed to understand {}", path.display()))
    }

    /// Which of these attacks, by their names separated by commas, did not take place since `before`, and what they lack; empty
    /// when all did.
    #[must_use]
    pub fn lacks(&self, names: &str, before: &Self) -> String {
        let none = Became::default();
        let of_one = |name: &str| {
            let then = before.attacks.get(name).unwrap_or(&none);
            let lacks = match (name.parse::<Attack>(), self.attacks.get(name)) {
                (Ok(attack), Some(now)) => now.lacks(attack, then),
                (Ok(_), None) => Some("nothing is told of it".to_owned()),
                (Err(words), _) => Some(words),
            };
            lacks.map(|lacks| format!("{name}: {lacks}"))
        };
        names.split(',').filter_map(of_one).collect::<Vec<_>>().join("; ")
    }

    /// Connections of the attack by this name that were tried so far: the server was shown whose they are.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.attacks.get(&Attack::Connections.to_string()).map_or(0, |became| became.tried(Attack::Connections))
    }

    /// Clients that took part, of all attacks.
    #[must_use]
    pub fn took_part(&self) -> u64 {
        self.attacks.values().map(|became| became.took_part).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that any attack needs.
    fn busy() -> Became {
        Became {
            clients: 8,
            took_part: 8,
            opened: 9,
            refused: 0,
            shaken: 9,
            begun: 9,
            ended_by_server: 1,
            open: 8,
            frames: 5,
            calls: 5,
            answered: 5,
            kept: 5,
            bytes: 5,
        }
    }

    fn told(attack: Attack, became: Became) -> Told {
        Told { seconds: 1.0, attacks: [(attack.to_string(), became)].into() }
    }

    /// What an attack lacks after `change`, since nothing at all.
    fn lacks(attack: Attack, change: fn(&mut Became)) -> String {
        let mut became = busy();
        change(&mut became);
        told(attack, became).lacks(&attack.to_string(), &Told::default())
    }

    #[test]
    fn an_attack_that_nobody_came_to_did_not_take_place() {
        for (attack, name, _) in Attack::ALL {
            assert_eq!(lacks(attack, |_| ()), "", "{attack}");
            let few = format!("{name}: 7 of 8 clients took part, expected at least 8");
            assert_eq!(lacks(attack, |became| became.took_part = 7), few);
            // As when the certificate is refused: handshakes end well on this side, and frames are sent.
            let none = format!("{name}: 0 of 8 clients took part, expected at least 8");
            assert_eq!(lacks(attack, |became| (became.took_part, became.begun, became.open) = (0, 0, 0)), none);
            let shut = format!("{name}: no connection was open");
            assert_eq!(lacks(attack, |became| (became.begun, became.open) = (0, 0)), shut);
        }
        let of_another = told(Attack::Pings, busy()).lacks("pings,resets,wire", &Told::default());
        assert!(of_another.starts_with("resets: nothing is told of it; wire: expected one of "), "{of_another}");
        assert_eq!(lacks(Attack::Pings, |became| (became.clients, became.took_part) = (2, 2)), "");
    }

    #[test]
    fn each_attack_must_do_what_it_is_called_by() {
        for (attack, ..) in Attack::ALL {
            let without = [
                lacks(attack, |became| became.frames = 0),
                lacks(attack, |became| became.calls = 0),
                lacks(attack, |became| became.answered = 0),
                lacks(attack, |became| became.kept = 0),
            ];
            let needed = without.iter().filter(|lacks| !lacks.is_empty()).count();
            assert_eq!(needed, usize::from(!attack.is_crowd()), "{attack}: {without:?}");
        }
    }

    #[test]
    fn thousands_of_connections_are_thousands_that_were_tried() {
        // As many as the server keeps of one organisation, whatever was begun at the network.
        let thousands = |became: &mut Became| {
            (became.clients, became.took_part, became.open) = (4_000, 512, 512);
            (became.opened, became.shaken, became.begun) = (9_000, 2_000, 2_000);
        };
        let few = |became: &mut Became| {
            (became.clients, became.took_part, became.open) = (4_000, 512, 512);
            (became.opened, became.shaken, became.begun) = (9_000, 1_999, 1_999);
        };
        for attack in [Attack::Connections, Attack::Silent, Attack::Stalled] {
            assert_eq!(lacks(attack, thousands), "");
            let why = format!("{attack}: 1999 connections were tried, expected at least 2000");
            assert_eq!(lacks(attack, few), why);
            let one_less = |became: &mut Became| (became.clients, became.shaken, became.begun) = (500, 499, 499);
            let why = format!("{attack}: 499 connections were tried, expected at least 500");
            assert_eq!(lacks(attack, one_less), why);
        }
        // The eight that once sufficed, of as many as the attack has.
        assert_eq!(
            lacks(Attack::Connections, |became| became.clients = Attack::Connections.clients() as u64),
            "connections: 9 connections were tried, expected at least 2000"
        );
        assert_eq!(told(Attack::Connections, busy()).connections(), 9);
        assert_eq!(told(Attack::Silent, busy()).connections(), 0);
    }

    #[test]
    fn a_crowd_of_which_nobody_comes_again_did_not_go_on_unless_all_are_in() {
        let mut became = Became { clients: 4_000, took_part: 512, shaken: 2_000, open: 512, ..busy() };
        let before = told(Attack::Connections, became.clone());
        let lacks = |became: &Became| told(Attack::Connections, became.clone()).lacks("connections", &before);
        assert_eq!(lacks(&became), "connections: nobody came again");
        became.open = 2_000;
        assert_eq!(lacks(&became), "");
        (became.open, became.shaken) = (512, 2_001);
        assert_eq!(lacks(&became), "");
    }

    #[test]
    fn what_was_done_before_does_not_count_but_for_calls_that_stay_open() {
        for (attack, name, _) in Attack::ALL {
            let (before, now) = (told(attack, busy()), told(attack, busy()));
            let stays = attack.is_crowd() || matches!(attack, Attack::SlowReads | Attack::Deaf);
            assert_eq!(now.lacks(name, &before).is_empty(), stays, "{attack}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_what_is_not_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hostile.json");
        assert_eq!(Told::read(&path).unwrap(), None);
        let written = told(Attack::Changes, busy());
        written.write(&path).unwrap();
        written.write(&path).unwrap();
        assert_eq!(Told::read(&path).unwrap(), Some(written));
        std::fs::write(&path, "{").unwrap();
        assert!(Told::read(&path).is_err());
    }
}
