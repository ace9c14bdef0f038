//! What is different between two states of a document. Pure.
//!
//! Not for: deciding whether a difference matters; a term is compared as written, not as it matches.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Changed, Entries, How, RuleKind};
use crate::interception::{AllowPhrase, Origin, RuleSource, Term, WordlistSource, shown};

/// Compares two states of a wordlist; `None` when they are the same.
pub fn wordlist_change(
    before: Option<&WordlistSource>,
    after: Option<&WordlistSource>,
    listed_max: usize,
) -> Option<Changed> {
    if before == after {
        return None;
    }
    let known = after.or(before)?;
    // What was not to be read before stays so, and what is not to be read from now on was written before, too.
    let masked = before.iter().chain(&after).any(|list| list.masked);
    let told = |text: &str| shown(text, masked).into_owned();
    let frame = |list: Option<&WordlistSource>| list.map(frame_of).unwrap_or_default();
    let terms = |list: Option<&WordlistSource>| {
        let terms = list.map(|list| list.terms.as_slice()).unwrap_or_default();
        terms.iter().map(|term| (entry(&Term { line: 0, ..term.clone() }), told(&term.text))).collect()
    };
    let phrases = |list: Option<&WordlistSource>| {
        let phrases = list.map(|list| list.allow.as_slice()).unwrap_or_default();
        let without_line = phrases.iter().map(|phrase| AllowPhrase { line: 0, ..phrase.clone() });
        without_line.map(|phrase| (entry(&phrase), told(&phrase.text))).collect()
    };
    let how = how(before.is_some(), after.is_some());
    let mut scopes: Vec<_> = before.iter().chain(&after).map(|list| list.scope.clone()).collect();
    scopes.retain(|scope| !scope.is_everyone());
    scopes.dedup();
    let changed = Changed {
        kind: RuleKind::Wordlist,
        id: known.name.clone(),
        origin: known.origin,
        how,
        scopes,
        terms: entries(&terms(before), &terms(after), listed_max),
        allow: entries(&phrases(before), &phrases(after), listed_max),
        rules: None,
        fields: fields(how, &frame(before), &frame(after)),
    };
    let is_empty = changed.terms.is_none() && changed.allow.is_none() && changed.fields.is_empty();
    // Only lines moved.
    if how == How::Updated && is_empty { None } else { Some(changed) }
}

/// Compares two states of a set of rules; `None` when they are the same.
pub fn rule_set_change(
    before: Option<&RuleSource>,
    after: Option<&RuleSource>,
    listed_max: usize,
) -> Option<Changed> {
    if before == after {
        return None;
    }
    let known = after.or(before)?;
    let rules = |set: Option<&RuleSource>| {
        let rules = set.map(|set| set.rules.as_slice()).unwrap_or_default();
        rules.iter().map(|rule| (entry(rule), rule.id.clone())).collect()
    };
    Some(Changed {
        kind: RuleKind::RuleSet,
        id: known.name.clone(),
        origin: known.origin,
        how: how(before.is_some(), after.is_some()),
        scopes: Vec::new(),
        terms: None,
        allow: None,
        rules: entries(&rules(before), &rules(after), listed_max),
        fields: Vec::new(),
    })
}

/// Compares two states of any document, as JSON; `None` when they are the same.
pub fn document_change(
    kind: RuleKind,
    id: &str,
    before: Option<&str>,
    after: Option<&str>,
    listed_max: usize,
) -> Option<Changed> {
    if before == after {
        return None;
    }
    if kind == RuleKind::Wordlist {
        let list = |body: Option<&str>| {
            let list = body.map(serde_json::from_str::<WordlistSource>).transpose().ok()?;
            Some(list.map(|list| WordlistSource { name: id.to_owned(), origin: Origin::Api, ..list }))
        };
        if let (Some(before), Some(after)) = (list(before), list(after)) {
            return wordlist_change(before.as_ref(), after.as_ref(), listed_max);
        }
    }
    if kind == RuleKind::RuleSet {
        let set = |body: Option<&str>| {
            let set = body.map(serde_json::from_str::<RuleSource>).transpose().ok()?;
            Some(set.map(|set| RuleSource { name: id.to_owned(), origin: Origin::Api, ..set }))
        };
        if let (Some(before), Some(after)) = (set(before), set(after)) {
            return rule_set_change(before.as_ref(), after.as_ref(), listed_max);
        }
    }
    let read = |body: Option<&str>| {
        let map = body.and_then(|body| serde_json::from_str::<Map<String, Value>>(body).ok());
        map.unwrap_or_default()
    };
    let how = how(before.is_some(), after.is_some());
    let fields = fields(how, &read(before), &read(after));
    let (id, origin, scopes) = (id.to_owned(), Origin::Api, Vec::new());
    Some(Changed { kind, id, origin, how, scopes, terms: None, allow: None, rules: None, fields })
}

