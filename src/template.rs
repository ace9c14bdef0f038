//! Texts with variables: `您好，{member.name}！{shop.name} 的营业时间是 {shop.hours|10:00-22:00}。`
//!
//! Shared by replies, welcomes and broadcasts. A text is parsed once, when somebody writes it, and what is wrong with it
//! is said then, with the place; filling it in can only fail for want of a value. `{{` and `}}` stand for the braces
//! themselves. Values are put in as they are and never parsed again, so a member's name cannot smuggle a variable in.
//!
//! Not for: looking values up (the caller hands in a function) and judging the text (that is interception's).
//! Layer: pure core.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

/// Variables that exist without anybody declaring them.
const KNOWN: [&str; 13] = [
    "brand.name",
    "group.name",
    "group.owner",
    "member.count",
    "member.name",
    "region.name",
    "shop.address",
    "shop.deputy",
    "shop.hours",
    "shop.manager",
    "shop.name",
    "shop.phone",
    "staff.id",
];

/// What a brand's own variables of a shop, a region or a group start with: `{shop.vars.wifi}`.
const OWN: [&str; 3] = ["group.vars.", "region.vars.", "shop.vars."];

/// Most variables in one text; more is a mistake, and bounds the work per target.
pub const VARIABLES_MAX: usize = 64;

/// What is wrong with a text, where, and what to write instead.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("character {position}: {problem}; {remedy}")]
pub struct TemplateError {
    /// Which character of the text, counted from 1.
    pub position: usize,
    /// What is wrong.
    pub problem: Problem,
    /// What to write instead.
    pub remedy: String,
}

/// The kinds of mistakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// `{` without its `}`.
    Unclosed,
    /// `}` without its `{`.
    Unopened,
    /// `{}`, or `{|default}`.
    Nameless,
    /// Not a variable that exists.
    Unknown(String),
    /// More than [`VARIABLES_MAX`].
    TooMany,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unclosed => f.write_str("this `{` is never closed"),
            Problem::Unopened => f.write_str("this `}` closes nothing"),
            Problem::Nameless => f.write_str("a variable without a name"),
            Problem::Unknown(name) => write!(f, "there is no variable `{name}`"),
            Problem::TooMany => write!(f, "more than {VARIABLES_MAX} variables"),
        }
    }
}

/// A target has no value for a variable, and the text gives no default.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no value for `{name}`: set it, or write a default as in `{{{name}|…}}`")]
pub struct MissingVariable {
    /// Which variable.
    pub name: String,
}

/// A parsed text. Cheap to render many times; equal texts give equal templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { name: String, default: Option<String> },
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// Names the first mistake's place and remedy.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut variables = 0;
        let mut chars = text.chars().zip(1..).peekable();
        while let Some((c, position)) = chars.next() {
            match c {
                '{' | '}' if chars.next_if(|(next, _)| *next == c).is_some() => plain.push(c),
                '{' => {
                    let inside = take_until_close(&mut chars)
                        .ok_or_else(|| error(position, Problem::Unclosed, CLOSE.to_owned()))?;
                    variables += 1;
                    if variables > VARIABLES_MAX {
                        let remedy = "split the text, or write some of them out".to_owned();
                        return Err(error(position, Problem::TooMany, remedy));
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(variable(&inside, position)?);
                }
                '}' => return Err(error(position, Problem::Unopened, OPEN.to_owned())),
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { source: text.to_owned(), parts })
    }

    /// Returns the text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the names of the variables in order of appearance, repeats included.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable { name, .. } => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Says whether every target gets the same text.
    pub fn is_constant(&self) -> bool {
        self.variables().next().is_none()
    }

    /// Fills the variables in. An empty value counts as missing: nobody wants to read "welcome to ".
    ///
    /// # Errors
    /// Names the first variable that has neither a value nor a default.
    pub fn render<'v>(&self, value_of: &dyn Fn(&str) -> Option<&'v str>) -> Result<String, MissingVariable> {
        let mut out = String::with_capacity(self.source.len());
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable { name, default } => {
                    let value = value_of(name).filter(|value| !value.is_empty());
                    match value.or(default.as_deref()) {
                        Some(value) => out.push_str(value),
                        None => return Err(MissingVariable { name: name.clone() }),
                    }
                }
            }
        }
        Ok(out)
    }

    /// Returns the names of the variables that have neither a value nor a default, each once.
    pub fn missing<'v>(&self, value_of: &dyn Fn(&str) -> Option<&'v str>) -> BTreeSet<&str> {
        let missing = self.parts.iter().filter_map(|part| match part {
            Part::Variable { name, default: None } => Some(name.as_str()),
            Part::Variable { default: Some(_), .. } | Part::Text(_) => None,
        });
        missing.filter(|name| value_of(name).is_none_or(str::is_empty)).collect()
    }

    /// Returns the text that members will certainly see: the constant parts and the defaults, for judging it before a
    /// single value is known.
    pub fn constant_text(&self) -> String {
        let mut out = String::with_capacity(self.source.len());
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable { default, .. } => out.push_str(default.as_deref().unwrap_or("")),
            }
        }
        out
    }
}

const CLOSE: &str = "write `}` after the variable's name, or `{{` for a brace itself";
const OPEN: &str = "write `}}` for a brace itself";

fn error(position: usize, problem: Problem, remedy: String) -> TemplateError {
    TemplateError { position, problem, remedy }
}

