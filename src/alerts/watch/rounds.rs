//! Rounds: what is looked at again and again, and what falls due.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::usual::WEEKS;
use super::{Found, Lapse, cleared, is_looked_for, place, raised, subject};
use crate::alerts::baseline::{Counted, Past, Unusual, Usual, WEEKS_MIN, Week};
use crate::alerts::episode::{About, Input, Key, Kind, Place, Snapshot};
use crate::alerts::follower::{Memory, blocking};
use crate::alerts::terms::Terms;
use crate::alerts::{Parts, millis, unanswered, words};
use crate::event::HOUR_MS;
use crate::storage::{Change, Counters, DeliveryFilter, DeliveryState, StorageError, Totals};

/// How often what is not urgent and costs more is looked at, in milliseconds.
const SLOW_MS: i64 = 10 * 60_000;
/// Deliveries of an account that are counted; a count that large is as bad as any more.
const DELIVERIES_MAX: usize = 1_000;
/// Sends that are looked at which wait for a person.
const UNCONFIRMED_MAX: usize = 10_000;
/// An account in which at least so much happened at this hour in each of the last weeks is never quiet.
const ALWAYS_MIN: u64 = 10;
/// Questions that are counted.
const QUESTIONS_MAX: usize = 10_000;
/// Groups read at once.
const GROUPS_PAGE: usize = 1_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What holds now, by subject.
type Holding = BTreeMap<String, (Found, Place, Terms)>;

/// When each round was made last.
#[derive(Debug)]
pub(in crate::alerts) struct Rounds {
    /// In milliseconds since the epoch, as the others.
    quick: i64,
    slow: i64,
    hourly: i64,
    /// Accounts that said nothing when they were looked at last.
    mute: BTreeMap<String, Lapse>,
}

impl Rounds {
    /// The quick round comes at once, the others after a while: a start has enough to do.
    pub(in crate::alerts) fn new(now_ms: i64) -> Self {
        let minutes = |minutes: i64| now_ms + minutes * 60_000;
        Self {
            quick: i64::MIN,
            slow: minutes(1).saturating_sub(SLOW_MS),
            hourly: minutes(5).saturating_sub(HOUR_MS),
            mute: BTreeMap::new(),
        }
    }

    /// Makes the rounds whose time has come, and deals with what has fallen due.
    pub(in crate::alerts) async fn go(
        &mut self,
        parts: &Arc<Parts>,
        memory: &Arc<Mutex<Memory>>,
    ) -> Result<(), StorageError> {
        let now_ms = parts.clock.now_ms();
        let mut round = Round { parts, now_ms, inputs: Vec::new() };
        let is_quick = now_ms.saturating_sub(self.quick) >= millis(parts.config.watch.look);
        let is_slow = now_ms.saturating_sub(self.slow) >= SLOW_MS;
        if is_slow || self.quick == i64::MIN {
            round.silences(memory).await;
        }
        if is_quick {
            round.windows(memory).await?;
            round.silent_callbacks(&self.mute).await?;
            round.send_failures().await?;
            round.unanswered_questions().await?;
        }
        if is_slow {
            round.nearly_full().await?;
            round.gaps().await?;
        }
        let is_hourly = now_ms.saturating_sub(self.hourly) >= HOUR_MS;
        if is_hourly {
            self.mute = round.mute_accounts().await?;
            round.unconfirmed_sends().await?;
            round.dead_groups().await?;
            round.rules().await?;
        }
        let mut inputs = round.inputs;
        if parts.desk.next_due_ms().await.is_some_and(|due_ms| due_ms <= now_ms) {
            inputs.push(Input::Tick);
        }
        parts.desk.turn(inputs, Change::default()).await?;
        // Only now: after an error the same round is made again.
        for (is_made, last_ms) in
            [(is_quick, &mut self.quick), (is_slow, &mut self.slow), (is_hourly, &mut self.hourly)]
        {
            if is_made {
                *last_ms = now_ms;
            }
        }
        Ok(())
    }
}

