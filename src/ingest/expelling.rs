//! Takes out the members that a person has decided on, through the pipeline like everything else that happens to a member.

use http::StatusCode;

use super::Ingest;
use super::events::Source;
use crate::conduct::ladder::Came;
use crate::event::{ActionKind, Answer};
use crate::fleet::removals::{Expelled, NotTaken, Order};

/// Members taken out in one go: events of one request are in memory together.
const TOGETHER: usize = 500;

impl Ingest {
    /// Asks for the removals of an order; durable when it returns. An order that comes again asks for nobody twice.
    ///
    /// # Errors
    /// When storage does not take it now: some may have been asked for.
    pub async fn expel(&self, order: &Order) -> Result<Expelled, NotTaken> {
        // It waits its turn instead of being refused: it was decided and confirmed.
        let _permit = self.permits.acquire().await.map_err(|_| NotTaken("the gateway stops".to_owned()))?;
        let mut expelled = Vec::with_capacity(order.who.len());
        for some in order.who.chunks(TOGETHER) {
            let events = some.iter().map(|who| Ok(order.event(who)));
            let taken = self.take(Source::Platform, events).await;
            for result in taken.map_err(|refusal| NotTaken(refusal.detail))? {
                expelled.push(match result {
                    Ok(answer) => came_of(&answer),
                    Err(refusal) if refusal.status == StatusCode::SERVICE_UNAVAILABLE => {
                        return Err(NotTaken(refusal.detail));
                    }
                    Err(refusal) => {
                        let why = refusal.detail;
                        tracing::warn!(
                            why,
                            "a member whom a person decided to take out cannot be: left alone"
                        );
                        None
                    }
                });
            }
        }
        Ok(expelled)
    }
}

fn came_of(answer: &Answer) -> Option<Came> {
    let asked = answer.actions.iter().find(|action| action.kind == ActionKind::Remove)?;
    Came::parse(&asked.state)
}
