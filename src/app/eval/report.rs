//! The result of an evaluation as text for a terminal, as Markdown for a document, as NDJSON for programs.

use std::fmt::{self, Write};

use serde_json::json;

use super::class::Class;
use super::measure::{Disturbance, Evaluation, Found, LENGTHS, Recall};

/// How many messages a rate is given for.
const PER: u32 = 10_000;

/// Messages of a day in a large house: 24,000 groups of 100 messages.
const MESSAGES_A_DAY: f64 = 2_400_000.0;

const LENGTH_NAMES: [&str; LENGTHS] = ["2", "3", "4", "5+"];

/// Writes aligned columns.
///
/// # Errors
/// None but those of the writer.
pub fn text(evaluation: &Evaluation, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "recall in percent, any hit / the right term 召回率(有命中/命中原词)")?;
    write!(out, "{:<16}{:>6}", "class", "cases")?;
    for d in &evaluation.disturbances {
        write!(out, "{:>16}", d.policy)?;
    }
    write!(out, "{:>6}   ", "aim")?;
    for name in LENGTH_NAMES {
        write!(out, "{name:>7}")?;
    }
    writeln!(out, "   (last policy, any hit, by length of the term)")?;
    for (class, recalls) in by_class(evaluation) {
        let Some(last) = recalls.last().filter(|r| r.found.cases > 0) else { continue };
        write!(out, "{:<16}{:>6}", class.name(), last.found.cases)?;
        for recall in recalls {
            let (any, right) =
                (percent(recall.found, recall.found.any), percent(recall.found, recall.found.right));
            write!(out, "{:>16}", format!("{any} / {right}"))?;
        }
        write!(out, "{:>6}   ", class.aim().map(|aim| aim.to_string()).unwrap_or_default())?;
        for found in &last.by_length {
            write!(out, "{:>7}", percent(*found, found.any))?;
        }
        writeln!(out, "   {}{}", class.chinese(), short(class, last))?;
    }
    for d in &evaluation.disturbances {
        writeln!(out, "{}", disturbance_line(d))?;
        for o in &d.worst {
            let (term, matched) = (&o.term, &o.matched);
            writeln!(
                out,
                "    {term}: {} messages, {} by variants, as in `{matched}`",
                o.messages, o.by_variants
            )?;
        }
    }
    writeln!(out, "missed 漏网 (last policy, no hit at all):")?;
    for (class, recalls) in by_class(evaluation) {
        let missed = recalls.last().map_or(&[][..], |recall| &recall.missed);
        if !missed.is_empty() {
            let pairs: Vec<_> = missed.iter().map(|(term, cloaked)| format!("{term} → {cloaked}")).collect();
            writeln!(out, "    {}: {}", class.name(), pairs.join("  |  "))?;
        }
    }
    Ok(())
}

fn short(class: Class, recall: &Recall) -> &'static str {
    let aim = u32::from(class.aim().unwrap_or(0));
    if recall.found.any * 100 < aim * recall.found.cases { "  < aim" } else { "" }
}

fn disturbance_line(d: &Disturbance) -> String {
    let rate = |count| rate(d.messages, count);
    format!(
        "{}: {} ordinary messages, hit per 10,000: {} in all, {} without variants, {} by variants alone; {} stopped, {} reviewed ({} a day); {} hold a term as written, variants add {}",
        d.policy,
        d.messages,
        rate(d.hit),
        rate(d.hit - d.by_variants),
        rate(d.by_variants),
        rate(d.stopped),
        rate(d.reviewed),
        a_day(d),
        rate(d.substring),
        share(d.added, d.substring),
    )
}

/// Writes two tables.
///
/// # Errors
/// None but those of the writer.
pub fn markdown(evaluation: &Evaluation, out: &mut impl Write) -> fmt::Result {
    let policies: Vec<_> = evaluation.disturbances.iter().map(|d| d.policy.as_str()).collect();
    writeln!(
        out,
        "| class | 类别 | cases | {} | aim | {} |",
        policies.join(" | "),
        LENGTH_NAMES.join(" | ")
    )?;
    writeln!(out, "|---|---|---{}|---{}|", "|---".repeat(policies.len()), "|---".repeat(LENGTHS))?;
    for (class, recalls) in by_class(evaluation) {
        let Some(last) = recalls.last().filter(|r| r.found.cases > 0) else { continue };
        write!(out, "| {} | {} | {} |", class.name(), class.chinese(), last.found.cases)?;
        for recall in recalls {
            let (any, right) =
                (percent(recall.found, recall.found.any), percent(recall.found, recall.found.right));
            write!(out, " {any} / {right} |")?;
        }
        write!(out, " {} |", class.aim().map(|aim| format!("≥ {aim}")).unwrap_or_default())?;
        for found in &last.by_length {
            write!(out, " {} |", percent(*found, found.any))?;
        }
        writeln!(out)?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "| policy | messages | hit | without variants | by variants alone | masked or blocked | reviewed | reviews a day | hold a term as written | variants add |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|")?;
    for d in &evaluation.disturbances {
        let counts = [d.hit, d.hit - d.by_variants, d.by_variants, d.stopped, d.reviewed];
        let rates: Vec<_> = counts.iter().map(|count| rate(d.messages, *count)).collect();
        write!(out, "| {} | {} | {} | {} |", d.policy, d.messages, rates.join(" | "), a_day(d))?;
        writeln!(out, " {} | {} |", rate(d.messages, d.substring), share(d.added, d.substring))?;
    }
    Ok(())
}

