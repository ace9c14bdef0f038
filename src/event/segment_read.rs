//! Who of a group is in a segment, as somebody read it.

use std::borrow::Cow;

/// One look at a segment in a group. Members are named by [`super::RosterStep::mark`] of their ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentRead<'a> {
    /// Which segment.
    pub segment: Cow<'a, str>,
    /// By which definition of it: another one is another number.
    pub definition: u64,
    /// Who is in it, in order.
    pub members: Vec<u64>,
    /// Of whom nobody knows, in order.
    pub unknown: Vec<u64>,
    /// Those of `members` who came in since the last look, as far as the reader knows.
    pub came: Vec<Newcomer<'a>>,
    /// Nobody asks about the segment here any more: it is forgotten.
    pub is_over: bool,
}

/// Somebody who came into a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Newcomer<'a> {
    /// The platform's id.
    pub member: Cow<'a, str>,
    /// What they are called.
    pub name: Option<Cow<'a, str>>,
}

impl SegmentRead<'_> {
    /// Detaches it from what it borrows.
    pub fn into_owned(self) -> SegmentRead<'static> {
        let newcomer = |came: Newcomer<'_>| Newcomer {
            member: Cow::Owned(came.member.into_owned()),
            name: came.name.map(|name| Cow::Owned(name.into_owned())),
        };
        SegmentRead {
            segment: Cow::Owned(self.segment.into_owned()),
            definition: self.definition,
            members: self.members,
            unknown: self.unknown,
            came: self.came.into_iter().map(newcomer).collect(),
            is_over: self.is_over,
        }
    }
}