/// One of them.
struct Round<'r> {
    parts: &'r Arc<Parts>,
    now_ms: i64,
    inputs: Vec<Input>,
}

impl Round<'_> {
    /// Says of a kind what holds, and that what is open and holds no more is clear.
    async fn settle(&mut self, kind: Kind, of: impl Fn(&Place) -> bool, holding: Holding) {
        let open = self.parts.desk.open_ones(|alert| alert.kind == kind && of(&alert.place)).await;
        let mut standing: BTreeMap<String, (Key, Place, u64, bool)> = BTreeMap::new();
        for Snapshot { about, place, cleared_ms, .. } in open {
            if let About::One { key, value, .. } = about {
                standing.insert(key.subject.to_string(), (key, place, value, cleared_ms.is_some()));
            }
        }
        for (subject, (found, place, terms)) in holding {
            let known = standing.remove(&subject);
            // The same again is no news: nothing is to be written.
            if !known.is_some_and(|(_, _, value, is_clear)| value == found.value && !is_clear) {
                self.inputs.push(raised(kind, subject, found, place, &terms, self.now_ms));
            }
        }
        for (key, place, _, is_clear) in standing.into_values() {
            if !is_clear {
                self.inputs.push(cleared(key, place, self.now_ms));
            }
        }
    }

    /// Reads when nobody watched which account: those hours say nothing of what is usual.
    async fn silences(&self, memory: &Arc<Mutex<Memory>>) {
        let mut silences = HashMap::new();
        let from_ms = self.now_ms - (WEEKS * 7 + 1) * DAY_MS;
        for account in self.parts.sights.accounts() {
            match self.parts.sights.unprotected(&account, from_ms, self.now_ms).await {
                Ok(times) => _ = silences.insert(account, times),
                Err(why) => tracing::warn!(account.id = account, why, "read when nobody watched an account"),
            }
        }
        memory.lock().looking.usuals.know_silences(silences);
    }

    /// Leaves, hits, negative messages: whether what is open still holds.
    async fn windows(&mut self, memory: &Arc<Mutex<Memory>>) -> Result<(), StorageError> {
        let open = self.parts.desk.open_ones(|alert| alert.kind.is_counted_by_minute()).await;
        let (memory, now_ms) = (Arc::clone(memory), self.now_ms);
        let again = move |parts: &Parts| {
            let looking = &mut memory.lock().looking;
            looking.windows.forget(now_ms);
            let mut found = Vec::new();
            for alert in open {
                if matches!(alert.about, About::One { .. }) {
                    let now = looking.look_again(parts, alert.kind, &alert.place, now_ms)?;
                    found.push((alert, now));
                }
            }
            Ok(found)
        };
        for (alert, now) in blocking(Arc::clone(self.parts), again).await? {
            let About::One { key, value, .. } = alert.about else { continue };
            let place = alert.place;
            match now {
                Some(found) if found.value == value && alert.cleared_ms.is_none() => {}
                Some(found) => {
                    let (account, group) = (place.account.as_deref(), place.group.as_deref());
                    let terms = self.parts.desk.terms(key.kind, account, group);
                    let subject = key.subject.to_string();
                    self.inputs.push(raised(key.kind, subject, found, place, &terms, now_ms));
                }
                None if alert.cleared_ms.is_none() => self.inputs.push(cleared(key, place, now_ms)),
                None => {}
            }
        }
        Ok(())
    }

    /// Accounts that nobody watches.
    async fn silent_callbacks(&mut self, mute: &BTreeMap<String, Lapse>) -> Result<(), StorageError> {
        let mut holding = Holding::new();
        for account in self.parts.sights.accounts() {
            let terms = self.parts.desk.terms(Kind::SilentCallback, Some(&account), None);
            let lapse = self.parts.sights.lapse(&account).or_else(|| mute.get(&account).cloned());
            let Some(lapse) = lapse.filter(|_| terms.on) else { continue };
            let minutes = self.now_ms.saturating_sub(lapse.since_ms).max(0).unsigned_abs() / 60_000;
            if minutes >= terms.threshold {
                let since = self.time_of_day(lapse.since_ms);
                let explanation = words::silent(&since, &lapse.zh, &lapse.en);
                // How long it lasts changes all the time; that it lasts is no news.
                let found = Found { value: 1, explanation };
                let place = Place { account: Some(account.clone()), ..Place::default() };
                holding.insert(account, (found, place, terms));
            }
        }
        self.settle(Kind::SilentCallback, |place| place.group.is_none(), holding).await;
        Ok(())
    }

    /// Groups of which something is not known, of accounts that are watched.
    async fn gaps(&mut self) -> Result<(), StorageError> {
        let gaps = blocking(Arc::clone(self.parts), |parts| {
            let mut gaps = Vec::new();
            let watched: Vec<String> = parts
                .sights
                .accounts()
                .into_iter()
                .filter(|account| parts.sights.lapse(account).is_none())
                .collect();
            groups(parts, &mut |row| {
                if watched.contains(&row.account)
                    && let Some(since_ms) = parts.sights.gap_since(&row.account, &row.group)
                {
                    gaps.push((row.account, row.group, since_ms));
                }
            })?;
            Ok(gaps)
        });
        let mut holding = Holding::new();
        for (account, group, since_ms) in gaps.await? {
            let terms = self.parts.desk.terms(Kind::SilentCallback, Some(&account), Some(&group));
            let minutes = self.now_ms.saturating_sub(since_ms).max(0).unsigned_abs() / 60_000;
            if terms.on && minutes >= terms.threshold {
                let found = Found { value: 1, explanation: words::gap(&self.time_of_day(since_ms)) };
                let place = place(self.parts, &account, &group);
                holding.insert(subject(&account, &group), (found, place, terms));
            }
        }
        self.settle(Kind::SilentCallback, |place| place.group.is_some(), holding).await;
        Ok(())
    }

    async fn send_failures(&mut self) -> Result<(), StorageError> {
        let mut holding = Holding::new();
        for account in self.parts.sights.accounts() {
            let terms = self.parts.desk.terms(Kind::SendFailures, Some(&account), None);
            if !terms.on {
                continue;
            }
            // In these words the ledger has an index: few are neither sent nor waiting.
            let states = vec![DeliveryState::Sending, DeliveryState::Uncertain, DeliveryState::Failed];
            let filter = DeliveryFilter {
                account: Some(account.clone()),
                states,
                from_ms: Some(self.now_ms - terms.window_ms()),
                unsaid: Some(false),
                limit: DELIVERIES_MAX,
                ..DeliveryFilter::default()
            };
            let rows = self.parts.storage.deliveries(filter).await?;
            let failed = rows.iter().filter(|row| row.state == DeliveryState::Failed).count() as u64;
            if failed >= terms.threshold {
                let explanation =
                    words::over(Counted::SendFailures, failed, terms.window_min(), terms.threshold);
                let place = Place { account: Some(account.clone()), ..Place::default() };
                holding.insert(account, (Found { value: failed, explanation }, place, terms));
            }
        }
        self.settle(Kind::SendFailures, |_| true, holding).await;
        Ok(())
    }

    /// All accounts in one read: the ledger has no index for it.
    async fn unconfirmed_sends(&mut self) -> Result<(), StorageError> {
        let (states, limit) = (vec![DeliveryState::AwaitingConfirmation], UNCONFIRMED_MAX);
        let filter = DeliveryFilter { states, limit, ..DeliveryFilter::default() };
        let mut since: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for row in self.parts.storage.deliveries(filter).await? {
            since.entry(row.account).or_default().push(row.updated_ms);
        }
        let mut holding = Holding::new();
        for (account, times) in since {
            let terms = self.parts.desk.terms(Kind::UnconfirmedSends, Some(&account), None);
            let until_ms = self.now_ms - terms.window_ms();
            let waiting = times.iter().filter(|at_ms| **at_ms < until_ms).count() as u64;
            if terms.on && waiting >= terms.threshold {
                let explanation = words::unconfirmed(waiting, terms.window_min());
                let place = Place { account: Some(account.clone()), ..Place::default() };
                holding.insert(account, (Found { value: waiting, explanation }, place, terms));
            }
        }
        self.settle(Kind::UnconfirmedSends, |_| true, holding).await;
        Ok(())
    }

    /// Accounts of platforms that tell nothing of themselves, and in which nothing happened for an hour in which something
    /// always did.
    async fn mute_accounts(&self) -> Result<BTreeMap<String, Lapse>, StorageError> {
        let hour = self.now_ms.div_euclid(HOUR_MS) - 1;
        let accounts = self.parts.sights.accounts();
        let unknown: Vec<String> =
            accounts.into_iter().filter(|account| !self.parts.sights.knows_lapses(account)).collect();
        if unknown.is_empty() {
            return Ok(BTreeMap::new());
        }
        blocking(Arc::clone(self.parts), move |parts| {
            let mut weeks = Vec::new();
            for back in 0..=WEEKS {
                weeks.push(events_by_account(parts, hour - back * 7 * 24)?);
            }
            let Some((now, past)) = weeks.split_first() else { return Ok(BTreeMap::new()) };
            let quiet = unknown.into_iter().filter(|account| !now.contains_key(account));
            let mute = quiet.filter_map(|account| {
                // A week in which nothing happened either may have been before the account was there.
                let counts: Vec<u64> = past.iter().filter_map(|week| week.get(&account).copied()).collect();
                let least = counts.iter().copied().min().filter(|least| *least >= ALWAYS_MIN)?;
                (counts.len() >= WEEKS_MIN).then(|| {
                    let (zh, en) = words::mute(least, counts.len());
                    (account, Lapse { since_ms: hour * HOUR_MS, zh, en })
                })
            });
            Ok(mute.collect())
        })
        .await
    }

    async fn unanswered_questions(&mut self) -> Result<(), StorageError> {
        let from_ms = self.now_ms - 72 * HOUR_MS;
        let kept = unanswered::between(&self.parts.storage, (from_ms, i64::MAX), QUESTIONS_MAX, |_| true);
        let mut by_group: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
        for question in kept.await?.questions {
            by_group.entry((question.account, question.group)).or_default().push(question.at_ms);
        }
        let mut holding = Holding::new();
        for ((account, group), times) in by_group {
            let kind = Kind::UnansweredQuestions;
            let terms = self.parts.desk.terms(kind, Some(&account), Some(&group));
            let since_ms = self.now_ms - terms.window_ms();
            let count = times.iter().filter(|at_ms| **at_ms >= since_ms).count() as u64;
            if count >= terms.threshold && is_looked_for(self.parts, kind, &terms, &account) {
                let counted = Counted::UnansweredQuestions;
                let explanation = words::over(counted, count, terms.window_min(), terms.threshold);
                let place = place(self.parts, &account, &group);
                let found = Found { value: count, explanation };
                holding.insert(subject(&account, &group), (found, place, terms));
            }
        }
        self.settle(Kind::UnansweredQuestions, |_| true, holding).await;
        Ok(())
    }

    async fn nearly_full(&mut self) -> Result<(), StorageError> {
        let holding = blocking(Arc::clone(self.parts), |parts| {
            let (mut holding, kind) = (Holding::new(), Kind::GroupNearlyFull);
            let max = parts.config.watch.members_max;
            groups(parts, &mut |row| {
                let terms = parts.desk.terms(kind, Some(&row.account), Some(&row.group));
                if terms.on && !row.dismissed && row.members * 100 >= max * terms.threshold {
                    let explanation = words::nearly_full(row.members, max);
                    let found = Found { value: row.members, explanation };
                    let place = place(parts, &row.account, &row.group);
                    holding.insert(subject(&row.account, &row.group), (found, place, terms));
                }
            })?;
            Ok(holding)
        });
        let holding = holding.await?;
        self.settle(Kind::GroupNearlyFull, |_| true, holding).await;
        Ok(())
    }

    /// Groups in which no customer has spoken for days, as far as anybody could see it.
    async fn dead_groups(&mut self) -> Result<(), StorageError> {
        let now_ms = self.now_ms;
        let holding = blocking(Arc::clone(self.parts), move |parts| {
            let (mut holding, kind) = (Holding::new(), Kind::DeadGroup);
            let mut talks: BTreeMap<u64, Talk> = BTreeMap::new();
            let mut failed = None;
            groups(parts, &mut |row| {
                let (account, group) = (&row.account, &row.group);
                let terms = parts.desk.terms(kind, Some(account), Some(group));
                let days = terms.threshold;
                let since_ms =
                    now_ms.saturating_sub(i64::try_from(days).unwrap_or(i64::MAX / DAY_MS) * DAY_MS);
                let is_old = row.first_ms <= since_ms && !row.dismissed;
                if !is_old || !is_looked_for(parts, kind, &terms, account) {
                    return;
                }
                // Few numbers of days are in use, mostly one.
                let talk = match talks.entry(days) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => match Talk::read(parts, since_ms, now_ms) {
                        Ok(talk) => unknown.insert(talk),
                        Err(error) => {
                            failed = failed.take().or(Some(error));
                            return;
                        }
                    },
                };
                let name = (row.account.clone(), row.group.clone());
                if talk.was_visible.contains(account) && !talk.spoken.contains(&name) {
                    let found = Found { value: days, explanation: words::dead(days) };
                    let place = place(parts, account, group);
                    holding.insert(subject(account, group), (found, place, terms));
                }
            })?;
            failed.map_or(Ok(holding), Err)
        });
        let holding = holding.await?;
        self.settle(Kind::DeadGroup, |_| true, holding).await;
        Ok(())
    }

    /// Wordlists that hit far more than usual in the hour that is over, and those whose roll-out was halted.
    async fn rules(&mut self) -> Result<(), StorageError> {
        let terms = self.parts.desk.terms(Kind::RuleOutOfBand, None, None);
        let mut holding = Holding::new();
        if terms.on {
            let hour = self.now_ms.div_euclid(HOUR_MS) - 1;
            let (threshold, sensitivity) = (terms.threshold, terms.sensitivity);
            let unusual = blocking(Arc::clone(self.parts), move |parts| unusual_lists(parts, hour));
            for (list, unusual) in unusual.await? {
                if unusual.observed >= threshold && unusual.usual.is_unusual(unusual.observed, sensitivity) {
                    let found = Found { value: unusual.observed, explanation: words::unusual(&unusual) };
                    holding.insert(list, (found, Place::default(), terms.clone()));
                }
            }
            for halted in self.parts.sights.halted().await? {
                let explanation = words::halted(halted.hit, halted.messages);
                let found = Found { value: halted.hit, explanation };
                holding.insert(halted.wordlist, (found, Place::default(), terms.clone()));
            }
        }
        self.settle(Kind::RuleOutOfBand, |_| true, holding).await;
        Ok(())
    }

    fn time_of_day(&self, at_ms: i64) -> String {
        let zone = self.parts.around.zone();
        let local = |ms| Timestamp::from_millisecond(ms).map(|time| time.to_zoned(zone.clone()));
        match (local(at_ms), local(self.now_ms)) {
            (Ok(at), Ok(now)) if at.date() == now.date() => at.strftime("%H:%M").to_string(),
            (Ok(at), _) => at.strftime("%Y-%m-%d %H:%M").to_string(),
            (Err(_), _) => at_ms.to_string(),
        }
    }
}

