//! One thing to be sent, what the platform made of it, and the trait a platform implements for it.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::event::{AccountId, ActionKind, BroadcastId, DeliveryId};

/// Who goes first when a limit is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Moderation actions, welcome codes that expire in seconds.
    Urgent,
    /// Replies and welcomes.
    Normal,
    /// Broadcasts.
    Bulk,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Payload {
    /// Say something in the group.
    Text {
        /// Our own text, variables filled in.
        text: String,
        /// The platform's one-time code to say it with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        welcome_code: Option<String>,
        /// What goes with it in the same call: with a code, as that works once, or in a task that a person confirms.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<Content>,
    },
    /// Say something that is more than text: to a group, a robot's group, or the delivery's `member`.
    Content {
        /// What.
        content: Content,
    },
    /// Create a task by which a person sends the same to several of the groups they own (群发任务).
    MassSend {
        /// The owner who is to confirm it.
        sender: String,
        /// The groups, each with its target's number in the broadcast, at most as many as the platform takes at once.
        targets: Vec<(u32, String)>,
        /// Our own text, variables filled in; may be empty where something goes with it.
        text: String,
        /// What goes with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<Content>,
    },
    /// Change the text of what we said before.
    Edit {
        /// The platform's id of the message; where it gave none, the delivery's.
        of: String,
        /// Our own text, variables filled in.
        text: String,
    },
    /// Act on a message or a member.
    Action {
        /// What.
        action: ActionKind,
        /// The platform's id of the message; of one of our own to which it gave none, the delivery's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
    },
}

impl Payload {
    /// A text for a group.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), welcome_code: None, attachments: Vec::new() }
    }
}

/// Something to be said that is more than text, in the platforms' common shapes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// Plain text.
    Text {
        /// The text.
        text: String,
        /// Ids of staff to be named with @, or `@all`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<String>,
    },
    /// Text with marks.
    Markdown {
        /// The text in the platform's own dialect.
        text: String,
    },
    /// A picture.
    Image {
        /// The picture.
        media: Media,
    },
    /// A recording.
    Voice {
        /// The recording.
        media: Media,
    },
    /// A film.
    Video {
        /// The film.
        media: Media,
        /// Shown above it.
        #[serde(default)]
        title: String,
        /// Shown below it.
        #[serde(default)]
        description: String,
    },
    /// Any file.
    File {
        /// The file.
        media: Media,
    },
    /// A link with title and picture.
    Link {
        /// The link.
        link: Article,
    },
    /// A mini program's card.
    Miniprogram {
        /// The card.
        miniprogram: Miniprogram,
    },
    /// A picture, recording, film or file that lies at an address.
    Reference {
        /// What lies there.
        of: FileKind,
        /// Its name, with its ending.
        name: String,
        /// Where it lies.
        url: String,
    },
    /// Links with titles and pictures.
    News {
        /// One to eight of them.
        articles: Vec<Article>,
    },
    /// A card in the platform's own form.
    Card {
        /// The card, as the platform describes it.
        #[schema(value_type = Object)]
        card: serde_json::Value,
    },
}

impl Content {
    /// Returns its words, for those who judge or list them: what people will read of it.
    pub fn words(&self) -> String {
        match self {
            Content::Text { text, .. } | Content::Markdown { text } => text.clone(),
            Content::Image { media } | Content::Voice { media } | Content::File { media } => {
                media.name.clone()
            }
            Content::Video { media, title, description } => {
                [&media.name, title, description].map(String::as_str).join("\n")
            }
            Content::Link { link } => link.words(),
            Content::Miniprogram { miniprogram } => miniprogram.title.clone(),
            Content::Reference { name, url, .. } => [name.as_str(), url].join("\n"),
            Content::News { articles } => articles.iter().map(Article::words).collect::<Vec<_>>().join("\n"),
            Content::Card { card } => strings(card).join("\n"),
        }
    }
}

fn strings(value: &serde_json::Value) -> Vec<&str> {
    match value {
        serde_json::Value::String(text) => vec![text],
        serde_json::Value::Array(values) => values.iter().flat_map(strings).collect(),
        serde_json::Value::Object(fields) => fields.values().flat_map(strings).collect(),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Vec::new(),
    }
}

/// Bytes to be shown, heard or kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// Name of the file, with its ending.
    pub name: String,
    /// The bytes in standard base64.
    pub base64: String,
}

/// A link with title and picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Article {
    /// Title.
    pub title: String,
    /// Some words more.
    #[serde(default)]
    pub description: String,
    /// Where it leads.
    pub url: String,
    /// Address of the picture.
    #[serde(default)]
    pub picture_url: String,
}

