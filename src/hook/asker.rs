//! Asks the hook, a few questions at a time, behind a circuit breaker.
//!
//! Not for: asking twice. A question lost with the process is found again by its mark in the journal, where an answer
//! must come.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::request::{self, NoAnswer};
use super::{Config, Fail, Job, LateVerdicts};
use crate::clock::{Clock, Stopwatch};
use crate::event::{GroupEvent, Opinion};
use crate::outbox::breaker::{Breaker, Circuit, Gate, Health};
use crate::tasks::Tasks;
use crate::telemetry::metrics::{self, CircuitState, HookDrop, HookOutcome};
use crate::webhooks::SignKey;
use crate::webhooks::address::AddressRules;
use crate::webhooks::client::{CallError, ClientConfig, HttpClient};

/// How long a connection waits for its next use; below the keep-alive of common servers.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// How often a late verdict is brought again that storage could not take.
const BRING_TRIES: u32 = 6;
/// Wait before the second try; doubles from there.
const BRING_DELAY: Duration = Duration::from_millis(500);

/// Who asks; runs until the gateway stops.
pub struct Asker {
    jobs: mpsc::Receiver<Job>,
    desk: Arc<Desk>,
}

/// What asking needs, shared by the calls under way.
struct Desk {
    url: Uri,
    key: SignKey,
    config: Config,
    client: HttpClient,
    breaker: Mutex<Breaker>,
    slots: Arc<Semaphore>,
    clock: Clock,
}

impl Asker {
    pub(super) fn new(
        url: Uri,
        key: SignKey,
        config: Config,
        clock: Clock,
        jobs: mpsc::Receiver<Job>,
    ) -> Self {
        let client = HttpClient::new(&ClientConfig {
            connect_timeout: config.timeout,
            total_timeout: config.timeout,
            idle_timeout: IDLE_TIMEOUT,
            reply_bytes_max: config.reply_bytes_max,
            addresses: AddressRules::new(config.allow_private.clone()),
        });
        let breaker = Mutex::new(Breaker::new(config.breaker.clone()));
        let slots = Arc::new(Semaphore::new(config.concurrency.get().min(Semaphore::MAX_PERMITS)));
        Self { jobs, desk: Arc::new(Desk { url, key, config, client, breaker, slots, clock }) }
    }

    /// Asks until the gateway stops; late verdicts go to `late`.
    pub async fn run(mut self, late: Arc<dyn LateVerdicts>, tasks: Tasks) {
        loop {
            let next = async {
                let slot = Arc::clone(&self.desk.slots).acquire_owned().await.ok()?;
                Some((slot, self.jobs.recv().await?))
            };
            // A slot or a question taken when the stop comes is dropped with it: both are found again by their marks.
            let (slot, job) = tokio::select! {
                next = next => match next { Some(next) => next, None => return },
                () = tasks.stopping() => return,
            };
            metrics::hook_queue(self.jobs.len());
            let (desk, late) = (Arc::clone(&self.desk), Arc::clone(&late));
            match self.desk.admit(&job) {
                Ok(()) => {
                    tasks.spawn("hook_question", async move { desk.settle(job, &*late, slot).await });
                }
                Err(why) => {
                    metrics::hook_dropped(why);
                    if let Some(event) = job.missed(self.desk.config.fail, self.desk.clock.now_ms()) {
                        tasks.spawn("hook_late", async move { bring(&*late, event, slot).await });
                    }
                }
            }
        }
    }
}

impl Desk {
    /// Says whether a question may be asked now.
    fn admit(&self, job: &Job) -> Result<(), HookDrop> {
        let waited_ms = job.latency_ms(self.clock.now_ms());
        if u128::from(waited_ms) > self.config.expiry.as_millis() {
            return Err(HookDrop::Expired);
        }
        let mut breaker = self.breaker.lock();
        match breaker.gate(self.clock.steady_us()) {
            Gate::Open => {}
            Gate::Canary => breaker.canary_sent(),
            Gate::Shut(_) => return Err(HookDrop::CircuitOpen),
        }
        metrics::hook_circuit(state_of(breaker.circuit()));
        Ok(())
    }

    /// Asks one question and tells whoever should know.
    async fn settle(&self, job: Job, late: &dyn LateVerdicts, slot: OwnedSemaphorePermit) {
        let watch = Stopwatch::start();
        let request = request::request(&self.url, &self.key, &job.question, self.clock.now_ms());
        let reply = self.client.call(request).await;
        let now_ms = self.clock.now_ms();
        let (outcome, health, opinion) = match reply {
            Ok(reply) => weigh(request::read(&reply, job.latency_ms(now_ms))),
            Err(CallError::Refused(refused)) => {
                tracing::warn!(
                    "the hook's address is {}: add {} to hook.allow_private if it is meant",
                    refused.why,
                    refused.address
                );
                (HookOutcome::Unreached, Health::Bad, None)
            }
            Err(CallError::Connect(_)) => (HookOutcome::Unreached, Health::Bad, None),
            Err(CallError::Lost(_)) => (HookOutcome::Lost, Health::Bad, None),
        };
        metrics::hook_asked(outcome, watch.elapsed());
        self.record(health);
        let left = match opinion {
            Some(opinion) => job.told(opinion),
            None => job.missed(self.config.fail, now_ms),
        };
        if let Some(event) = left {
            bring(late, event, slot).await;
        }
    }

    fn record(&self, health: Health) {
        let mut breaker = self.breaker.lock();
        let before = breaker.circuit();
        breaker.record(self.clock.steady_us(), health);
        let after = breaker.circuit();
        metrics::hook_circuit(state_of(after));
        if before != after && after == Circuit::Open {
            let fails = match self.config.fail {
                Fail::Open => "our own verdicts stand",
                Fail::Closed => "what it should see goes to review",
            };
            tracing::warn!("the verdict hook does not answer: nothing is asked for a while, and {fails}");
        } else if before != after && after == Circuit::Closed {
            tracing::info!("the verdict hook answers again");
        }
    }
}

fn weigh(answer: Result<Opinion<'static>, NoAnswer>) -> (HookOutcome, Health, Option<Opinion<'static>>) {
    match answer {
        Ok(opinion) => (HookOutcome::Answered, Health::Good, Some(opinion)),
        Err(NoAnswer::Refused(_)) => (HookOutcome::Refused, Health::Good, None),
        Err(NoAnswer::Broken(status)) => {
            tracing::debug!(status = status.as_u16(), "the verdict hook refused a question");
            (HookOutcome::Refused, Health::Bad, None)
        }
        Err(NoAnswer::Unreadable) => (HookOutcome::Unreadable, Health::Bad, None),
    }
}

/// Brings a late verdict home. The slot is held meanwhile: when storage cannot take verdicts, none are asked for.
async fn bring(late: &dyn LateVerdicts, event: GroupEvent<'static>, _slot: OwnedSemaphorePermit) {
    let mut delay = BRING_DELAY;
    for attempt in 1..=BRING_TRIES {
        match late.take(event.clone()).await {
            Ok(()) => return,
            Err(error) if attempt == BRING_TRIES => {
                tracing::error!(%error, event.id = %event.id, "a late verdict is lost: storage does not take it");
            }
            Err(_) => tokio::time::sleep(delay).await,
        }
        delay *= 2;
    }
}

fn state_of(circuit: Circuit) -> CircuitState {
    match circuit {
        Circuit::Closed => CircuitState::Closed,
        Circuit::HalfOpen => CircuitState::HalfOpen,
        Circuit::Open => CircuitState::Open,
    }
}
