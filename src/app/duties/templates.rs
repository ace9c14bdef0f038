//! Keeps a platform's library of welcome templates what people want it to be.

use std::collections::BTreeMap;

use super::{Round, Turn, is_gone};
use crate::connectors::offers::{WelcomeTemplate, WelcomeTemplates};
use crate::duties::Stored;
use crate::duties::templates::{Held, Template, TemplateState};
use crate::storage::{DocumentKind, StorageError};

impl Turn<'_> {
    /// Adds, edits, compares and removes.
    pub(super) async fn templates(&self, round: &Round) -> Result<(), StorageError> {
        let Some(library) = self.connector.welcome_templates() else { return Ok(()) };
        let account = self.account.as_str();
        let prefix = TemplateState::prefix(account);
        let states: Vec<Stored<TemplateState>> =
            crate::duties::all(&*self.duties.storage, DocumentKind::Pushed, &prefix).await?;
        let mut states: BTreeMap<String, TemplateState> = states
            .into_iter()
            .filter_map(|state| Some((state.id.strip_prefix(&prefix)?.to_owned(), state.value)))
            .collect();
        // Removed ones first: they make room.
        let wanted = || round.templates.iter().filter(|template| template.value.account == *self.account);
        let is_wanted = |id: &String| wanted().any(|template| template.id == *id);
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut states).into_iter().partition(|(id, _)| is_wanted(id));
        for (id, state) in gone {
            self.withdraw(library, &id, state).await?;
        }
        for template in wanted() {
            let state = kept.get(&template.id).cloned().unwrap_or_default();
            self.keep_template(library, template, state).await?;
        }
        Ok(())
    }

    async fn keep_template(
        &self,
        library: &dyn WelcomeTemplates,
        template: &Stored<Template>,
        mut state: TemplateState,
    ) -> Result<(), StorageError> {
        let held = Held::of(&template.value);
        let is_new = state.held.as_ref() != Some(&held);
        let has_failed = state.failure.is_some();
        // A new wish is tried at once, and what was refused after a while.
        let is_first = state.failure.as_ref().is_none_or(|failure| failure.at_ms < template.updated_ms);
        if !((is_new && is_first) || self.is_due(state.compared_ms, has_failed)) {
            return Ok(());
        }
        state.compared_ms = self.now_ms;
        state.failure = None;
        if let Some(id) = state.platform_id.clone() {
            self.compare(library, &id, &held, &template.value, &mut state).await;
        }
        if state.platform_id.is_none() {
            if state.adding {
                // Once more by ourselves, not at every try: a person looks first and writes it again.
                if state.lost_ms.is_some_and(|lost| lost >= template.updated_ms) {
                    state.failure = Some(self.lost());
                    return self.save_template(&template.id, &state).await;
                }
                state.lost_ms = Some(self.now_ms);
            }
            state.adding = true;
            self.save_template(&template.id, &state).await?;
            match library.add(&told(&template.value)).await {
                Ok(id) => {
                    state.platform_id = Some(id);
                    state.held = Some(held);
                    state.adding = false;
                }
                Err(error) => {
                    state.adding = error.uncertain;
                    state.failure = Some(self.failure(&error));
                }
            }
        }
        self.save_template(&template.id, &state).await
    }

    /// Looks at what the library holds and makes it what it shall be.
    async fn compare(
        &self,
        library: &dyn WelcomeTemplates,
        id: &str,
        held: &Held,
        template: &Template,
        state: &mut TemplateState,
    ) {
        let there = match library.get(id).await {
            Ok(there) => Held { text: there.text, link: there.link },
            Err(error) if is_gone(&error) => {
                state.drift_ms = Some(self.now_ms);
                state.platform_id = None;
                return;
            }
            Err(error) => {
                state.failure = Some(self.failure(&error));
                return;
            }
        };
        if state.held.as_ref().is_some_and(|ours| *ours != there) && there != *held {
            state.drift_ms = Some(self.now_ms);
        }
        if there == *held {
            state.held = Some(there);
            return;
        }
        match library.edit(id, &told(template)).await {
            Ok(()) => state.held = Some(held.clone()),
            Err(error) => state.failure = Some(self.failure(&error)),
        }
    }

    async fn withdraw(
        &self,
        library: &dyn WelcomeTemplates,
        template: &str,
        mut state: TemplateState,
    ) -> Result<(), StorageError> {
        if state.failure.is_some() && !self.is_due(state.compared_ms, true) {
            return Ok(());
        }
        let removed = match &state.platform_id {
            Some(id) => library.remove(id).await,
            None => Ok(()),
        };
        match removed {
            Err(error) if !is_gone(&error) => {
                state.failure = Some(self.failure(&error));
                state.compared_ms = self.now_ms;
                self.save_template(template, &state).await
            }
            Ok(()) | Err(_) => self.forget(TemplateState::id(self.account.as_str(), template)).await,
        }
    }

    async fn save_template(&self, template: &str, state: &TemplateState) -> Result<(), StorageError> {
        self.save(&TemplateState::id(self.account.as_str(), template), state).await
    }
}

fn told(template: &Template) -> WelcomeTemplate {
    WelcomeTemplate { text: template.text.clone(), link: template.link.clone(), notify: template.notify }
}
