//! The suite over the simulated WeCom, once for each way of saying something: to a member of staff, into a group our app
//! made, through a robot.
//!
//! Callbacks are sealed by the simulator's own cipher, so that ours is not only right about itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, Method};
use loadtest::wecom::machines::{Robot, RobotState};
use loadtest::wecom::{Cipher, Population, SimConfig, Simulator};
use serde_json::json;

use super::Wecom;
use crate::clock::Clock;
use crate::connectors::conformance::{ACCOUNT, Fault, Genuine, Lack, NOW_MS, Raw, Rig, all, delivery};
use crate::connectors::testing::MemoryState;
use crate::connectors::{AccountSpec, Config, Connector, Secret};
use crate::event::{AccountId, EventType};
use crate::outbox::delivery::{Article, Content, Decision, Delivery, Media, Outcome, Payload, RefusalScope};

const STAFF: u8 = 0;
const OWN_GROUP: u8 = 1;
const ROBOT: u8 = 2;

const CHAT: &str = "team1";
const ROBOT_KEY: &str = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
const CUSTOMER_GROUP: &str = "wrCONFORMANT";
/// What is under test is the connector; the real limits of robots would only make the suite wait.
const LIMITS_SCALE: f64 = 50.0;

/// One account and its company. `WAY` is how texts are said.
struct WecomRig<const WAY: u8> {
    platform: Simulator,
    config: SimConfig,
    state: MemoryState,
}

impl<const WAY: u8> WecomRig<WAY> {
    fn cipher(&self) -> Cipher {
        let app = &self.config.apps[0];
        Cipher::new(&app.token, &app.aes_key, &self.config.corpid).unwrap()
    }

    fn app(&self) -> &loadtest::wecom::AppConfig {
        &self.config.apps[0]
    }

    /// Seals a message as the platform does; each `round` draws other random bytes and another nonce.
    fn sealed(&self, message: &str, round: u8) -> Raw {
        self.sealed_with(&self.cipher(), message, round)
    }

