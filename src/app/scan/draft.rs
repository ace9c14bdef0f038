//! `menshen scan --draft`: a wordlist tried beside the present ones on a file of messages. One row for each message that
//! would be treated differently, totals to standard error.
//!
//! On one thread: a sample is small, and the rows are few.

use std::collections::BTreeMap;
use std::io::{self, BufReader, ErrorKind, Read, Write};

use anyhow::Context;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Format;
use super::reader::{CHUNK_BYTES, Chunk, Chunks};
use super::row::{message, write_row};
use crate::event::{Hit, Verdict};
use crate::interception::{Audience, Policy, Ruleset, Scratch, WordlistSource};

/// A message that is treated differently.
#[derive(Serialize)]
struct ChangeRow<'a> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    /// By the present lists.
    from: Verdict,
    /// With the draft.
    to: Verdict,
    text: &'a str,
    /// What is found with the draft.
    hits: Vec<&'a Hit>,
}

/// What the draft does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    messages: u64,
    errors: u64,
    newly_hit: u64,
    no_longer_hit: u64,
    verdicts: BTreeMap<(Verdict, Verdict), u64>,
}

/// Returns the lists with the draft in the place of the one of its name, or beside them.
pub(super) fn with(mut lists: Vec<WordlistSource>, draft: WordlistSource) -> Vec<WordlistSource> {
    lists.retain(|list| list.name != draft.name);
    lists.push(draft);
    lists
}

/// Judges everything by both and writes what differs; a closed output is a quiet end.
pub(super) fn run(
    present: &Ruleset,
    draft: &Ruleset,
    policy: &Policy,
    format: Format,
    input: impl Read,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Some(changes) = compare(present, draft, policy, format, input, out)? else { return Ok(()) };
    report(&changes, policy).context("write totals")
}

fn compare(
    present: &Ruleset,
    draft: &Ruleset,
    policy: &Policy,
    format: Format,
    input: impl Read,
    out: &mut impl Write,
) -> anyhow::Result<Option<Changes>> {
    let mut chunks = Chunks::new(BufReader::with_capacity(CHUNK_BYTES, input));
    let (mut chunk, mut scratch) = (Chunk::default(), Scratch::default());
    let (mut changes, mut output) = (Changes::default(), Vec::new());
    while chunks.read(&mut chunk).context("read the input")? {
        output.clear();
        for (line, content) in chunk.lines() {
            let message = match message(format, content) {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(_) => {
                    changes.errors += 1;
                    continue;
                }
            };
            let before = present.judge(&message.text, policy, &Audience::default(), &mut scratch);
            let after = draft.judge(&message.text, policy, &Audience::default(), &mut scratch);
            changes.messages += 1;
            let (newly, no_longer) = (
                before.hits.is_empty() && !after.hits.is_empty(),
                !before.hits.is_empty() && after.hits.is_empty(),
            );
            changes.newly_hit += u64::from(newly);
            changes.no_longer_hit += u64::from(no_longer);
            if before.verdict != after.verdict {
                *changes.verdicts.entry((before.verdict, after.verdict)).or_default() += 1;
            } else if !(newly || no_longer) {
                continue;
            }
            let row = ChangeRow {
                line,
                id: message.id,
                from: before.verdict,
                to: after.verdict,
                text: &message.text,
                hits: after.hits.iter().map(|judged| &judged.hit).collect(),
            };
            write_row(&row, &mut output);
        }
        match out.write_all(&output) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(None),
            Err(error) => return Err(error).context("write a row"),
        }
    }
    Ok(Some(changes))
}

fn report(changes: &Changes, policy: &Policy) -> io::Result<()> {
    let mut err = io::stderr().lock();
    writeln!(
        err,
        "{} messages, {} newly hit, {} no longer hit, {} with another verdict, errors {} (policy {})",
        changes.messages,
        changes.newly_hit,
        changes.no_longer_hit,
        changes.verdicts.values().sum::<u64>(),
        changes.errors,
        policy.name
    )?;
    for ((from, to), messages) in &changes.verdicts {
        writeln!(err, "{} -> {}: {messages}", word(*from), word(*to))?;
    }
    Ok(())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Mask => "mask",
        Verdict::Review => "review",
        Verdict::Block => "block",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::interception::{Config, Origin};

    fn list(name: &str, text: &str) -> WordlistSource {
        WordlistSource::parse(name, Origin::File, text).unwrap()
    }

    fn compile(lists: &[WordlistSource]) -> Ruleset {
        Ruleset::compile("t", lists, Vec::new(), &Config::default()).unwrap().0
    }

    fn try_out(draft: WordlistSource, format: Format, input: &str) -> (Vec<Value>, Changes) {
        let lists = vec![list("own", "加微信\n扣扣\n"), list("other", "店庆\n")];
        let (present, draft) = (compile(&lists), compile(&with(lists, draft)));
        let mut out = Vec::new();
        let policy = Policy::standard();
        let changes =
            compare(&present, &draft, &policy, format, input.as_bytes(), &mut out).unwrap().unwrap();
        let rows = out.split(|byte| *byte == b'\n').filter(|row| !row.is_empty());
        (rows.map(|row| serde_json::from_slice(row).unwrap()).collect(), changes)
    }

    #[test]
    fn a_draft_stands_beside_the_lists_or_in_the_place_of_its_name() {
        let text = "加微信\n扣扣\n早上好\n店庆\n返利\n";
        let (rows, changes) = try_out(list("new", "返利\n"), Format::Text, text);
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (&rows[0]["line"], &rows[0]["from"], &rows[0]["to"]),
            (&json!(5), &json!("pass"), &json!("block"))
        );
        assert_eq!(
            (rows[0]["text"].as_str(), rows[0]["hits"][0]["wordlist"].as_str()),
            (Some("返利"), Some("new"))
        );
        assert_eq!((changes.messages, changes.newly_hit, changes.no_longer_hit), (5, 1, 0));
        let (rows, changes) = try_out(list("own", "加微信\n"), Format::Text, text);
        assert_eq!((rows.len(), changes.newly_hit, changes.no_longer_hit), (1, 0, 1));
        assert_eq!(changes.verdicts, BTreeMap::from([((Verdict::Block, Verdict::Pass), 1)]));
    }

    #[test]
    fn ids_are_kept_and_broken_lines_counted() {
        let text = "{\"id\":\"m-1\",\"text\":\"返利\"}\n\nnot json\n";
        let (rows, changes) = try_out(list("new", "返利\n"), Format::Ndjson, text);
        assert_eq!(rows[0]["id"], "m-1");
        assert_eq!((changes.messages, changes.errors), (1, 1));
    }
}
