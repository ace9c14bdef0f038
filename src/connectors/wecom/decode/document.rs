//! The flat document of a callback: the elements we know, by name.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::connectors::wecom::envelope::trimmed;
use crate::connectors::wecom::xml;
use crate::event::GroupEvent;

macro_rules! names {
    ($($name:ident = $text:literal,)*) => {
        /// An element that we know.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Name {
            $($name,)*
        }

        /// How many there are.
        const NAMES: usize = [$($text),*].len();

        fn known(text: &str) -> Option<Name> {
            match text {
                $($text => Some(Name::$name),)*
                _ => None,
            }
        }
    };
}

names! {
    MsgType = "MsgType",
    Event = "Event",
    InfoType = "InfoType",
    CreateTime = "CreateTime",
    TimeStamp = "TimeStamp",
    ChangeType = "ChangeType",
    ChatId = "ChatId",
    UpdateDetail = "UpdateDetail",
    JoinScene = "JoinScene",
    QuitScene = "QuitScene",
    MemChangeCnt = "MemChangeCnt",
    MemChangeList = "MemChangeList",
    Item = "Item",
    LastMemVer = "LastMemVer",
    CurMemVer = "CurMemVer",
    UserId = "UserID",
    ExternalUserId = "ExternalUserID",
    State = "State",
    WelcomeCode = "WelcomeCode",
    Source = "Source",
    Id = "Id",
    TagType = "TagType",
}

/// One callback's document; what it does not say is empty.
#[derive(Debug, Default)]
pub(super) struct Document<'x> {
    values: [Cow<'x, str>; NAMES],
    /// The members of `MemChangeList`, as they stand there.
    pub(super) members: Vec<Cow<'x, str>>,
}

impl<'x> Document<'x> {
    /// Reads a document; nothing when it is not well formed.
    pub(super) fn read(text: &'x str) -> Option<Self> {
        let mut document = Self::default();
        xml::read(text, known, |around, name, value| {
            document.take(around, name, trimmed(value));
            ControlFlow::Continue(())
        })
        .ok()?;
        Some(document)
    }

    fn take(&mut self, around: Option<Name>, name: Name, value: Cow<'x, str>) {
        match (around, name) {
            (Some(Name::MemChangeList), Name::Item) => self.members.push(value),
            // An older form: the members in one text.
            (None, Name::MemChangeList) => match value {
                Cow::Borrowed(text) => self.members.extend(listed(text).map(Cow::Borrowed)),
                Cow::Owned(text) => {
                    self.members.extend(listed(&text).map(|member| Cow::Owned(member.to_owned())));
                }
            },
            (None, name) => {
                if let Some(place) = self.values.get_mut(name as usize) {
                    *place = value;
                }
            }
            // Deeper down the same names mean something else.
            (Some(_), _) => {}
        }
    }

    /// Returns an element's text.
    pub(super) fn get(&self, name: Name) -> &str {
        self.values.get(name as usize).map_or("", AsRef::as_ref)
    }

    /// Returns an element's text if it can be an id of ours.
    pub(super) fn id(&self, name: Name) -> Option<&str> {
        Some(self.get(name)).filter(|id| is_id(id))
    }

    /// Returns an element's text if there is any.
    pub(super) fn text(&self, name: Name) -> Option<Cow<'static, str>> {
        let text = self.get(name);
        (!text.is_empty()).then(|| Cow::Owned(text.to_owned()))
    }

    /// The event's name; a suite's callbacks call it `InfoType`.
    pub(super) fn event(&self) -> &str {
        let event = self.get(Name::Event);
        if event.is_empty() { self.get(Name::InfoType) } else { event }
    }

    /// When it happened, as it is written.
    pub(super) fn time(&self) -> &str {
        let time = self.get(Name::CreateTime);
        if time.is_empty() { self.get(Name::TimeStamp) } else { time }
    }

    /// When it happened, in milliseconds since the epoch.
    pub(super) fn at_ms(&self) -> Option<i64> {
        self.time().parse::<i64>().ok().filter(|seconds| *seconds > 0)?.checked_mul(1000)
    }
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|member| !member.is_empty())
}

/// Says whether a text can be an id of ours.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= GroupEvent::ID_BYTES_MAX && !text.chars().any(char::is_control)
}