    fn sealed_with(&self, cipher: &Cipher, message: &str, round: u8) -> Raw {
        let encrypt = cipher.encrypt(message.as_bytes(), [round; 16]);
        let (timestamp, nonce) = ((NOW_MS / 1_000 + i64::from(round)).to_string(), format!("n{round}"));
        let signature = cipher.sign(&timestamp, &nonce, &encrypt);
        let corp = &self.config.corpid;
        let body = format!(
            "<xml><ToUserName><![CDATA[{corp}]]></ToUserName><AgentID><![CDATA[1000002]]></AgentID>\
             <Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
        );
        Raw {
            method: Method::POST,
            path: String::new(),
            query: format!("msg_signature={signature}&timestamp={timestamp}&nonce={nonce}"),
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    fn event(&self, event: &str, second: i64, fields: &str) -> String {
        let (corp, at) = (&self.config.corpid, NOW_MS / 1_000 + second);
        format!(
            "<xml><ToUserName><![CDATA[{corp}]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>\
             <CreateTime>{at}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{event}]]></Event>\
             {fields}</xml>"
        )
    }

    /// Every kind of event; joins of one second that differ in members alone, and in versions alone.
    fn messages(&self) -> Vec<(String, Vec<EventType>)> {
        use EventType as E;
        let chat = |second, change: &str, fields: &str| {
            let fields = format!(
                "<ChatId><![CDATA[{CUSTOMER_GROUP}]]></ChatId><ChangeType><![CDATA[{change}]]></ChangeType>{fields}"
            );
            self.event("change_external_chat", second, &fields)
        };
        let members = |detail: &str, members: &[&str], from: char, to: char| {
            let items: String =
                members.iter().flat_map(|member| ["<Item><![CDATA[", member, "]]></Item>"]).collect();
            let version = |c: char| c.to_string().repeat(32);
            let fields = format!(
                "<UpdateDetail><![CDATA[{detail}]]></UpdateDetail><JoinScene>3</JoinScene><QuitScene>0</QuitScene>\
                 <MemChangeCnt>{}</MemChangeCnt><MemChangeList>{items}</MemChangeList>\
                 <LastMemVer><![CDATA[{}]]></LastMemVer><CurMemVer><![CDATA[{}]]></CurMemVer>",
                members.len(),
                version(from),
                version(to)
            );
            chat(1, "update", &fields)
        };
        let contact = |change: &str, customer: &str, fields: &str| {
            let fields = format!(
                "<ChangeType><![CDATA[{change}]]></ChangeType><UserID><![CDATA[owner00000]]></UserID>\
                 <ExternalUserID><![CDATA[{customer}]]></ExternalUserID>{fields}"
            );
            self.event("change_external_contact", 2, &fields)
        };
        let code = "<State><![CDATA[card]]></State><WelcomeCode><![CDATA[a-code]]></WelcomeCode>";
        let tag = "<Id><![CDATA[et1]]></Id><TagType><![CDATA[tag]]></TagType><ChangeType><![CDATA[create]]></ChangeType>";
        vec![
            // The second asks for a reading: who is in it, the callback does not say.
            (chat(0, "create", ""), vec![E::GroupCreated, E::GroupUpdated]),
            (members("add_member", &["wmA", "wmB"], 'a', 'b'), vec![E::MemberJoined, E::MemberJoined]),
            (members("add_member", &["wmC"], 'b', 'c'), vec![E::MemberJoined]),
            (members("del_member", &["wmC"], 'c', 'd'), vec![E::MemberLeft]),
            // The same second, group and member as two above; only the versions tell that it happened again.
            (members("add_member", &["wmC"], 'd', 'e'), vec![E::MemberJoined]),
            (contact("add_external_contact", "wmD", code), vec![E::ContactAdded]),
            (contact("del_follow_user", "wmD", ""), vec![E::ContactRemoved]),
            (contact("del_external_contact", "wmE", ""), vec![E::ContactRemoved]),
            (contact("msg_audit_approved", "wmE", ""), vec![E::ConsentChanged]),
            (self.event("change_external_tag", 3, tag), vec![E::TagsChanged]),
            (chat(4, "dismiss", ""), vec![E::GroupDismissed]),
        ]
    }

    fn to_whom(number: u32, payload: Payload) -> Delivery {
        match WAY {
            STAFF => Delivery {
                // Each to somebody else: WeCom drops what one member gets too often, without a word.
                member: Some(format!("owner{:05}", number % 1_000)),
                ..delivery(number, "", payload)
            },
            OWN_GROUP => delivery(number, &format!("appchat:{CHAT}"), payload),
            ROBOT => delivery(number, "robot:watch", payload),
            other => panic!("no way {other}"),
        }
    }

    fn api() -> &'static str {
        match WAY {
            STAFF => "message/send",
            OWN_GROUP => "appchat/send",
            _ => "webhook/send",
        }
    }
}

fn media(name: &str, base64: &str) -> Media {
    Media { name: name.to_owned(), base64: base64.to_owned() }
}

/// The smallest PNG there is.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn is_refused(outcome: &Outcome, decision: fn(&Decision) -> bool) -> bool {
    matches!(outcome, Outcome::Refused(refusal) if decision(&refusal.decision))
}

fn is_uncertain(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Uncertain { .. })
}

fn is_sent(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Sent { .. })
}

/// The account cannot go on until somebody has clicked.
fn stops_the_account(outcome: &Outcome) -> bool {
    let Outcome::Refused(refusal) = outcome else { return false };
    refusal.scope == RefusalScope::Account
        && matches!(refusal.decision, Decision::PauseLane | Decision::Never)
        && !refusal.detail.is_empty()
}

#[async_trait]
impl<const WAY: u8> Rig for WecomRig<WAY> {
    const LACKS: &'static [Lack] = if WAY == ROBOT { &[Lack::Credential] } else { &[] };

