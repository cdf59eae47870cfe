//! One look into the inbox: every message is looked at, those of known senders are delivered, oldest first within an
//! authority, several authorities at once. A message of anyone else is left alone and never imported under a known name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kith_domain::codes::LaCode;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::config::{Config, Sender};
use super::delivery::{Delivery, Desk};
use super::mailbox::{Inbox, Mailbox, MeshError, shown};
use super::notes::Notes;
use super::report::Counts;
use crate::failure::Failure;
use crate::message::{Envelope, Kind, is_id};
use crate::render::plain;

/// Authorities served at once: each may hold one file in memory.
const AT_ONCE: usize = 4;
/// MESH wants a handshake once a day.
const HANDSHAKE_INTERVAL: Duration = Duration::from_secs(20 * 60 * 60);
/// A message that cannot be looked at holds those behind it back for so many passes: one of them may be of its sender.
const PATIENCE: u32 = 3;

/// The adapter between two passes.
pub struct Adapter {
    desk: Arc<Desk>,
    senders: BTreeMap<String, Sender>,
    workflow: String,
    interval: Duration,
    handshake_at: Option<Instant>,
    /// Authorities that are left alone for a while.
    backoffs: BTreeMap<LaCode, Backoff>,
    /// Messages known not to be for this adapter.
    aside: BTreeSet<String>,
    /// How often a message could not be looked at.
    unseen: BTreeMap<String, u32>,
}

/// Messages by authority, with the sender of each, oldest first.
type Work = BTreeMap<LaCode, Vec<(Sender, Envelope)>>;

impl Adapter {
    /// Reads certificates, secrets and the state folder.
    ///
    /// # Errors
    /// A file or folder that cannot be used.
    pub fn new(config: Config) -> Result<Self, Failure> {
        let mailbox = Mailbox::new(&config)?;
        let Config { mesh, senders } = config;
        let notes = Notes::open(&mesh.state_dir, mailbox.note_key())?;
        let senders = senders.into_iter().map(|sender| (sender.mailbox.clone(), sender)).collect();
        Ok(Self {
            desk: Arc::new(Desk { mailbox, notes, answer_workflow: mesh.answer_workflow }),
            senders,
            workflow: mesh.workflow,
            interval: Duration::from_secs(mesh.poll_interval_seconds),
            handshake_at: None,
            backoffs: BTreeMap::new(),
            aside: BTreeSet::new(),
            unseen: BTreeMap::new(),
        })
    }

    /// Looks into the inbox once and does what can be done now.
    pub async fn pass(&mut self) -> Counts {
        let mut counts = Counts::default();
        self.desk.notes.tidy(SystemTime::now());
        let inbox = match self.list().await {
            Ok(inbox) => inbox,
            Err(error) => {
                trouble(&mut counts, &error);
                warn(&format!("failed to {error}"));
                return counts;
            }
        };
        counts.inbox = inbox.ids.len();
        if inbox.more {
            warn("the inbox has more messages than are read in one pass");
        }
        self.aside = inbox.ids.iter().filter(|id| self.aside.contains(*id)).cloned().collect();
        self.unseen.retain(|id, _| inbox.ids.contains(id));
        let work = self.sort(&inbox, &mut counts).await;
        counts.set_aside = u32::try_from(self.aside.len()).unwrap_or(u32::MAX);
        self.work(work, &mut counts).await;
        counts
    }

    async fn list(&mut self) -> Result<Inbox, MeshError> {
        let now = Instant::now();
        if self.handshake_at.is_none_or(|at| now.duration_since(at) > HANDSHAKE_INTERVAL) {
            self.desk.mailbox.handshake().await?;
            self.handshake_at = Some(now);
        }
        self.desk.mailbox.inbox().await
    }

