//! Sends callbacks as the platform does: sealed, with a deadline, again when not answered 200, lost after the last try.
//!
//! Events wait in a bounded queue and so many are tried at once; which of them arrives first is not promised. A receiver that
//! is down for long loses events, and the ledger says which.
//! Deadlines and the spacing of tries pass in real time, whatever the simulated clock does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::clock::millis;
use super::crypto::Cipher;
use super::envelope::Envelope;
use super::events::{Injection, Pending};
use super::ledger::DeliveryEnd;
use super::world::World;
use super::{CallbackConfig, Shared};
use crate::client::{Call, Connection, Target};

/// Tries at once that the configuration cannot exceed.
const CONCURRENCY_MAX: usize = 4_096;
/// Connections kept open for the next delivery.
const IDLE_MAX: usize = 64;
/// How long one is kept; a receiver may close it from then on.
const IDLE_FOR: Duration = Duration::from_secs(2);

/// Says why a callback URL was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no such app.
    #[error("no app `{0}`")]
    App(String),
    /// Not a plain `http://` address.
    #[error("`{0}` is not an address of the form http://host:port/path")]
    Url(String),
    /// No answer within the deadline.
    #[error("the URL verification was not answered in time: {0}")]
    NoAnswer(String),
    /// Another status than 200.
    #[error("the URL verification was answered {0}")]
    Status(u16),
    /// Another body than the deciphered echo.
    #[error("the URL verification was answered with something other than the deciphered echostr")]
    Body,
}

/// Connections by address, newest last.
type Idle = std::sync::Mutex<Vec<(String, Instant, Connection)>>;

/// Sends what waits until aborted.
pub(super) async fn send_all(shared: Arc<Shared>) {
    let permits = Arc::new(Semaphore::new(CONCURRENCY_MAX));
    let idle = Arc::new(Idle::default());
    let mut sending = JoinSet::new();
    loop {
        while sending.try_join_next().is_some() {}
        let Some((pending, config)) = shared.with_quietly(next) else {
            shared.wake.notified().await;
            continue;
        };
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let (shared, idle) = (Arc::clone(&shared), Arc::clone(&idle));
        sending.spawn(async move {
            deliver(&shared, &idle, pending, &config).await;
            shared.with(|world| world.queue.in_flight -= 1);
            shared.wake.notify_one();
            drop(permit);
        });
    }
}

/// Takes the next one, if one may be begun.
fn next(world: &mut World) -> Option<(Pending, CallbackConfig)> {
    let config = &world.config.callbacks;
    if !config.is_running || world.queue.in_flight >= config.concurrency.max(1) {
        return None;
    }
    let pending = world.queue.waiting.pop_front()?;
    world.queue.in_flight += 1;
    Some((pending, world.config.callbacks.clone()))
}

async fn deliver(shared: &Shared, idle: &Idle, pending: Pending, config: &CallbackConfig) {
    let [hold, twice] =
        shared.with_quietly(|world| [world.wire_rng.random::<f64>(), world.wire_rng.random::<f64>()]);
    if hold < config.reorder_share {
        sleep(Duration::from_millis(config.reorder_hold_ms)).await;
    }
    deliver_once(shared, idle, &pending, config).await;
    if twice < config.duplicate_share && pending.injection.is_none() {
        deliver_once(shared, idle, &pending, config).await;
    }
}

