//! Takes a body apart into raw events: one object, a JSON array, or NDJSON. A bad part does not spoil the others.

use http::{HeaderMap, StatusCode, header};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Config;
use super::reply::{Refusal, Shape};

/// One event's raw JSON and where it stood: the line (from 1) or the index (from 0).
pub type Part<'a> = (usize, Result<&'a [u8], Refusal>);

/// Tells by the headers, and for JSON by the first sign, which shape a body has.
///
/// # Errors
/// 415 for a type that is neither JSON nor NDJSON.
pub fn shape(headers: &HeaderMap, body: &[u8]) -> Result<Shape, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b"application/json"[..], |value| value.as_bytes());
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if kind.eq_ignore_ascii_case(b"application/x-ndjson") || kind.eq_ignore_ascii_case(b"application/ndjson")
    {
        return Ok(Shape::Ndjson);
    }
    if !kind.eq_ignore_ascii_case(b"application/json") {
        let detail = "Content-Type must be application/json or application/x-ndjson";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", detail));
    }
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(if first == Some(&b'[') { Shape::Array } else { Shape::One })
}

/// Splits a body into its parts, in order.
///
/// # Errors
/// When the whole is unusable: too many events, or not an array after all.
pub fn parts<'a>(shape: Shape, body: &'a [u8], config: &Config) -> Result<Vec<Part<'a>>, Refusal> {
    let parts = match shape {
        Shape::One => vec![(0, capped(body, config))],
        Shape::Ndjson => body
            .split(|byte| *byte == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.trim_ascii().is_empty())
            .take(config.batch_events_max + 1)
            .map(|(nth, line)| (nth + 1, capped(line, config)))
            .collect(),
        Shape::Array => elements(body, config)?
            .into_iter()
            .enumerate()
            .map(|(nth, raw)| (nth, capped(raw.get().as_bytes(), config)))
            .collect(),
    };
    if parts.len() > config.batch_events_max {
        let detail = format!("more than {} events in one request; send fewer", config.batch_events_max);
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "batch_too_large", detail));
    }
    Ok(parts)
}

fn capped<'a>(raw: &'a [u8], config: &Config) -> Result<&'a [u8], Refusal> {
    if raw.len() > config.line_bytes_max {
        return Err(Refusal::too_large("line_too_long", "event", config.line_bytes_max));
    }
    Ok(raw)
}

/// Reads the elements of an array without looking into them; stops one above the cap.
fn elements<'a>(body: &'a [u8], config: &Config) -> Result<Vec<&'a RawValue>, Refusal> {
    struct Elements(usize);
    impl<'de> Visitor<'de> for Elements {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array of events")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(raw) = seq.next_element()? {
                if all.len() <= self.0 {
                    all.push(raw);
                }
            }
            Ok(all)
        }
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let all =
        json.deserialize_seq(Elements(config.batch_events_max)).and_then(|all| json.end().map(|()| all));
    all.map_err(|error| {
        // The position helps; serde's own words never repeat the text.
        let detail = format!("the array is not whole JSON: {error}");
        Refusal::new(StatusCode::BAD_REQUEST, "decode", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(shape: Shape, body: &str, config: &Config) -> Vec<(usize, String)> {
        let parts = parts(shape, body.as_bytes(), config).unwrap();
        parts
            .into_iter()
            .map(|(at, raw)| {
                (at, raw.map_or_else(|r| r.code.to_owned(), |raw| String::from_utf8(raw.to_vec()).unwrap()))
            })
            .collect()
    }

    #[test]
    fn each_shape_keeps_order_and_position() {
        let config = Config { line_bytes_max: 8, ..Config::default() };
        let expect = |rows: &[(usize, &str)]| -> Vec<(usize, String)> {
            rows.iter().map(|(at, text)| (*at, (*text).to_owned())).collect()
        };
        assert_eq!(
            texts(Shape::Ndjson, "{\"a\":1}\r\n\n{\"b\":\"long\"}\n{\"c\":3}", &config),
            expect(&[(1, "{\"a\":1}\r"), (3, "line_too_long"), (4, "{\"c\":3}")])
        );
        assert_eq!(
            texts(Shape::Array, " [{\"a\":1}, 7 ,\"long long\"] ", &config),
            expect(&[(0, "{\"a\":1}"), (1, "7"), (2, "line_too_long")])
        );
        assert_eq!(texts(Shape::Array, "[]", &config), []);
    }

    #[test]
    fn a_body_with_too_many_events_is_refused_whole() {
        let config = Config { batch_events_max: 2, ..Config::default() };
        for (shape, body) in [(Shape::Array, "[1,2,3]"), (Shape::Ndjson, "1\n2\n3\n")] {
            assert_eq!(parts(shape, body.as_bytes(), &config).unwrap_err().code, "batch_too_large");
        }
        assert_eq!(parts(Shape::Array, b"[1,2", &config).unwrap_err().code, "decode");
        assert_eq!(parts(Shape::Array, b"[1] [2]", &config).unwrap_err().code, "decode");
    }
}
