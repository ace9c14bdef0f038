//! One connection of a run: takes its turn, sends, checks, sends again what was refused for now.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::check::{Checked, Mode, check};
use super::pace::{Pace, Slot};
use super::plan::{Item, Planner};
use super::tally::Tally;
use crate::client::{Call, Connection, Hurdles};
use crate::units::rfc3339;
use crate::wire;

/// How long to wait before lines refused for now are sent again.
const LINE_RETRY: Duration = Duration::from_millis(50);

/// One connection with its own events and its own counts.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pace: Arc<Pace>,
    pub(super) planner: Planner,
    pub(super) connection: Connection,
    pub(super) mode: Mode,
    /// Whether bodies are looked at, or only status codes (a server that is not a gateway).
    pub(super) reads_answers: bool,
    /// How long one request is tried before its events are given up.
    pub(super) gives_up_after: Duration,
}

impl Worker {
    /// Sends until the run is over.
    pub(super) async fn run(mut self) -> Tally {
        let mut tally = Tally::default();
        while let Some(slot) = self.pace.next().await {
            let at = rfc3339(SystemTime::now());
            let batch: Vec<Item> = (0..slot.events).map(|_| self.planner.next(&at)).collect();
            self.request(batch, slot, &mut tally).await;
        }
        tally.connections_opened = self.connection.opened();
        tally
    }

    async fn request(&mut self, mut batch: Vec<Item>, slot: Slot, tally: &mut Tally) {
        let began = Instant::now();
        while !batch.is_empty() {
            let call = Call::post(wire::EVENTS, self.mode.content_type(), self.mode.encode(&batch));
            let mut hurdles = Hurdles::default();
            let reply = self.connection.send(&call, &mut hurdles).await;
            tally.requests += 1;
            tally.hurdles.add(hurdles);
            // After a 429 nothing was done; after anything else the first try may have been counted.
            if hurdles.broken + hurdles.unavailable > 0 {
                for item in &mut batch {
                    item.maybe_counted = true;
                }
            }
            batch = match reply {
                Ok(reply) if (200..300).contains(&reply.status) => {
                    *tally.http.entry(reply.status).or_default() += 1;
                    let again = self.judge(batch, &reply.body, tally);
                    if !again.is_empty() {
                        if began.elapsed() > self.gives_up_after {
                            return tally.wrong(format!("{}: line refused again and again", again[0].id));
                        }
                        sleep(LINE_RETRY).await;
                    }
                    again
                }
                Ok(reply) => {
                    *tally.http.entry(reply.status).or_default() += 1;
                    let start: String = String::from_utf8_lossy(&reply.body).chars().take(300).collect();
                    return tally.wrong(format!("{}: status {}: {start}", batch[0].id, reply.status));
                }
                Err(error) => return tally.wrong(format!("{}: {error}", batch[0].id)),
            };
        }
        tally.latency.record(slot.intended.elapsed());
        tally.service.record(began.elapsed());
    }

    /// Books the answers and gives back the events that have to be sent again.
    fn judge(&mut self, batch: Vec<Item>, body: &[u8], tally: &mut Tally) -> Vec<Item> {
        if !self.reads_answers {
            tally.events += u64::try_from(batch.len()).unwrap_or_default();
            return Vec::new();
        }
        let pieces = match self.mode.split(body) {
            Ok(pieces) if pieces.len() == batch.len() => pieces,
            Ok(pieces) => {
                tally.wrong(format!("{}: {} answers to {} events", batch[0].id, pieces.len(), batch.len()));
                return Vec::new();
            }
            Err(error) => {
                tally.wrong(format!("{}: unreadable answer: {error}", batch[0].id));
                return Vec::new();
            }
        };
        let mut again = Vec::new();
        for (item, piece) in batch.into_iter().zip(pieces) {
            match check(&item, piece) {
                Checked::Answered(answer) => {
                    tally.answered(&item, &answer);
                    self.planner.answered(item);
                }
                Checked::Again => {
                    tally.lines_retried += 1;
                    again.push(Item { maybe_counted: true, ..item });
                }
                Checked::Wrong(why) => tally.wrong(why),
            }
        }
        again
    }
}