async fn deliver_once(shared: &Shared, idle: &Idle, pending: &Pending, config: &CallbackConfig) {
    let url = shared.look(|world| world.apps[pending.app].config.callback_url.clone());
    let target = url.as_deref().map(|url| target(url, config.deadline_ms));
    let Some(Ok(target)) = target else {
        shared.with(|world| world.delivery_ended(pending, Vec::new(), 0, DeliveryEnd::Lost));
        return;
    };
    let retries = if pending.injection.is_some() { 0 } else { config.retries };
    let (mut statuses, mut latency_ms, mut call) = (Vec::new(), 0, None);
    for attempt in 0..=retries {
        if attempt > 0 && config.retry_spacing_ms > 0 {
            sleep(Duration::from_millis(config.retry_spacing_ms)).await;
        }
        if call.is_none() || config.retry_reencrypts {
            call = Some(shared.with_quietly(|world| seal(world, pending, &target.url, config.envelope)));
        }
        let Some(call) = &call else { break };
        let began = Instant::now();
        let status = post(&target, idle, call, config.deadline_ms).await;
        latency_ms = millis(began.elapsed());
        let is_good = status == "200";
        statuses.push(status);
        if is_good {
            break;
        }
    }
    let is_good = statuses.last().is_some_and(|status| status == "200");
    let end = match (pending.injection, is_good) {
        (None, true) => DeliveryEnd::Delivered,
        (None, false) => DeliveryEnd::Lost,
        (Some(_), true) => DeliveryEnd::InjectedAccepted,
        (Some(_), false) => DeliveryEnd::InjectedRefused,
    };
    shared.with(|world| world.delivery_ended(pending, statuses, latency_ms, end));
}

/// A receiver, and what joins a query to its address.
struct Receiver {
    url: String,
    target: Arc<Target>,
}

fn target(url: &str, deadline_ms: u64) -> Result<Receiver, VerifyError> {
    let mut target = Target::new(url, None).map_err(|_| VerifyError::Url(url.to_owned()))?;
    target.timeout = Duration::from_millis(deadline_ms);
    Ok(Receiver { url: url.to_owned(), target: Arc::new(target) })
}

/// Tries once; a status, `timeout` or `broken`.
async fn post(receiver: &Receiver, idle: &Idle, call: &Call, deadline_ms: u64) -> String {
    let kept = {
        let mut idle = idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        idle.retain(|(_, since, _)| since.elapsed() < IDLE_FOR);
        let place = idle.iter().rposition(|(url, ..)| *url == receiver.url);
        place.map(|place| idle.remove(place).2)
    };
    let mut connection = kept.unwrap_or_else(|| receiver.target.connection());
    // The deadline holds for the whole try; the connection is cut with it.
    match timeout(Duration::from_millis(deadline_ms), connection.try_once(call)).await {
        Ok(Ok(reply)) => {
            let mut idle = idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push((receiver.url.clone(), Instant::now(), connection));
            }
            reply.status.to_string()
        }
        Ok(Err(error)) if error.starts_with("no answer") => "timeout".to_owned(),
        Ok(Err(_)) => "broken".to_owned(),
        Err(_) => "timeout".to_owned(),
    }
}

/// What goes between an address and the query: an address may have a query of its own, or no path.
fn joint(url: &str) -> &'static str {
    let path = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).map(|(_, path)| path);
    match path {
        Some(path) if path.contains('?') => "&",
        Some(path) if !path.is_empty() && !path.ends_with('/') => "?",
        Some(_) | None => "/?",
    }
}

/// The query of a callback, percent-encoded once.
fn query(url: &str, signature: &str, timestamp: &str, nonce: &str) -> String {
    let joint = joint(url);
    let mut query = form_urlencoded::Serializer::for_suffix(joint.to_owned(), joint.len());
    query
        .append_pair("msg_signature", signature)
        .append_pair("timestamp", timestamp)
        .append_pair("nonce", nonce);
    query.finish()
}

