//! The documents inside callbacks, and the queue they wait in.
//!
//! An event is written once; every app that may see it gets its own delivery. Not for: sending, which is `callbacks`.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::{Family, MemberList};
use super::envelope::cdata;
use super::ledger::{DeliveryEnd, DeliveryRecord};
use super::world::World;

/// One event, as every app gets it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) number: u64,
    /// Such as `change_external_chat/update/add_member`.
    pub(crate) kind: String,
    /// The group or customer it is about.
    pub(crate) subject: String,
    pub(crate) document: String,
}

/// What is wrong with a callback that must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Injection {
    /// Signed with another token.
    BadSignature,
    /// Sealed for another corp.
    WrongReceiveid,
    /// Rightly signed, with padding of value 0.
    BadPadding,
    /// Rightly signed, declares more bytes than there are.
    DeclaredTooLong,
    /// Rightly signed, no whole blocks.
    BrokenBlocks,
    /// Rightly signed, not base64.
    NotBase64,
    /// No envelope at all.
    NotAnEnvelope,
}

/// One event on its way to one app.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) app: usize,
    pub(crate) event: Arc<Event>,
    pub(crate) injection: Option<Injection>,
}

/// Events waiting for their first try.
#[derive(Debug, Default)]
pub struct Queue {
    pub(crate) waiting: VecDeque<Pending>,
    /// Deliveries begun and not ended.
    pub(crate) in_flight: usize,
    numbered: u64,
}

impl Queue {
    /// How many wait, and how many are being tried.
    pub fn depth(&self) -> (usize, usize) {
        (self.waiting.len(), self.in_flight)
    }

    /// Whether everything has come to its end.
    pub fn is_idle(&self) -> bool {
        self.depth() == (0, 0)
    }

    /// Events that were ever written.
    pub fn numbered(&self) -> u64 {
        self.numbered
    }
}

/// A document under construction.
#[derive(Debug)]
pub(crate) struct Document {
    kind: Vec<String>,
    subject: String,
    body: String,
}

impl Document {
    /// An event about customers; `from` is always `sys`.
    pub(crate) fn new(event: &str, subject: &str) -> Self {
        let body = format!("<Event>{}</Event>", cdata(event));
        Self { kind: vec![event.to_owned()], subject: subject.to_owned(), body }
    }

    /// A node that also says what kind of event it is.
    pub(crate) fn kind(mut self, name: &str, value: &str) -> Self {
        self.kind.push(value.to_owned());
        self.text(name, value)
    }

    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        self.write(format_args!("<{name}>{}</{name}>", cdata(value)));
        self
    }

    pub(crate) fn number(mut self, name: &str, value: u64) -> Self {
        self.write(format_args!("<{name}>{value}</{name}>"));
        self
    }

    pub(crate) fn text_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// The members it is about and the versions around it.
    pub(crate) fn members(mut self, form: MemberList, ids: &[String], versions: [&str; 2]) -> Self {
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        self = self.number("MemChangeCnt", count);
        match form {
            MemberList::Items => {
                self.body.push_str("<MemChangeList>");
                for id in ids {
                    self.write(format_args!("<Item>{}</Item>", cdata(id)));
                }
                self.body.push_str("</MemChangeList>");
            }
            MemberList::Joined => self = self.text("MemChangeList", &ids.join(",")),
            MemberList::VersionsOnly => {}
            MemberList::Absent => return self,
        }
        let [last, current] = versions;
        self.text("LastMemVer", last).text("CurMemVer", current)
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.body.write_fmt(text).expect("a string takes everything");
    }
}

impl World {
    /// Queues an event for every app that sees customers and has a callback. Gives back its number.
    pub(crate) fn emit(&mut self, document: Document) -> u64 {
        let Document { kind, subject, body } = document;
        let head = format!(
            "<ToUserName>{}</ToUserName><FromUserName>{}</FromUserName><CreateTime>{}</CreateTime>\
             <MsgType>{}</MsgType>",
            cdata(&self.config.corpid),
            cdata("sys"),
            self.now_ms() / 1_000,
            cdata("event")
        );
        self.emit_document(
            Family::CustomerContact,
            &kind.join("/"),
            &subject,
            format!("<xml>{head}{body}</xml>"),
        )
    }

    /// Queues a document of any form for every app that may call a family and has a callback.
    pub fn emit_document(&mut self, family: Family, kind: &str, subject: &str, document: String) -> u64 {
        self.queue.numbered += 1;
        let number = self.queue.numbered;
        let event = Event { number, kind: kind.to_owned(), subject: subject.to_owned(), document };
        let event = Arc::new(event);
        for app in 0..self.apps.len() {
            if self.apps[app].config.callback_url.is_some() && self.apps[app].may_call(family) {
                self.enqueue(Pending { app, event: Arc::clone(&event), injection: None });
            }
        }
        number
    }

    /// Queues a callback that the app must refuse. It says a group was dismissed that does not exist.
    pub fn inject(&mut self, app: usize, injection: Injection) {
        let body = format!(
            "<xml><ToUserName>{}</ToUserName><FromUserName>{}</FromUserName><CreateTime>{}</CreateTime>\
             <MsgType>{}</MsgType><Event>{}</Event><ChatId>{}</ChatId><ChangeType>{}</ChangeType></xml>",
            cdata(&self.config.corpid),
            cdata("sys"),
            self.now_ms() / 1_000,
            cdata("event"),
            cdata("change_external_chat"),
            cdata("wrInjected"),
            cdata("dismiss")
        );
        self.queue.numbered += 1;
        let event = Event {
            number: self.queue.numbered,
            kind: format!("injected/{injection:?}"),
            subject: "wrInjected".to_owned(),
            document: body,
        };
        self.enqueue(Pending { app, event: Arc::new(event), injection: Some(injection) });
    }

    fn enqueue(&mut self, pending: Pending) {
        if self.queue.waiting.len() >= self.config.callbacks.queue_max {
            self.delivery_ended(&pending, Vec::new(), 0, DeliveryEnd::Overflowed);
        } else {
            self.queue.waiting.push_back(pending);
        }
    }

    pub(crate) fn delivery_ended(
        &mut self,
        pending: &Pending,
        statuses: Vec<String>,
        latency_ms: u64,
        end: DeliveryEnd,
    ) {
        let record = DeliveryRecord {
            seq: 0,
            at_ms: self.now_ms(),
            app: self.apps[pending.app].config.name.clone(),
            event: pending.event.number,
            kind: pending.event.kind.clone(),
            subject: pending.event.subject.clone(),
            tries: u32::try_from(statuses.len()).unwrap_or(u32::MAX),
            statuses,
            latency_ms,
            end,
        };
        self.ledger.delivered(record);
    }
}
