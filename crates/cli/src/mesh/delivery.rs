//! One message of a known sender, in the only order there is: imported for good, noted, answered, noted, acknowledged. Killed
//! between any two of these, the next run goes on; it never acknowledges what was not imported and answered.

use std::io;
use std::sync::Arc;

use kith_api::client::Client;
use kith_api::v1;

use super::config::Sender;
use super::mailbox::{Answer, Mailbox, MeshError};
use super::notes::Notes;
use crate::dates;
use crate::failure::Failure;
use crate::message::{Content, Envelope};
use crate::note::Note;
use crate::{person_token, plan_file};

/// Why a message stays in the inbox. Messages follow "failed to ".
#[derive(Debug, thiserror::Error)]
pub enum Kept {
    /// MESH.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The service gave no verdict.
    #[error("import the file: {0}")]
    Service(String),
    /// The service says to send the file again.
    #[error("import the file: it is not stored (CPF05, {0})")]
    NotStored(String),
    /// The note could not be made durable.
    #[error("keep the note: {0}")]
    Note(#[from] io::Error),
}

/// What became of a message that is out of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Imported or refused by the service, and answered.
    Answered(&'static str),
    /// Answered in an earlier run, and acknowledged now.
    AcknowledgedOnly,
}

/// What deliveries share.
pub struct Desk {
    /// Our mailbox.
    pub mailbox: Mailbox,
    /// The notes.
    pub notes: Notes,
    /// Workflow id of the answers.
    pub answer_workflow: String,
}

/// The messages of one authority, one after the other.
pub struct Delivery {
    desk: Arc<Desk>,
    client: Option<Client>,
}

impl Delivery {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desk, client: None }
    }

    /// Takes one message from the inbox to its acknowledgement.
    ///
    /// # Errors
    /// [`Kept`]: the message is still in the inbox, and those behind it must wait.
    pub async fn deliver(&mut self, sender: &Sender, message: &Envelope) -> Result<Fate, Kept> {
        let desk = Arc::clone(&self.desk);
        let Envelope { id, .. } = message;
        if desk.notes.read(id)? == Some(Note::Answered) {
            desk.mailbox.acknowledge(id).await?;
            return Ok(Fate::AcknowledgedOnly);
        }
        let verdict = self.verdict(sender, message).await?;
        let code = durable(&verdict)?;
        let bytes = desk.notes.answering(id, verdict)?;
        let (to, workflow) = (sender.mailbox.as_str(), desk.answer_workflow.as_str());
        desk.mailbox.answer(Answer { to, workflow, to_message: id, bytes }).await?;
        desk.notes.answered(id)?;
        desk.mailbox.acknowledge(id).await?;
        Ok(Fate::Answered(code))
    }

    /// The service is reached before the file is fetched: there may be no need to.
    async fn verdict(&mut self, sender: &Sender, message: &Envelope) -> Result<v1::FileVerdict, Kept> {
        let said = |failure: &Failure| Kept::Service(failure.line());
        let client = match self.client.take() {
            Some(client) => client,
            None => connect(sender).await.map_err(|failure| said(&failure))?,
        };
        let verdict = match self.desk.mailbox.fetch(message).await? {
            Content::File(bytes) => plan_file::send(&client, &bytes).await.map_err(|failure| said(&failure))?,
            Content::TooLarge => too_large(),
        };
        self.client = Some(client);
        Ok(verdict)
    }
}

/// A connection on which this program acts for a sender. Its token is read anew each time.
async fn connect(sender: &Sender) -> Result<Client, Failure> {
    let token = sender.token_file.as_deref().map(person_token::read).transpose()?;
    let client = Client::connect(sender.connect.clone()).await?.as_person(&sender.caller());
    match token {
        Some(token) => person_token::given(client, &token),
        None => Ok(client),
    }
}

/// The code of a verdict that will stand. After CPF05 the service does not hold the whole file.
fn durable(verdict: &v1::FileVerdict) -> Result<&'static str, Kept> {
    match plan_file::known(verdict.code) {
        Some((v1::FileCode::Cpf05, _)) => Err(Kept::NotStored(verdict.reason.clone())),
        Some((
            v1::FileCode::Cpf01 | v1::FileCode::Cpf02 | v1::FileCode::Cpf03 | v1::FileCode::Cpf04 | v1::FileCode::Cpf06,
            name,
        )) => Ok(name),
        Some((v1::FileCode::Unspecified, _)) | None => Err(Kept::Service("its verdict is not known".to_owned())),
    }
}

/// The service's own words for a file that is too large; this one was not sent there, because it was not read to its end.
fn too_large() -> v1::FileVerdict {
    v1::FileVerdict {
        created_at: Some(dates::now()),
        number: -1,
        processed: -1,
        code: v1::FileCode::Cpf01.into(),
        reason: "FILE_TOO_LARGE".to_owned(),
        words: "the file is larger than a plan file may be".to_owned(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verdict_that_stands_lets_a_message_go() {
        let verdict = |code: i32| v1::FileVerdict { code, ..Default::default() };
        for (code, name) in [(1, "CPF01"), (2, "CPF02"), (3, "CPF03"), (4, "CPF04"), (6, "CPF06")] {
            assert_eq!(durable(&verdict(code)).unwrap(), name);
        }
        assert!(matches!(durable(&verdict(5)), Err(Kept::NotStored(_))));
        for unknown in [0, 7, 99] {
            assert!(matches!(durable(&verdict(unknown)), Err(Kept::Service(_))), "{unknown}");
        }
    }
}