impl Article {
    fn words(&self) -> String {
        [self.title.as_str(), &self.description, &self.url].join("\n")
    }
}

/// The card of a mini program (小程序).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Miniprogram {
    /// Which program.
    pub appid: String,
    /// The page it opens at.
    #[serde(default)]
    pub page: String,
    /// What people read on it.
    pub title: String,
    /// Address of the picture.
    #[serde(default)]
    pub picture_url: String,
}

/// What lies at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A picture.
    Image,
    /// A recording.
    Voice,
    /// A film.
    Video,
    /// Any file.
    File,
}

/// One thing to be sent. Its JSON is the ledger's `body` (for all but broadcast targets).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Stable over attempts and restarts.
    pub id: DeliveryId,
    /// Through which account.
    pub account: AccountId,
    /// To which group; empty for a one-to-one welcome.
    pub group: String,
    /// About or to which member.
    pub member: Option<String>,
    /// `broadcast`, `edit`, `mass_target`, `mass_send`, `reply`, `welcome`, `warning`, `journey`, or an action's kind.
    pub kind: String,
    /// Which rule or policy asked for it; empty for broadcasts.
    #[serde(default)]
    pub rule: String,
    /// Who goes first.
    pub priority: Priority,
    /// What is to be done.
    pub payload: Payload,
    /// The broadcast and the target's number in it.
    pub broadcast: Option<(BroadcastId, u32)>,
    /// Pointless after; 0 for never.
    pub expires_ms: i64,
    /// What one call costs of the platform's limits.
    pub cost: u32,
}

/// What one call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The platform took it.
    Sent {
        /// The platform's id for it, if it gave one.
        platform_id: Option<String>,
    },
    /// The platform took it; a person must still confirm it there.
    AwaitingConfirmation {
        /// The platform's id of the task.
        platform_id: String,
    },
    /// The call was made and nobody knows what became of it (time-out after sending, reset).
    Uncertain {
        /// What was seen, without message text.
        detail: String,
    },
    /// It was not sent.
    Refused(Refusal),
}

/// Why a call was refused and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What to do.
    pub decision: Decision,
    /// Whose limit or credential it is about.
    pub scope: RefusalScope,
    /// The platform's code, or ours (`http_503`, `connect`, `ssrf`).
    pub code: String,
    /// In words, without message text.
    pub detail: String,
}

/// What to do after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this long (the platform said so).
    After(Duration),
    /// Try again with growing delays.
    Backoff,
    /// Never: a dead letter.
    Never,
    /// Refresh the credential, then try again once.
    RefreshCredential,
    /// Stop the lane until a person has looked.
    PauseLane,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalScope {
    /// This delivery only.
    Delivery,
    /// Everything to this group.
    Group,
    /// Everything through this account.
    Account,
}

/// What is known of an uncertain delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The platform says it has it.
    Sent,
    /// The platform has it, as a task that a person must confirm.
    Awaiting {
        /// The platform's id of the task.
        platform_id: String,
    },
    /// The platform says it has not.
    NotSent,
    /// The platform recognises the id: sending again cannot double it.
    SafeToRepeat,
    /// Nobody can say: shown to the operator, never sent again blindly.
    Unknown,
    /// The platform could not be asked now: away, or a limit of the question is used up. Asked again, however often.
    NotAsked,
}

/// What the first call for a delivery would say, in the platform's own words.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendering {
    /// The platform's interface.
    pub call: &'static str,
    /// What is sent, but for credentials and for ids of files that are uploaded first.
    pub body: serde_json::Value,
}

/// One account's way out, implemented by its connector.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Makes one call. Bounded in time; never panics on what the platform answers.
    async fn deliver(&self, delivery: &Delivery, attempt: u32) -> Outcome;

    /// Returns what the call costs of the platform's limits, where it is not what the delivery says: a message to 200
    /// people may cost 200. Neither I/O nor waiting.
    fn cost(&self, delivery: &Delivery) -> u32 {
        delivery.cost
    }

    /// Returns what the first call for a delivery would say, written by the same code that writes the call. Neither I/O nor
    /// waiting.
    ///
    /// # Errors
    /// With the refusal that [`Self::deliver`] would come to before any call.
    fn render(&self, delivery: &Delivery) -> Result<Rendering, Refusal> {
        Err(Refusal {
            decision: Decision::Never,
            scope: RefusalScope::Delivery,
            code: "not_shown".to_owned(),
            detail: format!("the platform does not show a `{}` before it is sent", delivery.kind),
        })
    }

    /// Finds out about an uncertain delivery.
    async fn resolve(&self, delivery: &Delivery) -> Resolution;
}
