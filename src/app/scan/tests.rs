//! What comes out for what goes in.

use serde_json::{Value, json};

use super::*;
use crate::interception::WordlistSource;

/// Gives at most `0` bytes a read, so that lines straddle reads.
struct Slowly<'a>(&'a [u8], usize);

impl Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(buffer.len());
        (&mut self.0).take(most as u64).read(buffer)
    }
}

fn scan_all(format: Format, input: &[u8], step: usize) -> (Vec<Value>, Tally) {
    let list = WordlistSource::parse("list", crate::interception::Origin::File, "加微信\n").unwrap();
    let (ruleset, _) = Ruleset::compile("t", &[list], Vec::new(), &Config::default()).unwrap();
    let policy = ruleset.policy("standard").unwrap();
    let mut out = Vec::new();
    let progress = ProgressBar::hidden();
    let tally = scan(&ruleset, policy, format, Slowly(input, step), &mut out, 3, &progress).unwrap().unwrap();
    let rows = out.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    (rows.map(|row| serde_json::from_slice(row).unwrap()).collect(), tally)
}

#[test]
fn every_line_of_text_has_its_row() {
    let input = "你好\r\n\n加微信\n坏\n最后".replace('坏', "\u{0}").into_bytes();
    let input = input.iter().map(|b| if *b == 0 { 0xFF } else { *b }).collect::<Vec<_>>();
    for step in [1, 2, 1000] {
        let (rows, tally) = scan_all(Format::Text, &input, step);
        assert_eq!(rows[0], json!({"line": 1, "verdict": "pass", "hits": [], "masked": null}));
        assert_eq!(rows[1]["line"], 2);
        assert_eq!(rows[2]["verdict"], "block");
        assert_eq!(rows[2]["hits"][0]["span"], json!([0, 9]));
        let reason = "not UTF-8 from byte 0 on";
        assert_eq!(rows[3], json!({"line": 4, "error": {"code": "bad_utf8", "reason": reason, "byte": 0}}));
        assert_eq!((rows[4]["line"].as_u64(), rows.len()), (Some(5), 5));
        assert_eq!((tally.lines, tally.errors), (5, 1));
    }
}

#[test]
fn ndjson_keeps_ids_and_reports_bad_lines() {
    let input =
        "{\"id\":7,\"text\":\"加\\u5fae信\",\"other\":[]}\n\n{\"id\":\"a\"}\n{oops}\n{\"text\":\"好\"}\n";
    let (rows, tally) = scan_all(Format::Ndjson, input.as_bytes(), 1000);
    assert_eq!((rows[0]["id"].clone(), rows[0]["verdict"].clone()), (json!(7), json!("block")));
    assert_eq!((rows[1]["line"].as_u64(), rows[1]["error"]["code"].clone()), (Some(3), json!("bad_json")));
    assert!(rows[1]["error"]["reason"].as_str().unwrap().contains("missing field `text`"));
    assert_eq!(rows[2]["error"]["byte"], 1);
    assert_eq!(rows[3], json!({"line": 5, "verdict": "pass", "hits": [], "masked": null}));
    assert_eq!((tally.lines, tally.errors), (4, 2));
}

#[test]
fn a_line_that_is_too_long_is_named_and_the_next_is_judged() {
    let mut input = vec![b'x'; LINE_BYTES_MAX];
    input.extend_from_slice(b"\n");
    input.extend(vec![b'x'; LINE_BYTES_MAX + 7]);
    input.extend_from_slice("\n加微信".as_bytes());
    let (rows, _) = scan_all(Format::Text, &input, usize::MAX);
    assert_eq!(rows[0]["verdict"], "pass");
    let reason = format!("the line is {} bytes long, {LINE_BYTES_MAX} at most", LINE_BYTES_MAX + 7);
    assert_eq!(rows[1], json!({"line": 2, "error": {"code": "too_long", "reason": reason}}));
    assert_eq!(rows[2]["verdict"], "block");
}

#[test]
fn order_is_kept_over_many_chunks() {
    let input = "一二三\n".repeat(50_000);
    let (rows, tally) = scan_all(Format::Text, input.as_bytes(), usize::MAX);
    assert_eq!(tally.lines, 50_000);
    assert!(rows.iter().zip(1..).all(|(row, line)| row["line"] == line));
}

#[test]
fn a_closed_output_ends_the_scan_quietly() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (ruleset, _) = Ruleset::compile("t", &[], Vec::new(), &Config::default()).unwrap();
    let policy = ruleset.policy("standard").unwrap();
    let endless = io::repeat(b'\n');
    let tally =
        scan(&ruleset, policy, Format::Text, endless, &mut Closed, 2, &ProgressBar::hidden()).unwrap();
    assert_eq!(tally, None);
}

#[test]
fn an_input_that_fails_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk"))
        }
    }
    let (ruleset, _) = Ruleset::compile("t", &[], Vec::new(), &Config::default()).unwrap();
    let policy = ruleset.policy("standard").unwrap();
    let result = scan(&ruleset, policy, Format::Text, Broken, &mut Vec::new(), 2, &ProgressBar::hidden());
    assert_eq!(result.unwrap_err().to_string(), "read the input");
}
