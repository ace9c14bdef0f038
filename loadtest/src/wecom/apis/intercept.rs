//! Intercept rules: `externalcontact/add_intercept_rule` and its kin.
//!
//! Shapes differ as on the platform: add takes `semantics_list` at the top, get and update inside `extra_rule`; add sets the
//! range, update adds to and takes from it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Route;
use super::groups::app_of;
use crate::wecom::config::Family::CustomerContact;
use crate::wecom::errcode;
use crate::wecom::machines::intercept::{Change, Range, Rule, Verdict, rule_number};
use crate::wecom::people::ROOT_DEPARTMENT;
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[
    Route::new("externalcontact/add_intercept_rule", CustomerContact, add),
    Route::get("externalcontact/get_intercept_rule_list", CustomerContact, list),
    Route::new("externalcontact/get_intercept_rule", CustomerContact, get),
    Route::new("externalcontact/update_intercept_rule", CustomerContact, update),
    Route::new("externalcontact/del_intercept_rule", CustomerContact, delete),
];

#[derive(Default, Deserialize)]
struct RangeBody {
    #[serde(default)]
    user_list: Vec<String>,
    #[serde(default)]
    department_list: Vec<u32>,
}

/// A range of members and departments that the app sees.
fn visible(world: &World, app: usize, body: &RangeBody) -> Result<Range, Refusal> {
    let outside = || Refusal::code(errcode::BAD_RULE_RANGE);
    let mut range = Range::default();
    for userid in &body.user_list {
        let staff = world.people.staff_of(userid).filter(|staff| world.sees(app, *staff));
        range.users.insert(staff.ok_or_else(outside)?);
    }
    let seen = &world.apps[app].config.visible_departments;
    for &department in &body.department_list {
        let exists = world.people.departments().any(|known| known == department);
        if !exists || !(seen.contains(&ROOT_DEPARTMENT) || seen.contains(&department)) {
            return Err(outside());
        }
        range.departments.insert(department);
    }
    Ok(range)
}

fn blocks(intercept_type: u64) -> Result<bool, Refusal> {
    match intercept_type {
        1 => Ok(true),
        2 => Ok(false),
        _ => Err(Refusal::new(errcode::BAD_PARAMETER, "invalid intercept_type")),
    }
}

/// What is no small number is none of the kinds.
fn semantics(list: &[u64]) -> BTreeSet<u8> {
    list.iter().map(|kind| u8::try_from(*kind).unwrap_or(u8::MAX)).collect()
}

fn shown_id(world: &World, id: u64) -> Value {
    if world.config.acting.rule_ids_are_numbers { id.into() } else { id.to_string().into() }
}

fn named(body: &Value) -> Result<u64, Refusal> {
    rule_number(&body["rule_id"]).ok_or_else(|| Refusal::code(errcode::RULE_UNKNOWN))
}

fn add(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        rule_name: String,
        #[serde(default)]
        word_list: Vec<String>,
        #[serde(default)]
        semantics_list: Vec<u64>,
        #[serde(default)]
        intercept_type: u64,
        #[serde(default)]
        applicable_range: RangeBody,
    }
    let body: Body = request.json()?;
    let rule = Rule {
        name: body.rule_name,
        words: body.word_list,
        semantics: semantics(&body.semantics_list),
        blocks: blocks(body.intercept_type)?,
        range: visible(world, app_of(caller)?, &body.applicable_range)?,
        created_s: caller.now_s(),
    };
    let id = world.states.intercept.add(rule)?;
    Ok(Answer::ok().with("rule_id", shown_id(world, id)).did(id.to_string()))
}

fn list(world: &mut World, caller: &Caller, _: &Request) -> Outcome {
    app_of(caller)?;
    let lines = world.states.intercept.all().map(|(id, rule)| {
        json!({ "rule_id": shown_id(world, id), "rule_name": rule.name, "create_time": rule.created_s })
    });
    Ok(Answer::ok().with("rule_list", lines.collect::<Vec<_>>()))
}

fn get(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    app_of(caller)?;
    let id = named(&request.value())?;
    let rule = world.states.intercept.get(id)?;
    let users = rule.range.users.iter().map(|staff| world.people.staff(*staff).userid.clone());
    let shown = json!({
        "rule_id": shown_id(world, id),
        "rule_name": rule.name,
        "word_list": rule.words,
        "extra_rule": { "semantics_list": rule.semantics },
        "intercept_type": if rule.blocks { 1 } else { 2 },
        "applicable_range": {
            "user_list": users.collect::<Vec<_>>(),
            "department_list": rule.range.departments,
        },
    });
    Ok(Answer::ok().with("rule", shown))
}

fn update(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    #[derive(Deserialize)]
    struct Extra {
        semantics_list: Option<Vec<u64>>,
    }
    #[derive(Deserialize)]
    struct Body {
        rule_name: Option<String>,
        word_list: Option<Vec<String>>,
        extra_rule: Option<Extra>,
        intercept_type: Option<u64>,
        #[serde(default)]
        add_applicable_range: RangeBody,
        #[serde(default)]
        remove_applicable_range: RangeBody,
    }
    let id = named(&request.value())?;
    let body: Body = request.json()?;
    world.states.intercept.get(id)?;
    if body.word_list.is_none() && world.config.acting.refuses_absent_words {
        return Err(Refusal::code(errcode::WORD_COUNT));
    }
    let app = app_of(caller)?;
    let kinds = body.extra_rule.and_then(|extra| extra.semantics_list);
    let change = Change {
        name: body.rule_name,
        words: body.word_list,
        semantics: kinds.map(|kinds| semantics(&kinds)),
        blocks: body.intercept_type.map(blocks).transpose()?,
        add: visible(world, app, &body.add_applicable_range)?,
        remove: visible(world, app, &body.remove_applicable_range)?,
    };
    world.states.intercept.update(id, change)?;
    Ok(Answer::ok().did(id.to_string()))
}

fn delete(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    app_of(caller)?;
    let id = named(&request.value())?;
    world.states.intercept.delete(id)?;
    Ok(Answer::ok().did(id.to_string()))
}

impl World {
    /// A member of the corp says something to a customer; none when there is no such member.
    pub fn member_says(&mut self, userid: &str, text: &str, is_red_packet: bool) -> Option<Verdict> {
        let staff = self.people.staff_of(userid)?;
        let departments = [ROOT_DEPARTMENT, self.people.staff(staff).department];
        Some(self.states.intercept.said(staff, &departments, text, is_red_packet))
    }
}