    async fn new() -> Self {
        let mut config = SimConfig {
            population: Population { owners: 1_000, groups: 3, members: 30, contacts: 0 },
            ..SimConfig::default()
        };
        config.limits.scale = LIMITS_SCALE;
        config.acting.robots = vec![Robot {
            key: ROBOT_KEY.to_owned(),
            group: "watch".to_owned(),
            state: RobotState::default(),
        }];
        let rig = Self {
            platform: Simulator::start(config.clone()).await.unwrap(),
            config,
            state: MemoryState::default(),
        };
        if WAY == OWN_GROUP {
            let connector = rig.connect();
            let staff = ["owner00000".to_owned(), "owner00001".to_owned()];
            connector.own_groups().unwrap().create("team", None, &staff, Some(CHAT)).await.unwrap();
        }
        rig
    }

    fn connect(&self) -> Arc<dyn Connector> {
        let app = self.app();
        let spec = AccountSpec {
            id: AccountId::parse(ACCOUNT).unwrap(),
            platform: Wecom::PLATFORM.to_owned(),
            settings: json!({"corp_id": self.config.corpid, "agent_id": app.agentid, "api_url": self.platform.url()}),
            secrets: vec![
                Secret::new("app_secret", app.secret.as_str()),
                Secret::new("callback_token", app.token.as_str()),
                Secret::new("callback_key", app.aes_key.as_str()),
                Secret::new("robot:watch", ROBOT_KEY),
            ],
            limits: Vec::new(),
            group_limits: Vec::new(),
        };
        let config = Config {
            allow_private: vec!["127.0.0.0/8".parse().unwrap()],
            connect_timeout: Duration::from_secs(2),
            total_timeout: Duration::from_secs(2),
            ..Config::default()
        };
        Arc::new(Wecom::build(&spec, &config, &Clock::system(), Arc::new(self.state.clone())).unwrap())
    }

    fn genuine(&self) -> Vec<Genuine> {
        self.messages()
            .into_iter()
            .map(|(message, events)| Genuine { raw: self.sealed(&message, 1), events })
            .collect()
    }

    /// A retry may be sealed anew: other random bytes, time and nonce around the same message.
    fn again(&self, nth: usize) -> Raw {
        self.sealed(&self.messages()[nth].0, 2)
    }

    fn forged(&self) -> Vec<(&'static str, Raw)> {
        let app = self.app();
        let message = self.messages()[0].0.clone();
        let genuine = self.sealed(&message, 3);
        let by = |token: &str, key: &str, id: &str| {
            self.sealed_with(&Cipher::new(token, key, id).unwrap(), &message, 3)
        };
        let cut = String::from_utf8(genuine.body.clone()).unwrap().replacen(
            "<Encrypt><![CDATA[",
            "<Encrypt><![CDATA[AAAA",
            1,
        );
        vec![
            ("unsigned", Raw { query: String::new(), ..genuine.clone() }),
            ("another token", by("SomebodyElses1", &app.aes_key, &self.config.corpid)),
            (
                "another key",
                by(&app.token, "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", &self.config.corpid),
            ),
            ("for another corp", by(&app.token, &app.aes_key, "ww0000000000000000")),
            ("changed ciphertext", Raw { body: cut.into(), ..genuine.clone() }),
            ("no envelope", Raw { body: b"hello".to_vec(), ..genuine.clone() }),
            ("another method", Raw { method: Method::PUT, ..genuine }),
        ]
    }

    fn verification(&self) -> Vec<(Raw, Vec<u8>)> {
        let request = |echo: &str| {
            let cipher = self.cipher();
            let encrypt = cipher.encrypt(echo.as_bytes(), [9; 16]);
            let signature = cipher.sign("1795312800", "7", &encrypt);
            let escaped = encrypt.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
            let query = format!("msg_signature={signature}&timestamp=1795312800&nonce=7&echostr={escaped}");
            let raw = Raw {
                method: Method::GET,
                path: String::new(),
                query,
                headers: HeaderMap::new(),
                body: Vec::new(),
            };
            (raw, echo.as_bytes().to_vec())
        };
        vec![request("1616140317555161061"), request("回声 +/= \n"), request("")]
    }

