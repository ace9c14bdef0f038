//! What follows from an event, as values: decided by `pipeline`, written by the journal, folded by everybody else.
//!
//! Every kind of durable state of the design has its record here, also those whose feature comes later, so that the
//! journal's format need not change for them. A record's body is postcard; fields are only ever added in a new kind.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

use super::advert::{CaseSizeFact, SightedFact, TraitsFact};
use super::owned::owned;
use super::unsaid::{OverturnedFact, UnsaidFact};
use super::{
    ActionKind, AnsweredFact, ContactEnd, ContentFact, EventKey, EventType, HandOverFact, Level, Role,
    RosterMember, Status, TalkFact, Verdict, Via,
};

/// Everything that one event caused; one journal record.
#[derive(Clone, Debug, PartialEq)]
pub struct Effects<'a> {
    /// The event itself: identity, time, place, decision.
    pub head: Head<'a>,
    /// What else follows, in order.
    pub facts: Vec<Fact<'a>>,
}

/// The part that every event has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head<'a> {
    /// Identity, by which a repeat is known.
    pub key: EventKey,
    /// When it happened by the platform's clock (or arrival, when the platform gave none).
    pub at_ms: i64,
    /// When it reached us.
    pub arrived_ms: i64,
    /// Which account it came through.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// Which group; empty for `contact_added` and for what the fleet stage decides.
    #[serde(borrow)]
    pub group: Cow<'a, str>,
    /// Which member.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub member: Option<Cow<'a, str>>,
    /// The member's display name, where given.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub name: Option<Cow<'a, str>>,
    /// The member's role.
    pub role: Role,
    /// What kind of event.
    pub what: EventType,
    /// `counted` or `late`; a duplicate leaves no record.
    pub status: Status,
    /// The decision.
    pub verdict: Verdict,
    /// It changed an hour that had ended when it arrived.
    pub revised: bool,
    /// Keyed hash of the folded text, for what spans groups; only of texts long enough to mean something.
    pub fingerprint: Option<u64>,
}

