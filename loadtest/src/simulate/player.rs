//! Carries out an actor's deeds: waits, sends the event, reads the answer, tells what was seen.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::cast::{Actor, Deed, DeedKind};
use super::snapshot::{Observation, Seen};
use crate::client::{Call, Connection, Hurdles, Target};
use crate::units::rfc3339;
use crate::wire::{self, Answer, Event, EventType};

/// One actor's connection to the gateway.
#[derive(Debug)]
pub(super) struct Player {
    connection: Connection,
    account: String,
    /// Prefix of the event ids.
    run: String,
    observations: mpsc::Sender<Observation>,
    end: Instant,
}

impl Player {
    pub(super) fn new(
        target: &Arc<Target>,
        account: &str,
        run: String,
        observations: mpsc::Sender<Observation>,
        end: Instant,
    ) -> Self {
        Self { connection: target.connection(), account: account.to_owned(), run, observations, end }
    }

    /// Plays until the end, or until nobody listens any more.
    pub(super) async fn play(mut self, mut actor: impl Actor) {
        for number in 1_u64.. {
            let (pause, deed) = actor.next();
            let at = Instant::now() + pause;
            if at >= self.end {
                return;
            }
            sleep_until(at).await;
            let observation = self.carry_out(number, deed).await;
            if self.observations.send(observation).await.is_err() {
                return;
            }
        }
    }

    async fn carry_out(&mut self, number: u64, deed: Deed) -> Observation {
        let id = format!("{}-{number}", self.run);
        let kind = match deed.kind {
            DeedKind::Join => EventType::MemberJoined,
            DeedKind::Leave => EventType::MemberLeft,
            DeedKind::Talk | DeedKind::Question | DeedKind::Staff | DeedKind::Advert => EventType::Message,
        };
        let event = Event {
            id: &id,
            account: &self.account,
            group: &deed.group.group,
            kind,
            member: &deed.member,
            role: if deed.kind == DeedKind::Staff { "staff" } else { "customer" },
            text: (kind == EventType::Message).then_some(&deed.text),
            at: &rfc3339(SystemTime::now()),
        };
        let body = serde_json::to_vec(&event).expect("strings and enums always encode");
        let mut hurdles = Hurdles::default();
        let reply = self.connection.send(&Call::post(wire::EVENTS, wire::JSON, body), &mut hurdles).await;
        let seen = match reply {
            Ok(reply) => read(reply.status, &reply.body),
            Err(error) => Err(error.to_string()),
        };
        Observation { deed, seen, hurdles }
    }
}

fn read(status: u16, body: &[u8]) -> Result<Seen, String> {
    let start = || String::from_utf8_lossy(body).chars().take(300).collect::<String>();
    if !(200..300).contains(&status) {
        return Err(format!("status {status}: {}", start()));
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| format!("{error}: {}", start()))?;
    Ok(Seen {
        verdict: answer.verdict,
        matched: answer.hits.iter().map(|hit| hit.matched.clone().into_owned()).collect(),
        wordlists: answer.hits.iter().map(|hit| hit.wordlist.clone().into_owned()).collect(),
        actions: answer.actions.iter().map(|action| action.kind.clone().into_owned()).collect(),
    })
}
