//! Moves wordlists through their lives: when people ask for it, and back into shadow when a roll-out goes wrong.
//!
//! A list of the API has its state in its document; one that is kept in a file has it in its life record, as long as the
//! file goes on saying what it said then. Either way a move is a version like any other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::compile::{self, Documents, Files};
use super::{Held, Rulebook};
use crate::interception::{Life, Stage, TrialCounts, WordlistSource};
use crate::rulesets::{
    Accepted, Author, Edit, LifeRecord, Look, Move, Proposal, Refused, RuleKind, hits_per_10k, look, refusal,
};
use crate::storage::AuditEntry;
use crate::tasks::Tasks;
use crate::telemetry::metrics;

/// Shortest time between two looks.
const LOOK_MIN: Duration = Duration::from_millis(100);

/// Whose name stands in the audit log when the gateway itself acts.
const OURSELVES: &str = "menshen";

impl Rulebook {
    /// Puts a wordlist into another state. In force when this returns. Cancel safe.
    ///
    /// # Errors
    /// See [`Refused`]; nothing was stored and the old rules stay.
    pub async fn move_list(self: &Arc<Self>, wanted: Move) -> Result<Accepted, Refused> {
        let this = Arc::clone(self);
        self.to_its_end(async move {
            let mut held = this.held.lock().await;
            let documents = compile::documents(&*this.storage).await?;
            let now = life_of(&documents, &held.files, &wanted.list)?.ok_or(Refused::NoSuchList)?;
            if let Some(reason) = refusal(&now.life, &wanted.to) {
                return Err(Refused::NoSuchMove(reason));
            }
            if now.life == wanted.to {
                return Ok(Accepted { number: held.head.number, versions: Vec::new() });
            }
            let at_ms = this.clock.now_ms();
            let record = LifeRecord {
                author: Author::of(&wanted.actor),
                reason: wanted.reason.clone(),
                at_ms,
                to: wanted.to.clone(),
                of: now.of(),
                halted: None,
            };
            let detail = json!({"from": now.life, "to": wanted.to, "reason": wanted.reason});
            let entry = AuditEntry::by(&wanted.actor, at_ms, "move", "wordlist", &wanted.list);
            let proposal = Proposal {
                edits: now.edits(&wanted.list, &record),
                audit: vec![entry.with(&detail)],
                ..Proposal::by(record.author, wanted.reason)
            };
            this.advance(&mut held, None, proposal).await
        })
        .await
    }

    /// Puts a list whose roll-out went wrong back into shadow, unless somebody moved it meanwhile.
    async fn halt(
        self: &Arc<Self>,
        list: String,
        stage: Stage,
        counts: TrialCounts,
    ) -> Result<bool, Refused> {
        let this = Arc::clone(self);
        self.to_its_end(async move {
            let mut held = this.held.lock().await;
            let documents = compile::documents(&*this.storage).await?;
            let Some(now) = life_of(&documents, &held.files, &list)? else { return Ok(false) };
            if now.life != Life::Staged(stage.clone()) {
                return Ok(false);
            }
            this.halt_now(&mut held, &list, &now, &stage, counts).await
        })
        .await
    }

    async fn halt_now(
        &self,
        held: &mut Held,
        list: &str,
        now: &Standing,
        stage: &Stage,
        counts: TrialCounts,
    ) -> Result<bool, Refused> {
        let at_ms = self.clock.now_ms();
        let rate = hits_per_10k(counts.hit, counts.messages).unwrap_or_default();
        let reason = format!(
            "halted: {} of {} messages hit, {rate:.1} of 10,000; {} to {} were expected",
            counts.hit, counts.messages, stage.hits_per_10k_min, stage.hits_per_10k_max
        );
        let record = LifeRecord {
            author: Author::System,
            reason: reason.clone(),
            at_ms,
            to: Life::Shadow,
            of: now.of(),
            halted: Some(counts),
        };
        let entry = AuditEntry {
            seq: 0,
            at_ms,
            operator: OURSELVES.to_owned(),
            token: String::new(),
            verb: "halt".to_owned(),
            object: "wordlist".to_owned(),
            id: list.to_owned(),
            detail: json!({"from": now.life, "reason": reason}).to_string(),
            place: crate::event::Place::default().path(),
        };
        let proposal = Proposal {
            edits: now.edits(list, &record),
            audit: vec![entry],
            ..Proposal::by(Author::System, reason.clone())
        };
        self.advance(held, None, proposal).await?;
        metrics::rollout_halted();
        tracing::warn!(wordlist = list, reason, "the roll-out of a wordlist is halted; it goes on in shadow");
        Ok(true)
    }
}