/// Visits every group that is known. Blocking.
fn groups(parts: &Parts, visit: &mut dyn FnMut(crate::storage::GroupRow)) -> Result<(), StorageError> {
    let mut after = None;
    loop {
        let page = parts.storage.groups(after, GROUPS_PAGE)?;
        after = page.last().map(|row| (row.account.clone(), row.group.clone()));
        let is_last = page.len() < GROUPS_PAGE;
        page.into_iter().for_each(&mut *visit);
        if is_last {
            return Ok(());
        }
    }
}

/// Counts what happened in an hour in the groups of each account in which anything did. Blocking.
fn events_by_account(parts: &Parts, hour: i64) -> Result<BTreeMap<String, u64>, StorageError> {
    let mut events = BTreeMap::new();
    for row in parts.storage.totals(hour * HOUR_MS, (hour + 1) * HOUR_MS)? {
        let Counters { messages, joins, leaves, .. } = row.counters;
        if messages + joins + leaves > 0 {
            *events.entry(row.account).or_default() += messages + joins + leaves;
        }
    }
    Ok(events)
}

/// Who spoke.
struct Talk {
    /// Groups in which a customer spoke since a time.
    spoken: BTreeSet<(String, String)>,
    /// Accounts in which one spoke in the week before it, so that text was visible then: a platform that shows it since
    /// yesterday has no dead groups.
    was_visible: BTreeSet<String>,
}