/// Writes one object a line.
///
/// # Errors
/// None but those of the writer.
pub fn ndjson(evaluation: &Evaluation, out: &mut impl Write) -> fmt::Result {
    for recall in &evaluation.recalls {
        let count = |found: &Found| json!({"cases": found.cases, "any": found.any, "right": found.right});
        let lengths: serde_json::Map<_, _> = LENGTH_NAMES
            .iter()
            .zip(&recall.by_length)
            .map(|(name, f)| ((*name).to_owned(), count(f)))
            .collect();
        let missed: Vec<_> =
            recall.missed.iter().map(|(term, text)| json!({"term": term, "cloaked": text})).collect();
        let line = json!({
            "kind": "recall", "class": recall.class.name(), "policy": recall.policy, "aim": recall.class.aim(),
            "found": count(&recall.found), "by_length": lengths, "missed": missed,
        });
        writeln!(out, "{line}")?;
    }
    for d in &evaluation.disturbances {
        let worst: Vec<_> = d
            .worst
            .iter()
            .map(|o| json!({"term": o.term, "messages": o.messages, "by_variants": o.by_variants, "matched": o.matched}))
            .collect();
        let line = json!({
            "kind": "disturbance", "policy": d.policy, "messages": d.messages, "hit": d.hit,
            "by_variants": d.by_variants, "stopped": d.stopped, "reviewed": d.reviewed, "substring": d.substring,
            "added": d.added, "worst": worst,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn by_class(evaluation: &Evaluation) -> impl Iterator<Item = (Class, &[Recall])> {
    let groups = evaluation.recalls.chunk_by(|one, other| one.class == other.class);
    groups.filter_map(|recalls| Some((recalls.first()?.class, recalls)))
}

fn percent(found: Found, count: u32) -> String {
    if found.cases == 0 {
        return "–".to_owned();
    }
    format!("{:.1}", f64::from(count) * 100.0 / f64::from(found.cases))
}

fn rate(messages: u32, count: u32) -> String {
    format!("{:.1}", f64::from(count) * f64::from(PER) / f64::from(messages.max(1)))
}

fn a_day(d: &Disturbance) -> String {
    format!("{:.0}", f64::from(d.reviewed) * MESSAGES_A_DAY / f64::from(d.messages.max(1)))
}

fn share(added: u32, of: u32) -> String {
    if of == 0 {
        return "–".to_owned();
    }
    format!("{:.1} %", f64::from(added) * 100.0 / f64::from(of))
}

#[cfg(test)]
mod tests {
    use super::super::measure::Offender;
    use super::*;

    fn evaluation() -> Evaluation {
        let found = Found { cases: 200, any: 190, right: 180 };
        let recall = |class, policy: &str| Recall {
            class,
            policy: policy.to_owned(),
            found,
            by_length: [found, Found::default(), Found::default(), Found::default()],
            missed: vec![("加微信".to_owned(), "伽葳芯".to_owned())],
        };
        let offender =
            Offender { term: "赌博".to_owned(), messages: 2, by_variants: 1, matched: "堵搏".to_owned() };
        let disturbance = Disturbance {
            policy: "strict".to_owned(),
            messages: 2_000,
            hit: 10,
            by_variants: 4,
            substring: 8,
            added: 2,
            stopped: 3,
            reviewed: 1,
            worst: vec![offender],
        };
        let recalls = vec![recall(Class::HomophoneOne, "strict"), recall(Class::Traditional, "strict")];
        Evaluation { recalls, disturbances: vec![disturbance] }
    }

    fn written(write: fn(&Evaluation, &mut String) -> fmt::Result) -> String {
        let mut out = String::new();
        write(&evaluation(), &mut out).unwrap();
        out
    }

    #[test]
    fn markdown_has_the_figures_and_no_examples() {
        let out = written(markdown);
        assert!(
            out.contains("| homophone-one | 同音一字 | 200 | 95.0 / 90.0 | ≥ 90 | 95.0 | – | – | – |"),
            "{out}"
        );
        assert!(
            out.contains("| strict | 2000 | 50.0 | 30.0 | 20.0 | 15.0 | 5.0 | 1200 | 40.0 | 25.0 % |"),
            "{out}"
        );
        assert!(!out.contains("加微信") && !out.contains("赌博"));
        let columns = |line: &str| line.matches('|').count();
        for table in out.split("\n\n") {
            let widths: Vec<_> = table.lines().map(columns).collect();
            assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
        }
    }

    #[test]
    fn text_says_what_is_below_its_aim_and_shows_examples() {
        let out = written(text);
        let line = |name: &str| out.lines().find(|l| l.starts_with(name)).unwrap_or_default();
        assert!(line("traditional").ends_with("< aim") && !line("homophone-one").ends_with("< aim"), "{out}");
        assert!(out.contains("加微信 → 伽葳芯"));
        assert!(out.contains("赌博: 2 messages, 1 by variants, as in `堵搏`"));
    }

    #[test]
    fn every_line_of_ndjson_is_an_object() {
        let out = written(ndjson);
        let rows: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0]["found"], json!({"cases": 200, "any": 190, "right": 180}));
        assert_eq!(rows[2]["worst"][0]["term"], "赌博");
    }
}