fn how(before: bool, after: bool) -> How {
    match (before, after) {
        (false, _) => How::Created,
        (true, true) => How::Updated,
        (true, false) => How::Deleted,
    }
}

/// Everything of a list but its entries and what names it.
fn frame_of(list: &WordlistSource) -> Map<String, Value> {
    let bare = WordlistSource { terms: Vec::new(), allow: Vec::new(), ..list.clone() };
    let mut frame = match serde_json::to_value(bare) {
        Ok(Value::Object(frame)) => frame,
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | Err(_) => {
            Map::new()
        }
    };
    for field in ["name", "terms", "allow"] {
        frame.remove(field);
    }
    frame
}

/// What makes an entry this one: everything that is written about it.
fn entry(entry: &impl Serialize) -> String {
    serde_json::to_string(entry).unwrap_or_default() // plain data: cannot fail
}

/// An entry's identity and its text, in the order of the list.
type Listed = Vec<(String, String)>;

fn entries(before: &Listed, after: &Listed, listed_max: usize) -> Option<Entries> {
    let (mut added, mut removed) = (lacking(before, after), lacking(after, before));
    if added.is_empty() && removed.is_empty() {
        return None;
    }
    let mut entries = Entries { added: added.len(), removed: removed.len(), ..Entries::default() };
    added.truncate(listed_max);
    removed.truncate(listed_max);
    (entries.added_first, entries.removed_first) = (added, removed);
    Some(entries)
}

/// Returns the texts of entries that `those` has and `these` lacks, each once.
fn lacking(these: &Listed, those: &Listed) -> Vec<String> {
    let mut known: HashSet<&str> = these.iter().map(|(identity, _)| identity.as_str()).collect();
    let mut texts = Vec::new();
    for (identity, text) in those {
        if known.insert(identity) {
            texts.push(text.clone());
        }
    }
    texts
}

