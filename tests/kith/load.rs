//! Load from several clients at once, each of which remembers what it sent and what was acknowledged. After the server
//! died and came back, each sends the same again: what was acknowledged must be repeated with the same sequence, and
//! what came through must be a prefix of what was attempted.

use kith_api::client::Client;
use kith_api::v1;
use kith_domain::NhsNumber;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::harness::build;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, TRUSTS};

/// Plan events on their way at once in one stream.
const WINDOW: usize = 32;
/// Numbers of one lane: each lane has children of its own.
const LANE_NUMBERS: u32 = 20_000;

/// One change, as sent and as sent again.
#[derive(Clone)]
pub enum Item {
    Plan(Box<v1::SubmitEventsRequest>),
    Record(Box<v1::RecordRequest>),
    Close(Box<v1::CloseRequest>),
    CheckIn(Box<v1::CheckInRequest>),
}

/// A change and the sequence of its acknowledgement.
pub struct Sent {
    pub item: Item,
    pub sequence: Option<u64>,
}

/// An answer that a client received.
#[derive(Debug, Clone)]
pub struct Received {
    pub reference: String,
    pub organisation: &'static str,
    pub number: NhsNumber,
    pub request_id: String,
}

/// What a lane does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plans,
    Recordings,
    CheckIns,
    Questions,
}

/// One client that does one thing after another.
pub struct Lane {
    kind: Kind,
    organisation: &'static str,
    first_number: u32,
    made: u32,
    open: Option<v1::RecordRequest>,
    /// Sent since the last start, in order.
    pub sent: Vec<Sent>,
    /// Everything acknowledged before that.
    pub settled: Vec<Sent>,
    /// Answers received, ever.
    pub received: Vec<Received>,
}

/// Plans of every authority, recordings, check-ins and questions of every trust.
pub fn lanes() -> Vec<Lane> {
    let plans = AUTHORITIES.iter().map(|code| (Kind::Plans, *code));
    let trusts = [Kind::Recordings, Kind::CheckIns, Kind::Questions];
    let others = trusts.into_iter().zip(TRUSTS).chain([(Kind::Questions, TRUSTS[0])]);
    let all = plans.chain(others).zip(0_u32..);
    all.map(|((kind, organisation), index)| Lane {
        kind,
        organisation,
        first_number: index * LANE_NUMBERS,
        made: 0,
        open: None,
        sent: Vec::new(),
        settled: Vec::new(),
        received: Vec::new(),
    })
    .collect()
}

impl Lane {
    /// Runs until the connection fails.
    pub async fn run(&mut self, client: Client) {
        // An error is the server's death; what it cut off is sent again.
        let _ended = match self.kind {
            Kind::Plans => self.stream(&client).await,
            Kind::Recordings | Kind::CheckIns => self.changes(&client).await,
            Kind::Questions => self.questions(&client).await,
        };
    }

    fn number(&self) -> NhsNumber {
        build::nhs(self.first_number + self.made % LANE_NUMBERS)
    }

    fn next(&mut self) -> Item {
        self.made += 1;
        let number = self.number();
        let name = format!("{}-{}", self.organisation, self.made);
        match self.kind {
            Kind::Plans => Item::Plan(Box::new(build::event(build::plan(number, &name)))),
            Kind::CheckIns => Item::CheckIn(Box::new(build::check_in(self.organisation, number, &name))),
            Kind::Recordings | Kind::Questions => match self.open.take() {
                Some(record) => Item::Close(Box::new(build::close(&record, v1::PresentationOutcome::Discharged))),
                None => {
                    let record = build::record(self.organisation, number, &name);
                    self.open = Some(record.clone());
                    Item::Record(Box::new(record))
                }
            },
        }
    }

    async fn stream(&mut self, client: &Client) -> Result<(), Status> {
        let (events, stream) = mpsc::channel(WINDOW);
        let mut verdicts = client.plans().submit_events(ReceiverStream::new(stream)).await?.into_inner();
        let mut answered = self.sent.len();
        loop {
            while self.sent.len() - answered < WINDOW {
                let item = self.next();
                let Item::Plan(event) = item.clone() else { panic!("plans send plan events") };
                self.sent.push(Sent { item, sequence: None });
                if events.send(*event).await.is_err() {
                    return Ok(());
                }
            }
            let Some(verdict) = verdicts.message().await? else { return Ok(()) };
            let Some(ack) = acknowledged(verdict) else { return Ok(()) };
            self.sent[answered].sequence = Some(ack.sequence);
            answered += 1;
        }
    }

    async fn changes(&mut self, client: &Client) -> Result<(), Status> {
        loop {
            let item = self.next();
            self.sent.push(Sent { item: item.clone(), sequence: None });
            let ack = self.change(client, item).await?;
            self.sent.last_mut().unwrap().sequence = Some(ack.sequence);
        }
    }

    async fn change(&mut self, client: &Client, item: Item) -> Result<v1::Acknowledgement, Status> {
        match item {
            Item::Plan(_) => panic!("plan events go through a stream"),
            Item::Record(request) => {
                let response = client.presentations().record(client.request(*request)).await?.into_inner();
                Ok(response.acknowledgement.unwrap())
            }
            Item::Close(request) => {
                let response = client.presentations().close(client.request(*request)).await?.into_inner();
                Ok(response.acknowledgement.unwrap())
            }
            Item::CheckIn(request) => loop {
                let response = client.lookup().check_in(client.request((*request).clone())).await?.into_inner();
                self.note(&request.lookup.clone().unwrap(), response.answer);
                match response.recording.unwrap() {
                    v1::check_in_response::Recording::Recorded(ack) => return Ok(ack),
                    v1::check_in_response::Recording::NotRecorded(_) => {}
                }
            },
        }
    }