/// Where a list is in its life, and where that is written.
struct Standing {
    life: Life,
    kept: Kept,
}

enum Kept {
    /// In its document.
    Document(Map<String, Value>),
    /// In a file, which says this.
    File(Life),
}

impl Standing {
    fn of(&self) -> Option<Life> {
        match &self.kept {
            Kept::Document(_) => None,
            Kept::File(says) => Some(says.clone()),
        }
    }

    fn edits(&self, list: &str, record: &LifeRecord) -> Vec<Edit> {
        let edit = |kind, body| Edit { kind, id: list.to_owned(), body: Some(body), expect: None };
        let mut edits = vec![edit(RuleKind::WordlistLife, json!(record).to_string())];
        if let Kept::Document(body) = &self.kept {
            let mut body = body.clone();
            body.insert("life".to_owned(), json!(record.to));
            edits.push(edit(RuleKind::Wordlist, Value::Object(body).to_string()));
        }
        edits
    }
}

/// Finds a list, wherever it is kept.
fn life_of(documents: &Documents, files: &Files, name: &str) -> Result<Option<Standing>, Refused> {
    let unusable = |error: serde_json::Error| Refused::Unusable(error.to_string());
    if let Some(body) = documents.get(&(RuleKind::Wordlist, name.to_owned())) {
        let life = serde_json::from_str::<WordlistSource>(body).map_err(unusable)?.life;
        let body = serde_json::from_str(body).map_err(unusable)?;
        return Ok(Some(Standing { life, kept: Kept::Document(body) }));
    }
    let Some(file) = files.lists.iter().find(|list| list.name == name) else { return Ok(None) };
    let life = compile::life_of_file(documents, file).map_err(unusable)?;
    Ok(Some(Standing { life, kept: Kept::File(file.life.clone()) }))
}

/// Where the window of a list began.
struct Window {
    stage: Stage,
    from: TrialCounts,
}

/// Watches lists in stages until the gateway stops, and halts those whose hits are not as expected.
pub(in crate::app) async fn watch_rollouts(rulebook: Arc<Rulebook>, tasks: Tasks) {
    let config = &rulebook.config.rulesets;
    let mut windows = HashMap::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(config.rollout_look_every.max(LOOK_MIN)) => {}
            () = tasks.stopping() => return,
        }
        for (list, stage, counts) in outside(&rulebook, &mut windows) {
            if let Err(error) = rulebook.halt(list.clone(), stage, counts).await {
                tracing::error!(wordlist = list, %error, "halt a roll-out; tried again at the next look");
            }
        }
    }
}

/// Looks at every list in stages; returns those to be halted with what their window counted.
fn outside(rulebook: &Rulebook, windows: &mut HashMap<String, Window>) -> Vec<(String, Stage, TrialCounts)> {
    let rules = rulebook.current.load();
    let mut halted = Vec::new();
    let mut seen = Vec::new();
    for (list, counts) in rules.words.trials() {
        let Life::Staged(stage) = &list.life else { continue };
        seen.push(list.name.as_str());
        let begin = || Window { stage: stage.clone(), from: TrialCounts::default() };
        let window = windows.entry(list.name.clone()).or_insert_with(begin);
        // Another stage, or a list that is not what it was: its counters began anew.
        if window.stage != *stage || counts.messages < window.from.messages {
            *window = begin();
        }
        let (messages, hit) =
            (counts.messages - window.from.messages, counts.hit.saturating_sub(window.from.hit));
        match look(stage, messages, hit, rulebook.config.rulesets.rollout_messages_min) {
            Look::Early => {}
            Look::Expected => window.from = counts,
            Look::Outside => {
                let counts = TrialCounts { messages, hit, ..TrialCounts::default() };
                halted.push((list.name.clone(), stage.clone(), counts));
            }
        }
    }
    windows.retain(|name, _| seen.contains(&name.as_str()));
    halted
}