/// Seals a document for its app, rightly or as its injection wants it.
fn seal(world: &mut World, pending: &Pending, url: &str, envelope: Envelope) -> Call {
    let random: [u8; 16] = world.wire_rng.random();
    let nonce = world.wire_rng.random_range(100_000_000..2_000_000_000_u32).to_string();
    let timestamp = (world.now_ms() / 1_000).to_string();
    let app = &world.apps[pending.app];
    let document = pending.event.document.as_bytes();
    let encrypt = spoil(&app.cipher, document, random, pending.injection);
    let mut signature = app.cipher.sign(&timestamp, &nonce, &encrypt);
    let mut body = envelope.wrap(&world.config.corpid, app.config.agentid, &encrypt);
    match pending.injection {
        Some(Injection::BadSignature) => signature = app.cipher.sign(&nonce, &signature, &encrypt),
        Some(Injection::NotAnEnvelope) => "not an envelope".clone_into(&mut body),
        Some(
            Injection::WrongReceiveid
            | Injection::BadPadding
            | Injection::DeclaredTooLong
            | Injection::BrokenBlocks
            | Injection::NotBase64,
        )
        | None => {}
    }
    Call::post(query(url, &signature, &timestamp, &nonce), envelope.content_type(), body)
}

fn spoil(cipher: &Cipher, document: &[u8], random: [u8; 16], injection: Option<Injection>) -> String {
    match injection {
        None | Some(Injection::BadSignature | Injection::NotAnEnvelope) => cipher.encrypt(document, random),
        Some(Injection::WrongReceiveid) => {
            cipher.for_receiveid("ww0000000000000000").encrypt(document, random)
        }
        Some(Injection::BadPadding) => cipher.encrypt_padded([&random[..], &[0; 48]].concat()),
        Some(Injection::DeclaredTooLong) => {
            let declared = u32::MAX.to_be_bytes();
            // 16 + 4 + 11 bytes and one of padding.
            cipher.encrypt_padded([&random[..], &declared, b"hello world", &[1]].concat())
        }
        Some(Injection::BrokenBlocks) => "YWJjZGVmZw==".to_owned(),
        Some(Injection::NotBase64) => "%%%".to_owned(),
    }
}

impl World {
    /// Takes the callback that has waited longest out of the queue, sealed for `url` as it would have been sent: for who
    /// sends callbacks at a pace of its own while this simulator holds them back. What becomes of it is not in the ledger.
    pub(crate) fn take_sealed(&mut self, url: &str) -> Option<Call> {
        let pending = self.queue.waiting.pop_front()?;
        Some(seal(self, &pending, url, self.config.callbacks.envelope))
    }
}

impl Shared {
    /// Verifies a URL as on saving the settings, and sends an app's events there from then on.
    pub(super) async fn register_callback(&self, app: &str, url: &str) -> Result<(), VerifyError> {
        let index =
            self.look(|world| world.app_named(app)).ok_or_else(|| VerifyError::App(app.to_owned()))?;
        let deadline_ms = self.look(|world| world.config.callbacks.verify_deadline_ms);
        let receiver = target(url, deadline_ms)?;
        let (echo, call) = self.with_quietly(|world| challenge(world, index, url));
        let answered = receiver.target.connection().try_once(&call).await;
        let reply = answered.map_err(VerifyError::NoAnswer)?;
        if reply.status != 200 {
            return Err(VerifyError::Status(reply.status));
        }
        if reply.body != echo.as_bytes() {
            return Err(VerifyError::Body);
        }
        self.with(|world| world.apps[index].config.callback_url = Some(url.to_owned()));
        Ok(())
    }
}

/// The GET of a URL verification and what it must be answered with.
fn challenge(world: &mut World, app: usize, url: &str) -> (String, Call) {
    let random: [u8; 16] = world.wire_rng.random();
    let echo = world.wire_rng.random_range(1_000_000_000_000_000_000..u64::MAX).to_string();
    let nonce = world.wire_rng.random_range(100_000_000..2_000_000_000_u32).to_string();
    let timestamp = (world.now_ms() / 1_000).to_string();
    let cipher = &world.apps[app].cipher;
    let encrypt = cipher.encrypt(echo.as_bytes(), random);
    let signature = cipher.sign(&timestamp, &nonce, &encrypt);
    let mut query = query(url, &signature, &timestamp, &nonce);
    query.push_str("&echostr=");
    query.extend(form_urlencoded::byte_serialize(encrypt.as_bytes()));
    let call = Call::get(query);
    (echo, call)
}
