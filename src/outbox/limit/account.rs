//! The limits of one account, by where they hold: on the account, its groups, classes of groups, and what it shares with
//! other accounts.
//!
//! ```text
//! text   = ["@" class " "] ["group:" | shared " "] limit
//! shared = ("app" | "corp") "=" name
//! ```
//!
//! Not for: what one limit looks like (the parent module). Layer: pure core.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Limit, LimitError};

/// Classes of groups that one account's limits may tell apart.
pub const CLASSES_MAX: usize = 16;

/// Limits that one account may share with others, by name.
pub const SHARED_MAX: usize = 8;

/// Longest name of a shared limit, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The limits of one account: on everything through it, on each of its groups, and on what it shares with others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountLimits {
    /// On everything through the account.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// On each group of it that is in none of the classes.
    #[serde(default)]
    pub group_limits: Vec<Limit>,
    /// On groups of a kind of their own, where a platform has several.
    #[serde(default)]
    pub classes: Vec<ClassLimits>,
    /// On this account and every other one that names the same, together.
    #[serde(default)]
    pub shared: Vec<SharedLimits>,
}

/// The limits of one class of groups: those whose id begins with `name:`, or what goes to people and not to groups
/// ([`ClassLimits::DIRECT`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassLimits {
    /// What its groups' ids begin with.
    pub name: String,
    /// On everything to these groups together, beside the account's own.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// On each of these groups, in place of the account's `group_limits`.
    #[serde(default)]
    pub group_limits: Vec<Limit>,
}

/// Limits that several accounts keep together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedLimits {
    /// By what the accounts know that they mean the same.
    pub name: SharedName,
    /// What this account says of it. What any account says holds for all.
    pub limits: Vec<Limit>,
}

/// The name of a level that several accounts share: `corp=acme`, or `@appchat corp=acme` for one class of groups only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedName {
    /// What kind of thing the platform counts by.
    pub kind: SharedKind,
    /// Which one.
    pub name: String,
    /// The class of groups it holds for; empty for everything.
    #[serde(default)]
    pub class: String,
}

/// What a platform counts by above the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedKind {
    /// One application used by several accounts.
    App,
    /// One company with several accounts.
    Corp,
}

impl SharedKind {
    const ALL: [(SharedKind, &'static str); 2] = [(SharedKind::App, "app="), (SharedKind::Corp, "corp=")];
}

impl SharedName {
    /// Says whether a call to a group counts there.
    pub fn covers(&self, group: &str) -> bool {
        self.class.is_empty() || is_of_class(&self.class, group)
    }
}

impl fmt::Display for SharedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.class.is_empty() {
            write!(f, "@{} ", self.class)?;
        }
        let kind = SharedKind::ALL.iter().find(|(kind, _)| *kind == self.kind).map_or("", |(_, text)| text);
        write!(f, "{kind}{}", self.name)
    }
}

impl ClassLimits {
    /// The class of what goes to people.
    pub const DIRECT: &str = "direct";

    /// It has a name only because something shared is said of it.
    fn is_bare(&self) -> bool {
        self.limits.is_empty() && self.group_limits.is_empty()
    }
}

fn is_of_class(class: &str, group: &str) -> bool {
    if group.is_empty() {
        return class == ClassLimits::DIRECT;
    }
    group.strip_prefix(class).is_some_and(|rest| rest.starts_with(':'))
}

/// A class's number in its account; 0 is for groups that are in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClassNo(pub u8);

/// Which limits a call counts at beside its group's own and the account's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// The class of its group (`robot`, `appchat`, `direct`); `None` for groups that are in none.
    pub class: Option<String>,
    /// The applications that the account shares with others.
    pub apps: Vec<String>,
    /// The companies that the account shares with others.
    pub corps: Vec<String>,
}

impl AccountLimits {
    /// Returns the levels at which a call to a group counts.
    pub fn lane_of(&self, group: &str) -> Lane {
        let class = self.classes.iter().find(|class| is_of_class(&class.name, group));
        let named = |kind: SharedKind| {
            let shared = self.shared.iter().map(|shared| &shared.name);
            let of_kind = shared.filter(|name| name.kind == kind && name.covers(group));
            of_kind.map(|name| name.name.clone()).collect()
        };
        let class = class.map(|class| class.name.clone());
        Lane { class, apps: named(SharedKind::App), corps: named(SharedKind::Corp) }
    }

