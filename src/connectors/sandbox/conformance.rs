//! The suite over the sandbox's own record: the stand-in of a platform that is none.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, Method};
use serde_json::json;

use super::{Sandbox, SandboxLog};
use crate::clock::Clock;
use crate::connectors::conformance::{
    ACCOUNT, Fault, Genuine, Lack, NOW_MS, Raw, Rig, all, delivery, markdown,
};
use crate::connectors::{AccountSpec, Connector};
use crate::event::AccountId;
use crate::outbox::delivery::{Delivery, Payload};

struct SandboxRig {
    log: Arc<SandboxLog>,
}

#[async_trait]
impl Rig for SandboxRig {
    const LACKS: &'static [Lack] =
        &[Lack::Callbacks, Lack::Verification, Lack::Credential, Lack::Uncertainty, Lack::Faults];

    async fn new() -> Self {
        Self { log: Arc::new(SandboxLog::new(1_000)) }
    }

    fn connect(&self) -> Arc<dyn Connector> {
        let spec = AccountSpec {
            id: AccountId::parse(ACCOUNT).unwrap(),
            platform: Sandbox::PLATFORM.to_owned(),
            settings: json!({}),
            secrets: Vec::new(),
            limits: Vec::new(),
            group_limits: Vec::new(),
        };
        Arc::new(Sandbox::build(&spec, &Clock::manual(NOW_MS), &self.log).unwrap())
    }

    fn genuine(&self) -> Vec<Genuine> {
        Vec::new()
    }

    fn again(&self, nth: usize) -> Raw {
        panic!("there is no callback {nth}");
    }

    fn forged(&self) -> Vec<(&'static str, Raw)> {
        let raw = |method: Method, body: &str| Raw {
            method,
            path: String::new(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: body.into(),
        };
        let event = r#"{"id":"e-1","group":"g-1","type":"message","member":"u-1","text":"一段不该被重复的很长的文字"}"#;
        vec![("an event without a token", raw(Method::POST, event)), ("a look", raw(Method::GET, ""))]
    }

    fn verification(&self) -> Vec<(Raw, Vec<u8>)> {
        Vec::new()
    }

    fn text(&self, number: u32, bytes: usize) -> Delivery {
        delivery(number, "g-1", Payload::text("a".repeat(bytes)))
    }

    fn contents(&self) -> Vec<Delivery> {
        vec![delivery(1, "g-1", markdown("**你好**"))]
    }

    fn group(&self) -> String {
        "g-1".to_owned()
    }

    fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }

    async fn let_fail(&self, _: Option<&'static str>) {}

    async fn reached(&self) -> usize {
        usize::try_from(self.log.recorded()).unwrap()
    }

    async fn void_credential(&self) {}

    async fn credentials_given(&self) -> usize {
        0
    }
}

all!(SandboxRig);
