//! `externalcontact/send_welcome_msg` and the library of group welcome templates.

use serde::Deserialize;
use serde_json::Value;

use super::Route;
use super::groups::app_of;
use crate::wecom::acts::Deed;
use crate::wecom::config::Family::CustomerContact;
use crate::wecom::machines::content::{Content, Text};
use crate::wecom::machines::templates::{Greeting, Template, Welcome};
use crate::wecom::people::Person;
use crate::wecom::request::{Answer, Caller, Outcome, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[
    Route::new("externalcontact/send_welcome_msg", CustomerContact, send_welcome),
    Route::new("externalcontact/group_welcome_template/add", CustomerContact, add),
    Route::new("externalcontact/group_welcome_template/edit", CustomerContact, edit),
    Route::new("externalcontact/group_welcome_template/get", CustomerContact, get),
    Route::new("externalcontact/group_welcome_template/del", CustomerContact, delete),
];

fn send_welcome(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        welcome_code: String,
        text: Option<Text>,
        #[serde(default)]
        attachments: Vec<Value>,
    }
    let body: Body = request.json()?;
    // The content first: a message that cannot be sent does not use up the code.
    let content = Content::check(body.text, body.attachments, &world.states.media, caller.now_ms)?;
    let code = world.welcome.claim(&body.welcome_code, app_of(caller)?, caller.now_ms)?;
    let waited_ms = caller.now_ms.saturating_sub(code.issued_ms);
    world.states.slowest_welcome_ms = world.states.slowest_welcome_ms.max(waited_ms);
    let customer = world.people.external_userid(code.customer);
    let text = content.ledger_text();
    world.ledger.reached(caller.now_ms, "welcome", &customer, &body.welcome_code, &text);
    world.keep_body(caller.now_ms, "welcome", &customer, &request.value());
    Ok(Answer::ok().did(body.welcome_code))
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    template_id: String,
}

fn add(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let body = request.value();
    let welcome = Welcome::check(&body, &world.states.media, caller.now_ms)?;
    let is_notified = body["notify"].as_u64() != Some(0);
    let notified_ms = is_notified.then_some(caller.now_ms);
    let id = world.new_id("msg");
    let template = Template { app: app_of(caller)?, welcome, notified_ms };
    world.states.templates.add(id.clone(), template)?;
    Ok(Answer::ok().with("template_id", id.clone()).did(id))
}

fn edit(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let named: Named = request.json()?;
    let welcome = Welcome::check(&request.value(), &world.states.media, caller.now_ms)?;
    world.states.templates.edit(&named.template_id, app_of(caller)?, welcome)?;
    Ok(Answer::ok().did(named.template_id))
}

fn get(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let named: Named = request.json()?;
    app_of(caller)?;
    let template = world.states.templates.get(&named.template_id)?;
    let mut answer = Answer::ok();
    for (name, part) in template.welcome.parts() {
        answer = answer.with(&name, part);
    }
    Ok(answer)
}

fn delete(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let named: Named = request.json()?;
    world.states.templates.delete(&named.template_id, app_of(caller)?)?;
    Ok(Answer::ok().did(named.template_id))
}

/// Customers have come into a group: whoever its owner lets a template greet, it greets.
pub(in crate::wecom) fn greet(world: &mut World, deed: &Deed) {
    let now_ms = world.now_ms();
    let Some(chat_id) = &deed.chat_id else { return };
    let Some(group) = world.groups.group_of(chat_id) else { return };
    let owner = world.groups.group(group).now.owner;
    let in_use = world.states.templates.in_use(group, owner, &world.owners(), now_ms).map(str::to_owned);
    let welcome = in_use.as_ref().and_then(|id| world.states.templates.get(id).ok());
    let welcome = welcome.map(|template| template.welcome.clone());
    for member in &deed.members {
        let Some(Person::Customer(customer)) = world.people.person_of(member) else { continue };
        let name = world.people.customer_name(customer);
        let messages = welcome.as_ref().map(|welcome| welcome.messages(&name)).unwrap_or_default();
        let target = format!("{chat_id}/{member}");
        for message in &messages {
            let id = in_use.as_deref().unwrap_or_default();
            world.ledger.reached(now_ms, "group_welcome", &target, id, message);
        }
        world.states.templates.greeted(Greeting {
            chat_id: chat_id.clone(),
            member: member.clone(),
            at_ms: now_ms,
            template_id: in_use.clone(),
            messages: messages.len(),
        });
    }
}

impl World {
    /// An owner picks a template for a group by hand, or none; says whether there is such a group.
    pub fn choose_template(&mut self, chat_id: &str, template_id: Option<&str>) -> bool {
        let now_ms = self.now_ms();
        let group = self.groups.group_of(chat_id);
        group.map(|group| self.states.templates.choose(group, template_id, now_ms)).is_some()
    }
}