    /// Reads limits: of the account, of each group when they start with `group:`, or shared when they start with
    /// `corp=NAME ` or `app=NAME `; `@robot ` in front says that they hold for that class of groups.
    ///
    /// # Errors
    /// Names the first text that is no limit.
    pub fn parse(texts: &[&str]) -> Result<Self, LimitError> {
        let mut limits = Self::default();
        for text in texts {
            limits.add(text)?;
        }
        Ok(limits)
    }

    /// Adds one limit, written as for [`Self::parse`].
    ///
    /// # Errors
    /// When it is none.
    pub fn add(&mut self, text: &str) -> Result<(), LimitError> {
        let (class, rest) = match text.strip_prefix('@').and_then(|text| text.split_once(' ')) {
            Some((class, rest)) => (class, rest),
            None => ("", text),
        };
        let shared = SharedKind::ALL.iter().find_map(|(kind, word)| Some((*kind, rest.strip_prefix(word)?)));
        if let Some((kind, rest)) = shared {
            return self.add_shared(text, kind, class, rest);
        }
        let (group, rest) = rest.strip_prefix("group:").map_or((false, rest), |rest| (true, rest));
        let limit = rest.parse()?;
        let (limits, group_limits) = if class.is_empty() {
            (&mut self.limits, &mut self.group_limits)
        } else {
            let own = self.class_mut(class, text)?;
            (&mut own.limits, &mut own.group_limits)
        };
        if group {
            group_limits.push(limit);
        } else {
            limits.push(limit);
        }
        Ok(())
    }

    fn add_shared(
        &mut self,
        text: &str,
        kind: SharedKind,
        class: &str,
        rest: &str,
    ) -> Result<(), LimitError> {
        let refused = |problem| {
            let position = text.chars().count() - rest.chars().count() + 1;
            LimitError { text: text.to_owned(), position, problem }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let (name, limit) = rest.split_once(' ').unwrap_or((rest, ""));
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
            return Err(refused("expected a name of 1 to 64 of A-Z a-z 0-9 - _ . and a space after it"));
        }
        let limit = limit.parse()?;
        if !class.is_empty() {
            self.class_mut(class, text)?;
        }
        let name = SharedName { kind, name: name.to_owned(), class: class.to_owned() };
        if let Some(level) = self.shared.iter_mut().find(|level| level.name == name) {
            level.limits.push(limit);
        } else if self.shared.len() == SHARED_MAX {
            return Err(refused("an account shares at most 8 levels with others"));
        } else {
            self.shared.push(SharedLimits { name, limits: vec![limit] });
        }
        Ok(())
    }

    fn class_mut(&mut self, name: &str, text: &str) -> Result<&mut ClassLimits, LimitError> {
        let at = match self.classes.iter().position(|class| class.name == name) {
            Some(at) => at,
            None if self.classes.len() == CLASSES_MAX => {
                let problem = "there are more classes of groups than limits may tell apart";
                return Err(LimitError { text: text.to_owned(), position: 2, problem });
            }
            None => {
                self.classes.push(ClassLimits { name: name.to_owned(), ..ClassLimits::default() });
                self.classes.len() - 1
            }
        };
        Ok(&mut self.classes[at])
    }

    /// Takes from `defaults` what is not said here: the limits of the account and its groups, of each class, of each level
    /// that is shared.
    #[must_use]
    pub fn or(mut self, defaults: Self) -> Self {
        if self.limits.is_empty() && self.group_limits.is_empty() {
            self.limits = defaults.limits;
            self.group_limits = defaults.group_limits;
        }
        for class in defaults.classes {
            match self.classes.iter().position(|own| own.name == class.name) {
                Some(at) if self.classes[at].is_bare() => self.classes[at] = class,
                None if self.classes.len() < CLASSES_MAX => self.classes.push(class),
                Some(_) | None => {}
            }
        }
        for shared in defaults.shared {
            let is_new = !self.shared.iter().any(|own| own.name == shared.name);
            if is_new && self.shared.len() < SHARED_MAX {
                self.shared.push(shared);
            }
        }
        self
    }

    /// Returns the class of a group.
    pub fn class_of(&self, group: &str) -> ClassNo {
        let at = self.classes.iter().position(|class| is_of_class(&class.name, group));
        ClassNo(at.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(0))
    }