/// Something that follows from an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<'a> {
    /// The roster changed.
    Member(MemberFact<'a>),
    /// The group changed.
    Group(GroupFact<'a>),
    /// A listed term was found.
    Hit(HitFact<'a>),
    /// The platform is asked to act.
    Action(ActionFact<'a>),
    /// Something is to be said.
    Send(SendFact<'a>),
    /// Something is to be said that is more than text.
    Attach(AttachFact<'a>),
    /// Cooldowns, bursts, ladders, journeys: small state that must survive a restart.
    State(StateFact<'a>),
    /// A person added a staff member.
    Contact(ContactFact<'a>),
    /// A member's consent changed.
    Consent(ConsentFact),
    /// A business result.
    Outcome(OutcomeFact<'a>),
    /// An earlier message was edited or recalled.
    Revision(RevisionFact<'a>),
    /// A person should look.
    Review(ReviewFact<'a>),
    /// The same advert in many groups.
    Case(CaseFact<'a>),
    /// Someone is to be kept out of every group.
    Kick(KickFact<'a>),
    /// An account was silent: no protection for a time.
    Silence(SilenceFact),
    /// Original text was kept, encrypted, in the evidence store.
    Evidence(EvidenceFact<'a>),
    /// The platform's own list of members, as far as it differed from what we knew.
    Roster(RosterFact<'a>),
    /// A person and a staff member are no longer in contact.
    ContactEnd(ContactEndFact<'a>),
    /// The account's tags for contacts changed.
    Tags(TagsFact<'a>),
    /// Somebody else's verdict on an earlier message.
    LateVerdict(LateVerdictFact<'a>),
    /// A term of a list that is not in force here was found: counted by list, and nothing else.
    ShadowHit(HitFact<'a>),
    /// By which rules a message was held up.
    Judged(JudgedFact<'a>),
    /// Which message it is that a person should look at.
    Held(HeldFact<'a>),
    /// Members did not get to see a message after all, or no longer.
    Unsaid(UnsaidFact),
    /// What a customer's message carried that limits of conduct count.
    Carried(CarriedFact),
    /// By what a customer's message is known again in other groups.
    Traits(TraitsFact<'a>),
    /// A message belongs to a case of the fleet stage.
    Sighted(SightedFact<'a>),
    /// How large a case of the fleet stage has become.
    CaseSize(CaseSizeFact<'a>),
    /// What a message is in its group's talk.
    Talk(TalkFact<'a>),
    /// A member's talk with us goes on with staff.
    HandOver(HandOverFact<'a>),
    /// A message is not only text.
    Content(ContentFact<'a>),
    /// Staff spoke where questions waited.
    Answered(AnsweredFact),
    /// A person found that hits were wrong.
    Overturned(OverturnedFact<'a>),
}

/// The number of a record's kind on disk. From 128 on a reader that does not know the kind may skip it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the number of the variant of `Fact` with the same name")]
#[repr(u8)]
pub enum FactKind {
    Head = 1,
    Member = 2,
    Group = 3,
    Hit = 4,
    Action = 5,
    Send = 6,
    State = 7,
    Contact = 8,
    Consent = 9,
    Outcome = 10,
    Revision = 11,
    Review = 12,
    Case = 13,
    Kick = 14,
    Silence = 15,
    Evidence = 16,
    Roster = 17,
    ContactEnd = 18,
    Tags = 19,
    LateVerdict = 20,
    ShadowHit = 128,
    Carried = 129,
    Traits = 130,
    Sighted = 131,
    CaseSize = 132,
    Talk = 140,
    HandOver = 141,
    Held = 142,
    Content = 143,
    Answered = 144,
    Overturned = 145,
    Judged = 24,
    Attach = 25,
    Unsaid = 26,
}

/// A member joined or left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberFact<'a> {
    /// `true` for joined.
    pub joined: bool,
    /// Who invited them.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub inviter: Option<Cow<'a, str>>,
    /// How they came in.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub scene: Option<Cow<'a, str>>,
    /// Channel code they came by.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub channel: Option<Cow<'a, str>>,
    /// Why they left.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub reason: Option<Cow<'a, str>>,
    /// The platform's id of the person over all groups, where it gives one.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub union_id: Option<Cow<'a, str>>,
    /// Found by comparing rosters.
    pub inferred: bool,
}

/// A group's properties changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupFact<'a> {
    /// New display name.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub name: Option<Cow<'a, str>>,
    /// New owner.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub owner: Option<Cow<'a, str>>,
    /// The group is gone.
    pub dismissed: bool,
}

/// A hit as it may be kept: never the text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HitFact<'a> {
    /// Wordlist.
    #[serde(borrow)]
    pub wordlist: Cow<'a, str>,
    /// Stable id of the term: a hash of its wordlist and its folded form.
    pub term: u64,
    /// Category.
    #[serde(borrow)]
    pub category: Cow<'a, str>,
    /// Level.
    pub level: Level,
    /// Bytes of the original text, half-open.
    pub span: (u32, u32),
    /// Foldings.
    pub via: Vec<Via>,
}

/// An act asked of the platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionFact<'a> {
    /// Position among the event's deliveries: with the event's key the delivery's stable id.
    pub index: u16,
    /// What.
    pub kind: ActionKind,
    /// The platform's id of the message it is about.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub of: Option<Cow<'a, str>>,
    /// What asked for it: a policy or a rule.
    #[serde(borrow)]
    pub rule: Cow<'a, str>,
    /// After this it is pointless.
    pub expires_ms: i64,
}

/// A text to be sent because of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendFact<'a> {
    /// Position among the event's deliveries: with the event's key the delivery's stable id.
    pub index: u16,
    /// `reply`, `welcome`, `journey` or `warning`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// Which rule asked for it.
    #[serde(borrow)]
    pub rule: Cow<'a, str>,
    /// Our own text, variables filled in.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// The platform's one-time code to say it with.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub welcome_code: Option<Cow<'a, str>>,
    /// After this it is pointless.
    pub expires_ms: i64,
}

/// What goes with a greeting: a delivery of its own, with no text, or with the text where a code says both at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttachFact<'a> {
    /// The delivery.
    #[serde(borrow)]
    pub send: SendFact<'a>,
    /// The contents, in order, as JSON; variables filled in.
    #[serde(borrow)]
    pub contents: Cow<'a, str>,
}

/// What a piece of small durable state is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// When a reply rule may answer again in a group.
    Cooldown,
    /// That a member joined lately, and is held to stricter limits.
    Flood,
    /// A burst of joins that is greeted once.
    Burst,
    /// A member's place on the escalation ladder.
    Ladder,
    /// A member's place in a journey.
    Journey,
    /// What a rule has spent of its action budget.
    Budget,
    /// A case of the fleet stage.
    Case,
    /// At which version a group's roster stands.
    Roster,
    /// A message on which a verdict is asked for that must not be lost.
    Asked,
    /// Who of a group is in a segment that journeys ask about.
    Segment,
}

/// One change of small durable state: the last write wins, `None` removes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateFact<'a> {
    /// What for.
    pub kind: StateKind,
    /// Which one; unique within its kind and partition.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// The new value, in the owning stage's own encoding.
    #[serde(borrow)]
    pub value: Option<Cow<'a, [u8]>>,
    /// When it may be forgotten.
    pub expires_ms: i64,
}

/// A person added a staff member one to one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContactFact<'a> {
    /// The staff member.
    #[serde(borrow)]
    pub staff: Cow<'a, str>,
    /// Channel code.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub channel: Option<Cow<'a, str>>,
}

/// A member's consent to have messages stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConsentFact {
    /// Given or withdrawn.
    pub granted: bool,
}

/// A business result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutcomeFact<'a> {
    /// `click`, `order`, `visit`, ….
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// In the brand's unit.
    pub value: f64,
    /// Credited broadcast.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub broadcast: Option<Cow<'a, str>>,
}

/// An earlier message changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionFact<'a> {
    /// Its event id, where the platform says.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub of: Option<Cow<'a, str>>,
    /// Taken back rather than edited.
    pub recalled: bool,
}

/// A person should look at an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReviewFact<'a> {
    /// Which policy or rule asked.
    #[serde(borrow)]
    pub rule: Cow<'a, str>,
}

/// The same text was seen in many groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseFact<'a> {
    /// Stable id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Fingerprint of the text.
    pub fingerprint: u64,
    /// Groups it was seen in so far, as (account, group).
    #[serde(borrow)]
    pub groups: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// First sighting.
    pub first_ms: i64,
    /// Last sighting.
    pub last_ms: i64,
}

/// A member who is to be kept out of every group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KickFact<'a> {
    /// Member or union id.
    #[serde(borrow)]
    pub member: Cow<'a, str>,
    /// Which case or rule asked.
    #[serde(borrow)]
    pub rule: Cow<'a, str>,
    /// Until when.
    pub until_ms: i64,
}

/// A time in which an account told us nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SilenceFact {
    /// Since.
    pub since_ms: i64,
    /// Until; `None` while it lasts.
    pub until_ms: Option<i64>,
}

/// Original text was kept in the evidence store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvidenceFact<'a> {
    /// Its id there.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// When it is erased.
    pub expires_ms: i64,
}

/// The platform's own list of members, as far as it differed: taken over without being counted as joins and leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RosterFact<'a> {
    /// Members who are there and of whom we did not know.
    #[serde(borrow)]
    pub found: Vec<RosterMember<'a>>,
    /// Members we believed there who are not.
    #[serde(borrow)]
    pub gone: Vec<Cow<'a, str>>,
}

/// A person and a staff member are no longer in contact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContactEndFact<'a> {
    /// The staff member.
    #[serde(borrow)]
    pub staff: Cow<'a, str>,
    /// Whose doing it was.
    pub by: ContactEnd,
}

/// The account's tags for contacts changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TagsFact<'a> {
    /// What happened, in the platform's words.
    #[serde(borrow)]
    pub change: Cow<'a, str>,
    /// The tag or the group of tags.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub id: Option<Cow<'a, str>>,
    /// Which of the two it is, in the platform's words.
    #[serde(borrow, deserialize_with = "borrowed")]
    pub tag_type: Option<Cow<'a, str>>,
}

/// By which rules a message was held up: beside each verdict `review` or `block`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedFact<'a> {
    /// Version of the ruleset.
    #[serde(borrow)]
    pub ruleset: Cow<'a, str>,
    /// The policy; empty where none applied.
    #[serde(borrow)]
    pub policy: Cow<'a, str>,
}

/// Beside a review: the message it is about, as its sender gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldFact<'a> {
    /// The event's id.
    #[serde(borrow)]
    pub of: Cow<'a, str>,
}

/// What a customer's message carried, counted up to 255 each: written only where a limit counts it and there is any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedFact {
    /// Links, in the text and as attachments.
    pub links: u8,
    /// Images.
    pub images: u8,
    /// Members named with @.
    pub mentions: u8,
}

/// Somebody else's verdict on an earlier message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LateVerdictFact<'a> {
    /// Event id of the message.
    #[serde(borrow)]
    pub of: Cow<'a, str>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    #[serde(borrow)]
    pub labels: Vec<Cow<'a, str>>,
    /// How sure, in percent.
    pub confidence: u8,
    /// Who said it.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// How long it took from the message's arrival, in milliseconds.
    pub latency_ms: Option<u64>,
}

impl Fact<'_> {
    /// Returns the number of the fact's kind on disk.
    pub fn kind(&self) -> FactKind {
        match self {
            Fact::Member(_) => FactKind::Member,
            Fact::Group(_) => FactKind::Group,
            Fact::Hit(_) => FactKind::Hit,
            Fact::Action(_) => FactKind::Action,
            Fact::Send(_) => FactKind::Send,
            Fact::Attach(_) => FactKind::Attach,
            Fact::State(_) => FactKind::State,
            Fact::Contact(_) => FactKind::Contact,
            Fact::Consent(_) => FactKind::Consent,
            Fact::Outcome(_) => FactKind::Outcome,
            Fact::Revision(_) => FactKind::Revision,
            Fact::Review(_) => FactKind::Review,
            Fact::Case(_) => FactKind::Case,
            Fact::Kick(_) => FactKind::Kick,
            Fact::Silence(_) => FactKind::Silence,
            Fact::Evidence(_) => FactKind::Evidence,
            Fact::Roster(_) => FactKind::Roster,
            Fact::ContactEnd(_) => FactKind::ContactEnd,
            Fact::Tags(_) => FactKind::Tags,
            Fact::LateVerdict(_) => FactKind::LateVerdict,
            Fact::ShadowHit(_) => FactKind::ShadowHit,
            Fact::Judged(_) => FactKind::Judged,
            Fact::Held(_) => FactKind::Held,
            Fact::Content(_) => FactKind::Content,
            Fact::Answered(_) => FactKind::Answered,
            Fact::Overturned(_) => FactKind::Overturned,
            Fact::Unsaid(_) => FactKind::Unsaid,
            Fact::Carried(_) => FactKind::Carried,
            Fact::Traits(_) => FactKind::Traits,
            Fact::Sighted(_) => FactKind::Sighted,
            Fact::CaseSize(_) => FactKind::CaseSize,
            Fact::Talk(_) => FactKind::Talk,
            Fact::HandOver(_) => FactKind::HandOver,
        }
    }
}

// === impl owned ===

impl Head<'_> {
    /// Detaches the head from the buffer it was read from.
    pub fn into_owned(self) -> Head<'static> {
        Head {
            account: Cow::Owned(self.account.into_owned()),
            group: Cow::Owned(self.group.into_owned()),
            member: owned(self.member),
            name: owned(self.name),
            ..self
        }
    }
}