impl Talk {
    /// Blocking.
    fn read(parts: &Parts, since_ms: i64, now_ms: i64) -> Result<Self, StorageError> {
        let spoke = |row: &Totals| row.counters.messages > row.counters.staff_messages;
        let lately = parts.storage.totals(since_ms, now_ms + 1)?;
        let before = parts.storage.totals(since_ms.saturating_sub(7 * DAY_MS), since_ms)?;
        Ok(Self {
            spoken: lately.into_iter().filter(spoke).map(|row| (row.account, row.group)).collect(),
            was_visible: before.into_iter().filter(spoke).map(|row| row.account).collect(),
        })
    }
}

/// Returns what each list hit in an hour, with what is usual where enough weeks are known. Blocking.
fn unusual_lists(parts: &Parts, hour: i64) -> Result<Vec<(String, Unusual)>, StorageError> {
    let at = |hour: i64| -> Result<HashMap<String, u64>, StorageError> {
        let rows = parts.storage.list_counts(hour * HOUR_MS, (hour + 1) * HOUR_MS)?;
        Ok(rows.into_iter().map(|row| (row.wordlist, row.hits)).collect())
    };
    let now = at(hour)?;
    let mut weeks = Vec::new();
    for back in 1..=WEEKS {
        let same = hour - back * 7 * 24;
        weeks.push([at(same - 1)?, at(same)?, at(same + 1)?]);
    }
    let mut unusual = Vec::new();
    for (list, observed) in now {
        // A week in which it hit nothing at all near the hour may have been before it was there.
        let counts = |week: &[HashMap<String, u64>; 3]| {
            let [before, same, after] = week.each_ref().map(|hour| hour.get(&list).copied());
            let is_known = before.or(same).or(after).is_some();
            let count = |count: Option<u64>| is_known.then(|| count.unwrap_or(0));
            Week { before: count(before), same: count(same), after: count(after) }
        };
        let weeks: Vec<Week> = weeks.iter().map(counts).collect();
        if let Some(usual) = Usual::of(&Past { weeks: &weeks, hours: &[], peers: &[] }, 60) {
            unusual.push((list, Unusual { counted: Counted::Hits, observed, usual }));
        }
    }
    Ok(unusual)
}