    async fn questions(&mut self, client: &Client) -> Result<(), Status> {
        loop {
            self.made += 1;
            let request = build::lookup(self.organisation, build::nhs(self.made % LANE_NUMBERS));
            let response = client.lookup().lookup(client.request(request.clone())).await?.into_inner();
            self.note(&request, response.answer);
        }
    }

    fn note(&mut self, request: &v1::LookupRequest, answer: Option<v1::Answer>) {
        let Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(digits)) }) = &request.subject else {
            panic!("load asks by NHS number");
        };
        self.received.push(Received {
            reference: answer.unwrap().audit_reference,
            organisation: self.organisation,
            number: NhsNumber::parse(digits).unwrap(),
            request_id: request.request_id.clone(),
        });
    }

    /// Sends everything since the last start again, in order, and holds the verdicts against what was acknowledged.
    /// Gives how many had come through without an acknowledgement.
    pub async fn verify(&mut self, server: &Server) -> usize {
        let client = server.client(self.organisation).await;
        let items: Vec<Item> = self.sent.iter().map(|sent| sent.item.clone()).collect();
        let acks = self.again(&client, items).await;
        let mut missing = None;
        let (mut last, mut beyond) = (0, 0);
        for (at, (sent, ack)) in self.sent.iter_mut().zip(&acks).enumerate() {
            if let Some(first) = sent.sequence {
                assert!(ack.repeated, "LOST: {} change {at} was acknowledged as {first}", self.organisation);
                assert_eq!(ack.sequence, first, "{} change {at} has another sequence", self.organisation);
            }
            match (ack.repeated, missing) {
                (false, _) => missing = missing.or(Some(at)),
                (true, None) => beyond += usize::from(sent.sequence.is_none()),
                (true, Some(hole)) => panic!("HOLE: {} recovered change {at}, not {hole}", self.organisation),
            }
            assert!(ack.sequence > last, "{} change {at} is out of order", self.organisation);
            last = ack.sequence;
            sent.sequence = Some(ack.sequence);
        }
        self.settled.append(&mut self.sent);
        beyond
    }

    /// Sends settled changes again: all must be repeated with their first sequence.
    pub async fn verify_settled(&mut self, server: &Server, every: usize) {
        let client = server.client(self.organisation).await;
        let chosen: Vec<usize> = (0..self.settled.len()).step_by(every).collect();
        let items = chosen.iter().map(|at| self.settled[*at].item.clone()).collect();
        let acks = self.again(&client, items).await;
        for (at, ack) in chosen.into_iter().zip(acks) {
            let first = self.settled[at].sequence.unwrap();
            assert!(ack.repeated && ack.sequence == first, "LOST: {} settled change {at}", self.organisation);
        }
    }

    async fn again(&mut self, client: &Client, items: Vec<Item>) -> Vec<v1::Acknowledgement> {
        let mut acks = Vec::with_capacity(items.len());
        if self.kind == Kind::Plans {
            let events: Vec<_> = items.into_iter().map(plan_of).collect();
            let stream = client.plans().submit_events(tokio_stream::iter(events)).await.unwrap();
            let mut verdicts = stream.into_inner();
            while let Some(verdict) = verdicts.message().await.unwrap() {
                acks.push(acknowledged(verdict).expect("the disk takes writes again"));
            }
            return acks;
        }
        for item in items {
            acks.push(self.change(client, item).await.unwrap());
        }
        acks
    }

    /// The last change acknowledged before the death is shown to whoever asks.
    pub async fn verify_shown(&mut self, server: &Server) {
        let Some(Item::Plan(event)) = self.settled.last().map(|sent| sent.item.clone()) else { return };
        let Some(v1::submit_events_request::Item::Event(event)) = event.item else { return };
        let client = server.client(TRUSTS[0]).await;
        let request = v1::LookupRequest { subject: event.subject, ..build::lookup(TRUSTS[0], build::nhs(0)) };
        let answer = client.lookup().lookup(client.request(request)).await.unwrap().into_inner().answer.unwrap();
        assert_eq!(answer.plans.unwrap().outcome(), v1::Outcome::Held, "an acknowledged plan is not shown");
    }
}

fn plan_of(item: Item) -> v1::SubmitEventsRequest {
    match item {
        Item::Plan(event) => *event,
        Item::Record(_) | Item::Close(_) | Item::CheckIn(_) => panic!("plans send plan events"),
    }
}

/// The acknowledgement; none when the disk takes no writes and the event is to be sent again.
fn acknowledged(verdict: v1::SubmitEventsResponse) -> Option<v1::Acknowledgement> {
    match verdict.verdict.unwrap() {
        v1::submit_events_response::Verdict::Acknowledgement(ack) => Some(ack),
        v1::submit_events_response::Verdict::Refusal(refusal) if refusal.retry => None,
        v1::submit_events_response::Verdict::Refusal(refusal) => panic!("{}: {}", refusal.reason, refusal.words),
    }
}

/// Runs every lane beside the others until `until` is done; then `end` kills the server, which ends the lanes.
pub async fn run(lanes: &mut Vec<Lane>, server: Server, until: impl Future<Output = ()>, end: impl FnOnce(Server)) {
    let mut running = Vec::new();
    for mut lane in std::mem::take(lanes) {
        let client = server.client(lane.organisation).await;
        running.push(tokio::spawn(async move {
            lane.run(client).await;
            lane
        }));
    }
    until.await;
    // It waits for the process: not on a thread that the lanes run on.
    tokio::task::block_in_place(|| end(server));
    for lane in running {
        lanes.push(lane.await.unwrap());
    }
}