impl ActionFact<'_> {
    /// Detaches the action from the buffer it was read from.
    pub fn into_owned(self) -> ActionFact<'static> {
        ActionFact {
            index: self.index,
            kind: self.kind,
            of: owned(self.of),
            rule: Cow::Owned(self.rule.into_owned()),
            expires_ms: self.expires_ms,
        }
    }
}

impl SendFact<'_> {
    /// Detaches the send from the buffer it was read from.
    pub fn into_owned(self) -> SendFact<'static> {
        SendFact {
            index: self.index,
            kind: Cow::Owned(self.kind.into_owned()),
            rule: Cow::Owned(self.rule.into_owned()),
            text: Cow::Owned(self.text.into_owned()),
            welcome_code: owned(self.welcome_code),
            expires_ms: self.expires_ms,
        }
    }
}

impl AttachFact<'_> {
    /// Detaches it from the buffer it was read from.
    pub fn into_owned(self) -> AttachFact<'static> {
        AttachFact { send: self.send.into_owned(), contents: Cow::Owned(self.contents.into_owned()) }
    }
}

/// Reads an optional text without copying it: serde's own `borrow` reaches only a bare `Cow`, not one inside an `Option`.
pub(super) fn borrowed<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'a, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Text<'a>>::deserialize(deserializer)?.map(|text| text.0))
}