    /// Returns a class by its number.
    pub fn class(&self, class: ClassNo) -> Option<&ClassLimits> {
        self.classes.get(usize::from(class.0).checked_sub(1)?)
    }

    /// Returns the limits of each group of a class.
    pub fn of_groups(&self, class: ClassNo) -> &[Limit] {
        match self.class(class) {
            // Nothing is said of its groups but what is shared.
            Some(own) if !own.is_bare() => &own.group_limits,
            Some(_) | None => &self.group_limits,
        }
    }

    /// Returns every limit as it is written, those of groups after `group:`, those of a class after `@class `, shared ones
    /// after the name of their level.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut add = |prefix: &str, limits: &[Limit], group_limits: &[Limit]| {
            texts.extend(limits.iter().map(|limit| format!("{prefix}{limit}")));
            texts.extend(group_limits.iter().map(|limit| format!("{prefix}group:{limit}")));
        };
        add("", &self.limits, &self.group_limits);
        for class in &self.classes {
            add(&format!("@{} ", class.name), &class.limits, &class.group_limits);
        }
        for shared in &self.shared {
            add(&format!("{} ", shared.name), &shared.limits, &[]);
        }
        texts
    }

    /// Returns the longest time a call of the past still weighs.
    pub fn memory(&self) -> Duration {
        let own = self.limits.iter().chain(&self.group_limits);
        let of_classes = self.classes.iter().flat_map(|class| class.limits.iter().chain(&class.group_limits));
        let shared = self.shared.iter().flat_map(|shared| &shared.limits);
        own.chain(of_classes).chain(shared).map(Limit::period).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_limits_name_their_level_and_are_printed_as_they_are_read() {
        let texts = [
            "window:600/m",
            "@robot group:window:20/m",
            "corp=ww1 window:10000/m",
            "corp=ww1 calls:window:150000/h,headroom=7%",
            "@appchat corp=ww1 window:20000/m",
            "app=notices.v2 window:100/m",
        ];
        let limits = AccountLimits::parse(&texts).unwrap();
        assert_eq!(limits.texts(), texts);
        assert_eq!(limits.shared.len(), 3, "two limits of one level are one level");
        assert_eq!(limits.memory(), Duration::from_hours(1));
        let of_class = &limits.shared[1].name;
        assert!(of_class.covers("appchat:a") && !of_class.covers("robot:a") && !of_class.covers(""));
        assert_eq!(AccountLimits::parse(&[&of_class_text(&limits)]).unwrap().shared[0], limits.shared[1]);
    }

    fn of_class_text(limits: &AccountLimits) -> String {
        format!("{} {}", limits.shared[1].name, limits.shared[1].limits[0])
    }

    #[test]
    fn a_shared_limit_without_a_good_name_is_refused_where_it_stands() {
        for (text, position, problem) in [
            ("corp=", 6, "a name"),
            ("corp= window:1/m", 6, "a name"),
            ("@robot app=上海 1/m", 12, "a name"),
            ("corp=a", 1, "a whole number"),
            ("corp=a window:x/m", 8, "a whole number"),
        ] {
            let error = AccountLimits::parse(&[text]).unwrap_err();
            assert_eq!(error.position, position, "{error}");
            assert!(error.problem.contains(problem), "{error}");
        }
        let many: Vec<_> = (0..=SHARED_MAX).map(|n| format!("corp=c{n} 1/m")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(AccountLimits::parse(&many).is_err());
    }

    #[test]
    fn what_is_shared_takes_nothing_of_the_platforms_own_limits_away() {
        let defaults = AccountLimits::parse(&["concurrency:16", "@robot group:window:20/m"]).unwrap();
        let own = AccountLimits::parse(&["@robot corp=a window:100/m", "corp=a 5/s"]).unwrap();
        let limits = own.clone().or(defaults.clone());
        assert_eq!(limits.limits, defaults.limits);
        assert_eq!(limits.of_groups(limits.class_of("robot:x")), defaults.classes[0].group_limits);
        assert_eq!(limits.shared, own.shared);
        let alone = AccountLimits::parse(&["group:3/m", "@robot corp=a 5/s"]).unwrap();
        assert_eq!(alone.of_groups(alone.class_of("robot:x")), alone.group_limits);
    }
}