/// Takes what stands between the braces; `None` when the text or the line of thought ends first (`{` again).
fn take_until_close(chars: &mut std::iter::Peekable<impl Iterator<Item = (char, usize)>>) -> Option<String> {
    let mut inside = String::new();
    for (c, _) in chars.by_ref() {
        match c {
            '}' => return Some(inside),
            '{' => return None,
            other => inside.push(other),
        }
    }
    None
}

fn variable(inside: &str, position: usize) -> Result<Part, TemplateError> {
    let (name, default) = match inside.split_once('|') {
        Some((name, default)) => (name.trim(), Some(default.to_owned())),
        None => (inside.trim(), None),
    };
    if name.is_empty() {
        let remedy = "write a name as in `{shop.name}`, or `{{` for a brace itself".to_owned();
        return Err(error(position, Problem::Nameless, remedy));
    }
    if !is_known(name) {
        return Err(error(position, Problem::Unknown(name.to_owned()), remedy_for(name)));
    }
    Ok(Part::Variable { name: name.to_owned(), default })
}

fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
        || OWN.iter().any(|prefix| {
            name.strip_prefix(prefix)
                .is_some_and(|own| !own.is_empty() && own.chars().all(|c| c == '_' || c.is_alphanumeric()))
        })
}

fn remedy_for(name: &str) -> String {
    let nearest =
        KNOWN.iter().max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    match nearest {
        Some(near) if strsim::jaro_winkler(name, near) > 0.8 => {
            format!("did you mean `{{{near}}}`? a shop's own variables are `{{shop.vars.NAME}}`")
        }
        Some(_) | None => {
            format!(
                "there are {}, `shop.vars.NAME`, `region.vars.NAME` and `group.vars.NAME`",
                KNOWN.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shop(name: &str) -> Option<&'static str> {
        match name {
            "shop.name" => Some("南京东路店"),
            "member.name" => Some("{shop.name}"),
            "shop.vars.wifi" => Some("shop-guest"),
            _ => None,
        }
    }

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let rendered = Template::parse(text).map_err(|e| e.to_string());
        let rendered = rendered.and_then(|t| t.render(&shop).map_err(|e| e.to_string()));
        assert_eq!(rendered.unwrap_or_else(|e| format!("!{e}")), expect);
    }

    #[test]
    fn variables_are_filled_in() {
        check("没有变量", "没有变量");
        check("欢迎来到{shop.name}！", "欢迎来到南京东路店！");
        check("{ shop.name }{shop.name}", "南京东路店南京东路店");
        check("Wi-Fi：{shop.vars.wifi}", "Wi-Fi：shop-guest");
        check("营业 {shop.hours|10:00-22:00}", "营业 10:00-22:00");
        check("{shop.hours|}", "");
        check("花括号 {{shop.name}}", "花括号 {shop.name}");
    }

    #[test]
    fn a_value_is_never_read_as_a_template() {
        check("你好 {member.name}", "你好 {shop.name}");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = |text: &str| Template::parse(text).unwrap_err();
        assert_eq!(error("欢迎{shop.name").position, 3);
        assert_eq!(error("欢迎{shop.name").problem, Problem::Unclosed);
        assert_eq!(error("{shop.name 和 {shop.hours}").problem, Problem::Unclosed);
        assert_eq!(error("a}").problem, Problem::Unopened);
        assert_eq!(error("{}").problem, Problem::Nameless);
        assert_eq!(error("{|x}").problem, Problem::Nameless);
        let unknown = error("地址：{shop.adress}");
        assert_eq!((unknown.position, unknown.problem), (4, Problem::Unknown("shop.adress".into())));
        assert!(unknown.remedy.contains("{shop.address}"), "{}", unknown.remedy);
        assert_eq!(error("{shop.vars.}").problem, Problem::Unknown("shop.vars.".into()));
        assert_eq!(error(&"{shop.name}".repeat(VARIABLES_MAX + 1)).problem, Problem::TooMany);
    }

    #[test]
    fn a_missing_value_is_an_error_and_not_a_hole() {
        let template = Template::parse("电话 {shop.phone}").unwrap();
        assert_eq!(template.render(&shop), Err(MissingVariable { name: "shop.phone".into() }));
        assert_eq!(template.render(&|_| Some("")), Err(MissingVariable { name: "shop.phone".into() }));
        let template = Template::parse("{shop.phone}{region.vars.line|无}{shop.name}{shop.phone}").unwrap();
        assert_eq!(
            template.missing(&shop),
            BTreeSet::from(["shop.phone"]),
            "once, and not what has a default"
        );
    }

    #[test]
    fn what_is_judged_is_what_will_be_said() {
        let template = Template::parse("加{shop.name}微{shop.hours|信}").unwrap();
        assert_eq!(template.constant_text(), "加微信");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["shop.name", "shop.hours"]);
        assert!(!template.is_constant());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[{}|a门.]{0,40}") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert!(template.render(&|_| Some("x")).is_ok());
            }
        }

        #[test]
        fn text_with_doubled_braces_says_itself(text in "[{}a门 ]{0,40}") {
            let escaped = text.replace('{', "{{").replace('}', "}}");
            let template = Template::parse(&escaped).unwrap();
            prop_assert_eq!(template.render(&|_| None).unwrap(), text);
        }
    }
}
