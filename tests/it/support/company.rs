//! A company on a simulated WeCom, and the account that connects it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::Method;
use loadtest::wecom::{Act, Deed, SimConfig, Simulator};
use serde_json::{Value, json};

use super::client::Client;
use super::gateway::Gateway;
use super::{eventually, within};

/// The account that connects it.
pub(crate) const ACCOUNT: &str = "wecom";

/// The simulated company, and what its people did.
pub(crate) struct Company {
    pub(crate) platform: Simulator,
    config: SimConfig,
    /// Groups and who was in them at the start: nobody else leaves, so that no coming and going falls between two looks.
    pub(crate) chats: Vec<String>,
    settled: BTreeMap<String, Vec<String>>,
    pub(crate) joins: u64,
    pub(crate) leaves: u64,
    turn: usize,
}

impl Company {
    pub(crate) async fn start(config: SimConfig) -> Self {
        let platform = Simulator::start(config.clone()).await.unwrap();
        let settled: BTreeMap<String, Vec<String>> = rosters(&platform)
            .into_iter()
            .map(|(chat, members)| (chat, members.into_iter().filter(|id| is_customer(id)).collect()))
            .collect();
        let chats = settled.keys().cloned().collect();
        Self { platform, config, chats, settled, joins: 0, leaves: 0, turn: 0 }
    }

    /// Makes the account; the gateway needs the company's address and secrets for it.
    pub(crate) async fn connect(&self, gateway: &Gateway) {
        let app = &self.config.apps[0];
        let account = json!({
            "platform": "wecom",
            "settings": {"corp_id": self.config.corpid, "agent_id": app.agentid, "api_url": self.platform.url()},
            "secrets": [
                {"name": "app_secret", "value": app.secret},
                {"name": "callback_token", "value": app.token},
                {"name": "callback_key", "value": app.aes_key},
            ],
        });
        gateway.client.expect(201, Method::PUT, &format!("/v1/accounts/{ACCOUNT}"), &account).await;
        self.save_callback(gateway).await;
    }

    /// Saves the gateway's address in the console; after a restart it has another one.
    pub(crate) async fn save_callback(&self, gateway: &Gateway) {
        let url = format!("{}/hooks/{ACCOUNT}", gateway.client.base());
        self.platform.register_callback(&self.config.apps[0].name, &url).await.unwrap();
    }

    fn next_chat(&mut self) -> String {
        self.turn = (self.turn + 7919) % self.chats.len();
        self.chats[self.turn].clone()
    }

    /// Lets so many new people come into some group.
    pub(crate) fn join(&mut self, newcomers: usize) -> Deed {
        let join = Act::Join {
            chat_id: self.next_chat(),
            members: Vec::new(),
            newcomers,
            scene: 3,
            inviter: None,
            state: "spring".to_owned(),
        };
        let deed = self.platform.act(join).unwrap();
        self.joins += deed.members.len() as u64;
        deed
    }

    /// Lets somebody go who has been there from the start.
    pub(crate) fn leave(&mut self) -> Option<Deed> {
        let chat_id = self.next_chat();
        let member = self.settled.get_mut(&chat_id)?.pop()?;
        let deed = self.platform.act(Act::Leave { chat_id, members: vec![member], removed: false }).unwrap();
        self.leaves += deed.members.len() as u64;
        Some(deed)
    }

    /// An hour's ordinary coming and going, in a moment.
    pub(crate) fn bustle(&mut self, times: usize) {
        for nth in 0..times {
            self.join(1 + nth % 3);
            if nth % 2 == 0 {
                self.leave();
            }
        }
    }

    /// Somebody adds an owner as a contact; returns the customer.
    pub(crate) fn add_contact(&mut self, nth: usize) -> Deed {
        let userid = format!("owner{:05}", nth % self.config.population.owners);
        let add = Act::AddContact {
            userid,
            external_userid: None,
            state: "card".to_owned(),
            half: false,
            without_code: false,
        };
        self.platform.act(add).unwrap()
    }

    /// Waits until both sides name the same people in every group; panics with the first difference.
    pub(crate) async fn agrees_with(&self, client: &Client) {
        let truth = rosters(&self.platform);
        let mut checked = BTreeSet::new();
        for (chat, members) in &truth {
            // An interface that the platform closed is asked again in its next window, a minute long.
            within(Duration::from_secs(90), &format!("the roster of {chat} agrees"), || async {
                (roster(client, chat).await == *members).then_some(())
            })
            .await;
            checked.insert(chat);
        }
        assert_eq!(checked.len(), truth.len());
    }
}

/// Customers are told from staff by who is on the payroll.
fn is_customer(id: &str) -> bool {
    !id.starts_with("owner")
}

/// Everybody who is in a group of the platform now.
pub(crate) fn rosters(platform: &Simulator) -> BTreeMap<String, BTreeSet<String>> {
    platform.with(|world| {
        let groups = world.groups.all().filter(|(_, group)| !group.now.is_dismissed);
        groups
            .map(|(number, group)| {
                let members = group.now.members.iter().map(|member| world.people.id_of(member.person()));
                (world.groups.chat_id(number), members.collect())
            })
            .collect()
    })
}

/// Everybody who is in a group by the gateway's roster.
pub(crate) async fn roster(client: &Client, chat: &str) -> BTreeSet<String> {
    let mut members = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/v1/groups/{ACCOUNT}/{chat}/members?limit=1000{cursor}")).await;
        for member in page["items"].as_array().unwrap() {
            if member["present"] == true {
                members.insert(member["member"].as_str().unwrap().to_owned());
            }
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return members,
        }
    }
}

/// Starts a full reading and waits for its end.
pub(crate) async fn sync(client: &Client) -> Value {
    let path = format!("/v1/accounts/{ACCOUNT}/sync");
    client.send(Method::POST, &path, &[("content-type", "application/json")], "{}").await.unwrap();
    eventually("the sync is done", || async {
        let state = client.get(&path).await;
        (state["state"] == "done").then_some(state)
    })
    .await
}

/// The settings of a gateway that talks to platforms on this machine, at a time of the rehearsal.
pub(crate) fn environment(ahead: Duration) -> Vec<(String, String)> {
    let ahead = format!("{}s", ahead.as_secs());
    [
        ("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#),
        ("MENSHEN_DRAIN__DELAY", "0s"),
        ("MENSHEN_LOG__LEVEL", "warn"),
        ("MENSHEN_ACCESS__REQUESTS", "pace:1000000/m,max_burst=100000"),
        ("MENSHEN_SERVER__CLOCK_AHEAD", &ahead),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec()
}
