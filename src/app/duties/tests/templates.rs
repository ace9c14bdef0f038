//! Templates against the sandbox's library.

use serde_json::json;

use super::House;
use crate::connectors::offers::WelcomeTemplate;
use crate::duties::templates::{Template, TemplateState};
use crate::duties::{self, Stored};
use crate::event::AccountId;
use crate::reach::Plan;
use crate::storage::{Change, DocumentKind, Write};

fn template(text: &str) -> Template {
    let account = AccountId::parse("shop").unwrap();
    Template { account, text: text.to_owned(), link: None, notify: false, plan: Plan::default() }
}

fn there(text: &str) -> WelcomeTemplate {
    WelcomeTemplate { text: text.to_owned(), link: None, notify: false }
}

impl House {
    async fn want(&self, id: &str, text: &str) {
        let key = (DocumentKind::WelcomeTemplate, id);
        let storage = &*self.duties.storage;
        duties::write(storage, self.clock.now_ms(), key, &template(text), None, Vec::new()).await.unwrap();
    }

    async fn state(&self, id: &str) -> Option<TemplateState> {
        let id = TemplateState::id("shop", id);
        let stored = duties::read(&*self.duties.storage, DocumentKind::Pushed, &id).await.unwrap();
        stored.map(|stored: Stored<TemplateState>| stored.value)
    }
}

#[tokio::test]
async fn a_template_is_added_edited_and_removed() {
    let house = House::open(json!({}));
    let connector = house.connector();
    let library = connector.welcome_templates().unwrap();
    house.want("a", "欢迎").await;
    house.duties.round().await;
    let id = house.state("a").await.unwrap().platform_id.unwrap();
    assert_eq!(library.get(&id).await.unwrap(), there("欢迎"));

    house.want("a", "欢迎光临").await;
    house.duties.round().await;
    assert_eq!(library.get(&id).await.unwrap(), there("欢迎光临"));
    assert_eq!(house.state("a").await.unwrap().drift_ms, None, "our own change is no drift");

    let delete = Write::Delete { kind: DocumentKind::WelcomeTemplate, id: "a".into() };
    house.duties.storage.apply(Change { writes: vec![delete], ..Change::default() }).await.unwrap();
    house.duties.round().await;
    assert!(library.get(&id).await.is_err());
    assert_eq!(house.state("a").await, None);
}

#[tokio::test]
async fn what_somebody_edits_or_deletes_in_the_library_is_put_back() {
    let house = House::open(json!({}));
    let connector = house.connector();
    let library = connector.welcome_templates().unwrap();
    house.want("a", "欢迎").await;
    house.duties.round().await;
    let id = house.state("a").await.unwrap().platform_id.unwrap();

    library.edit(&id, &there("随便")).await.unwrap();
    house.an_hour_later().await;
    assert_eq!(library.get(&id).await.unwrap(), there("欢迎"));
    assert_eq!(house.state("a").await.unwrap().drift_ms, Some(house.clock.now_ms()));

    library.remove(&id).await.unwrap();
    house.an_hour_later().await;
    let state = house.state("a").await.unwrap();
    assert_ne!(state.platform_id.as_deref(), Some(id.as_str()));
    assert_eq!(library.get(&state.platform_id.unwrap()).await.unwrap(), there("欢迎"));
    assert_eq!((state.drift_ms, state.lost_ms), (Some(house.clock.now_ms()), None));
}

#[tokio::test]
async fn a_full_library_is_said_and_tried_again_when_a_person_made_room() {
    let house = House::open(json!({}));
    let connector = house.connector();
    let library = connector.welcome_templates().unwrap();
    let mut last = String::new();
    for _ in 0..100 {
        last = library.add(&there("别人的")).await.unwrap();
    }
    house.want("a", "欢迎").await;
    house.duties.round().await;
    let failure = house.state("a").await.unwrap().failure.unwrap();
    assert_eq!(failure.code, "41055");
    library.remove(&last).await.unwrap();
    house.duties.round().await;
    assert!(house.state("a").await.unwrap().failure.is_some(), "not every tick");
    house.clock.advance(house.duties.config.retry_every);
    house.duties.round().await;
    let state = house.state("a").await.unwrap();
    assert!(state.failure.is_none() && state.platform_id.is_some());
}

#[tokio::test]
async fn an_addition_whose_answer_was_lost_is_said_to_be_there_perhaps_twice() {
    let house = House::open(json!({}));
    house.want("a", "欢迎").await;
    let lost = TemplateState { adding: true, ..TemplateState::default() };
    let id = TemplateState::id("shop", "a");
    let key = (DocumentKind::Pushed, id.as_str());
    duties::write(&*house.duties.storage, 0, key, &lost, None, Vec::new()).await.unwrap();
    house.duties.round().await;
    let state = house.state("a").await.unwrap();
    assert_eq!((state.lost_ms, state.adding), (Some(house.clock.now_ms()), false));
    assert!(state.platform_id.is_some());
}

#[tokio::test]
async fn an_addition_lost_a_second_time_waits_for_a_person() {
    let house = House::open(json!({}));
    house.want("a", "欢迎").await;
    let lost_ms = Some(house.clock.now_ms());
    let lost = TemplateState { adding: true, lost_ms, ..TemplateState::default() };
    let id = TemplateState::id("shop", "a");
    let key = (DocumentKind::Pushed, id.as_str());
    duties::write(&*house.duties.storage, 0, key, &lost, None, Vec::new()).await.unwrap();
    for _ in 0..2 {
        house.an_hour_later().await;
        let state = house.state("a").await.unwrap();
        assert_eq!((state.platform_id, state.failure.unwrap().code.as_str()), (None, "lost"));
    }
    house.clock.advance(std::time::Duration::from_secs(1));
    house.want("a", "欢迎").await;
    house.duties.round().await;
    let state = house.state("a").await.unwrap();
    assert!(state.platform_id.is_some() && state.failure.is_none());
}