/// Fields of which the two have different values. What is new or gone altogether has no fields of interest.
fn fields(how: How, before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    if how != How::Updated {
        return Vec::new();
    }
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Level;

    fn list(text: &str) -> WordlistSource {
        WordlistSource::parse("own", Origin::File, text).unwrap()
    }

    #[test]
    fn a_list_differs_by_its_entries_and_its_frame() {
        let before = list("# category: contact\n加微信\n返现\n!企业微信\n");
        let after = WordlistSource {
            level: Level::Low,
            ..list("# category: contact\n\n返现\n私聊\tlure\n返利\n")
        };
        let changed = wordlist_change(Some(&before), Some(&after), 1).unwrap();
        assert_eq!((changed.how, changed.id.as_str(), changed.origin), (How::Updated, "own", Origin::File));
        let terms = changed.terms.unwrap();
        assert_eq!((terms.added, terms.removed), (2, 1));
        assert_eq!(
            (terms.added_first, terms.removed_first),
            (vec!["私聊".to_owned()], vec!["加微信".to_owned()])
        );
        assert_eq!(changed.allow.unwrap().removed_first, ["企业微信"]);
        assert_eq!(changed.fields, ["level"]);
    }

    #[test]
    fn whom_a_list_is_for_before_and_after_is_said() {
        let (east, west) = (list("# scope: region=east\na\n"), list("# scope: region=west\na\n"));
        let everyone = list("a\n");
        let scopes = |before, after| wordlist_change(before, after, 9).unwrap().scopes;
        assert_eq!(scopes(Some(&east), Some(&west)), [east.scope.clone(), west.scope.clone()]);
        assert_eq!(scopes(Some(&everyone), Some(&west)), std::slice::from_ref(&west.scope));
        assert_eq!(scopes(None, Some(&everyone)), []);
    }

    #[test]
    fn lines_that_only_moved_are_no_difference() {
        assert_eq!(wordlist_change(Some(&list("a\nb\n")), Some(&list("b\n\na\n")), 9), None);
    }

    #[test]
    fn a_new_list_and_one_that_is_gone_count_all_of_it() {
        let made = wordlist_change(None, Some(&list("a\nb\nb\n")), 9).unwrap();
        assert_eq!((made.how, made.terms.unwrap().added, made.fields.len()), (How::Created, 2, 0));
        let gone = wordlist_change(Some(&list("a\n")), None, 9).unwrap();
        assert_eq!((gone.how, gone.terms.unwrap().removed), (How::Deleted, 1));
    }

    #[test]
    fn another_category_is_another_entry() {
        let changed = wordlist_change(Some(&list("a\tx\n")), Some(&list("a\ty\n")), 9).unwrap();
        let terms = changed.terms.unwrap();
        assert_eq!((terms.added, terms.removed), (1, 1));
    }

    #[test]
    fn a_masked_list_tells_its_terms_by_their_first_characters() {
        let masked = list("# masked: true\n暗号词\n!暗号词典\n");
        let open = list("暗号词\n别的词\n");
        for (before, after) in [(Some(&masked), None), (None, Some(&masked))] {
            let changed = wordlist_change(before, after, 9).unwrap();
            let (terms, allow) = (changed.terms.unwrap(), changed.allow.unwrap());
            assert_eq!([terms.added_first, terms.removed_first].concat(), ["暗＊＊"]);
            assert_eq!([allow.added_first, allow.removed_first].concat(), ["暗＊＊＊"]);
        }
        for (before, after) in [(&masked, &open), (&open, &masked)] {
            let terms = wordlist_change(Some(before), Some(after), 9).unwrap().terms.unwrap();
            assert_eq!([terms.added_first, terms.removed_first].concat(), ["别＊＊"]);
        }
    }

    #[test]
    fn a_set_of_rules_differs_by_its_rules() {
        let set = |json: &str| RuleSource::from_json("own", Origin::Api, json).unwrap();
        let before = r#"{"rules":[{"id":"a","all":["返现"]},{"id":"b","all":["扫码"]}]}"#;
        let after =
            r#"{"rules":[{"id":"c","pattern":"口令"},{"id":"a","all":["返利"]},{"id":"b","all":["扫码"]}]}"#;
        let changed = document_change(RuleKind::RuleSet, "own", Some(before), Some(after), 9).unwrap();
        assert_eq!(Some(&changed), rule_set_change(Some(&set(before)), Some(&set(after)), 9).as_ref());
        assert_eq!(
            (changed.kind, changed.id.as_str(), changed.how),
            (RuleKind::RuleSet, "own", How::Updated)
        );
        let rules = changed.rules.unwrap();
        assert_eq!(
            (rules.added_first, rules.removed_first),
            (vec!["c".to_owned(), "a".to_owned()], vec!["a".to_owned()])
        );
        let gone = document_change(RuleKind::RuleSet, "own", Some(before), None, 1).unwrap();
        assert_eq!((gone.how, gone.rules.unwrap().removed), (How::Deleted, 2));
    }

    #[test]
    fn a_document_differs_by_its_fields() {
        let change = |before, after| document_change(RuleKind::Reply, "hours", before, after, 9);
        let changed = change(Some(r#"{"text":"a","at":1}"#), Some(r#"{"text":"b","at":1,"new":2}"#)).unwrap();
        assert_eq!((changed.how, changed.fields), (How::Updated, vec!["new".to_owned(), "text".to_owned()]));
        assert_eq!(change(None, Some("{}")).unwrap().how, How::Created);
        assert_eq!(change(Some("{}"), None).unwrap().how, How::Deleted);
        assert_eq!(change(Some("{}"), Some("{}")), None);
        let list = document_change(
            RuleKind::Wordlist,
            "own",
            Some(r#"{"name":"own","terms":[{"text":"a"}]}"#),
            Some(r#"{"name":"own","terms":[{"text":"a"},{"text":"b"}]}"#),
            9,
        );
        assert_eq!(list.unwrap().terms.unwrap().added_first, ["b"]);
    }
}