    fn text(&self, number: u32, bytes: usize) -> Delivery {
        // No two alike: a platform that drops what it has heard before must not drop these.
        let text: String = format!("{number:08}").chars().cycle().take(bytes).collect();
        Self::to_whom(number, Payload::text(text))
    }

    fn contents(&self) -> Vec<Delivery> {
        let article = Article {
            title: "标题".to_owned(),
            description: "说明".to_owned(),
            url: "https://example.com/a".to_owned(),
            picture_url: String::new(),
        };
        let mut contents = vec![
            Content::Markdown { text: "**你好**".to_owned() },
            Content::Image { media: media("一.png", PNG) },
            Content::File { media: media("说明.txt", "5L2g5aW95LiW55WM") },
            Content::Link { link: article.clone() },
            Content::News { articles: vec![article] },
        ];
        if WAY == ROBOT {
            contents.push(Content::Text { text: "你好".to_owned(), mentions: vec!["@all".to_owned()] });
        }
        (1..).zip(contents).map(|(n, content)| Self::to_whom(n, Payload::Content { content })).collect()
    }

    fn group(&self) -> String {
        CUSTOMER_GROUP.to_owned()
    }

    fn faults(&self) -> Vec<Fault> {
        let fault = |name, takes_effect, expect| Fault { name, takes_effect, expect };
        let mut faults = vec![
            fault("errcode=-1@first:1", true, is_sent), // busy once: the client tries again by itself
            fault("errcode=40058@first:1", false, |outcome| {
                is_refused(outcome, |decision| *decision == Decision::Never)
            }),
            fault("503@always", false, |outcome| {
                is_refused(outcome, |decision| matches!(decision, Decision::Backoff | Decision::After(_)))
            }),
            fault("hang@first:1", true, is_uncertain),
            fault("reset@first:1", true, is_uncertain),
            fault("cut@first:1", false, is_uncertain),
        ];
        if WAY != ROBOT {
            faults.push(fault("errcode=60020@first:1", false, stops_the_account));
            faults.push(fault("errcode=50003@first:1", false, stops_the_account));
            faults.push(fault("errcode=48002@first:1", false, |outcome| {
                is_refused(outcome, |decision| matches!(decision, Decision::Never | Decision::PauseLane))
            }));
            faults.push(fault("errcode=42001@first:1", true, is_sent));
            faults.push(fault("errcode=40014@first:1", true, is_sent));
        }
        // Last: the interface stays closed for its minute, and a new connector remembers that.
        faults.push(fault("errcode=45009@first:1", false, |outcome| {
            is_refused(outcome, |decision| matches!(decision, Decision::After(wait) if wait.as_secs() >= 50))
        }));
        faults
    }

    async fn let_fail(&self, fault: Option<&'static str>) {
        let script = fault.map(|fault| format!("{}:{}", Self::api(), fault.replace("@always", "")));
        self.platform.set_faults(script.iter().map(|text| text.parse().unwrap()).collect());
    }

    async fn reached(&self) -> usize {
        usize::try_from(self.platform.report().ledger.sends).unwrap()
    }

    async fn void_credential(&self) {
        self.platform.with(|world| world.tokens.void(0));
    }

    async fn credentials_given(&self) -> usize {
        let given = self.platform.with(|world| world.ledger.count("gettoken", "0"));
        usize::try_from(given).unwrap()
    }
}

mod to_staff {
    use super::{STAFF, WecomRig, all};
    all!(WecomRig<STAFF>);
}

mod into_own_groups {
    use super::{OWN_GROUP, WecomRig, all};
    all!(WecomRig<OWN_GROUP>);
}

mod by_robots {
    use super::{ROBOT, WecomRig, all};
    all!(WecomRig<ROBOT>);
}