    /// Looks at each message that is not known yet.
    async fn sort(&mut self, inbox: &Inbox, counts: &mut Counts) -> Work {
        let mut work = Work::new();
        for (at, id) in inbox.ids.iter().enumerate() {
            if self.aside.contains(id) {
                continue;
            }
            if !is_id(id) {
                self.set_aside(id, "its id has other letters than MESH gives");
                continue;
            }
            match self.desk.mailbox.look(id).await {
                Ok(envelope) => self.place(envelope, &mut work, counts).await,
                Err(MeshError::Gone) => {}
                Err(error) => {
                    trouble(counts, &error);
                    let failures = self.unseen.entry(id.clone()).or_default();
                    *failures += 1;
                    warn(&format!("message {id}: failed to {error}"));
                    if *failures < PATIENCE {
                        counts.left += u32::try_from(inbox.ids.len() - at).unwrap_or(u32::MAX);
                        return work;
                    }
                    counts.left += 1;
                }
            }
        }
        work
    }

    async fn place(&mut self, message: Envelope, work: &mut Work, counts: &mut Counts) {
        match &message.kind {
            Kind::Report { about, why } => {
                let about: String = plain(about).chars().take(100).collect();
                let why = shown(why);
                warn(&format!("MESH reports that message {about} of this mailbox was not delivered: {why}"));
                match self.desk.mailbox.acknowledge(&message.id).await {
                    Ok(()) => counts.reports += 1,
                    Err(error) => {
                        trouble(counts, &error);
                        counts.left += 1;
                    }
                }
            }
            Kind::Unknown => self.set_aside(&message.id, "it is neither data nor a report"),
            Kind::Data => match self.senders.get(&message.sender).cloned() {
                None => {
                    let sender: String = plain(&message.sender).chars().take(100).collect();
                    self.set_aside(&message.id, &format!("SECURITY: its sender, mailbox {sender:?}, is not listed"));
                }
                Some(_) if message.workflow != self.workflow => {
                    self.set_aside(&message.id, "it is of another workflow than plan files");
                }
                Some(sender) => work.entry(sender.authority).or_default().push((sender, message)),
            },
        }
    }

    fn set_aside(&mut self, id: &str, why: &str) {
        let shown: String = plain(id).chars().take(100).collect();
        warn(&format!("message {shown} stays in the inbox, not imported: {why}"));
        self.aside.insert(id.to_owned());
    }

    async fn work(&mut self, work: Work, counts: &mut Counts) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        for (authority, messages) in work {
            if self.backoffs.get(&authority).is_some_and(|backoff| backoff.waits(Instant::now())) {
                counts.left += u32::try_from(messages.len()).unwrap_or(u32::MAX);
                continue;
            }
            let (desk, places) = (Arc::clone(&self.desk), Arc::clone(&places));
            running.spawn(async move {
                // It is never closed.
                let _place = places.acquire_owned().await;
                (authority, one_authority(desk, authority, messages).await)
            });
        }
        while let Some(ended) = running.join_next().await {
            let Ok((authority, done)) = ended else {
                counts.mesh_failed = true;
                warn("a delivery ended by a fault in the program");
                continue;
            };
            let backoff = self.backoffs.entry(authority).or_default();
            if done.left == 0 {
                backoff.healed();
            } else {
                backoff.failed(Instant::now(), self.interval);
            }
            counts.merge(&done);
        }
    }
}

/// One after the other; what is behind a message that stays must wait, because its files are numbered.
async fn one_authority(desk: Arc<Desk>, authority: LaCode, messages: Vec<(Sender, Envelope)>) -> Counts {
    let mut counts = Counts::default();
    let mut delivery = Delivery::new(desk);
    for (at, (sender, message)) in messages.iter().enumerate() {
        match delivery.deliver(sender, message).await {
            Ok(fate) => counts.add(fate),
            Err(why) => {
                warn(&format!("{authority}: message {} stays in the inbox: failed to {why}", message.id));
                counts.left = u32::try_from(messages.len() - at).unwrap_or(u32::MAX);
                break;
            }
        }
    }
    counts
}

fn trouble(counts: &mut Counts, error: &MeshError) {
    counts.mesh_failed = true;
    counts.mesh_refused |= matches!(error, MeshError::Refused(_));
}

/// Something that a person should see. A log that cannot be written is no reason to leave plans unread.
fn warn(words: &str) {
    let _ = writeln!(std::io::stderr().lock(), "kith mesh: WARNING: {words}");
}
