//! Structured logs: one JSON object a line on standard error, fields of the enclosing spans included.
//!
//! Not for: message text, names, secrets: whoever logs passes ids and counts (`docs/LOGGING.md`).
//! The level can be changed while running; the format cannot.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use thiserror::Error;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry, Scope};
use tracing_subscriber::reload;

/// What is logged and how.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How much.
    pub level: Filter,
    /// In which form.
    pub format: Format,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON object a line, for machines.
    #[default]
    Json,
    /// For a person at a terminal.
    Text,
}

/// A level for everything and exceptions by module: `info,menshen::outbox=debug`.
///
/// Stricter than `tracing`'s own grammar, which takes a misspelt level for the name of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    default: LevelFilter,
    modules: Vec<(String, LevelFilter)>,
}

/// Why a text is no filter.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "`{0}` is no log level: write error, warn, info, debug, trace or off, or `module=level`, parted by commas"
)]
pub struct FilterError(String);

impl Default for Filter {
    fn default() -> Self {
        Self { default: LevelFilter::INFO, modules: Vec::new() }
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for part in text.split(',').map(str::trim) {
            let wrong = || FilterError(part.to_owned());
            match part.split_once('=') {
                Some((module, level)) if !module.trim().is_empty() => {
                    filter.modules.push((module.trim().to_owned(), level_of(level).ok_or_else(wrong)?));
                }
                Some(_) => return Err(wrong()),
                None => filter.default = level_of(part).ok_or_else(wrong)?,
            }
        }
        Ok(filter)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Filter {
    fn targets(&self) -> Targets {
        Targets::new().with_default(self.default).with_targets(self.modules.iter().cloned())
    }
}

fn level_of(text: &str) -> Option<LevelFilter> {
    match text.trim().to_ascii_lowercase().as_str() {
        "off" => Some(LevelFilter::OFF),
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

/// Changes what is logged while running. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct LogHandle(reload::Handle<Targets, Registry>);

impl LogHandle {
    /// Applies a new filter at once.
    pub fn set(&self, filter: &Filter) {
        _ = self.0.reload(filter.targets()); // fails only when the subscriber is gone, and then nothing is logged
    }
}

/// Starts logging for the whole process; `now_ms` gives the time in milliseconds since the epoch.
///
/// # Errors
/// When the process logs already.
pub fn install(
    config: &Config,
    now_ms: impl Fn() -> i64 + Send + Sync + 'static,
) -> Result<LogHandle, tracing::subscriber::SetGlobalDefaultError> {
    let (filter, handle) = reload::Layer::new(config.level.targets());
    let lines = Lines { format: config.format, now_ms, out: std::io::stderr };
    tracing::subscriber::set_global_default(Registry::default().with(filter).with(lines))?;
    Ok(LogHandle(handle))
}

/// Writes each event as one line.
struct Lines<N, W> {
    format: Format,
    now_ms: N,
    out: W,
}

/// The fields of a span, kept until it closes.
struct SpanFields(Fields);

/// Fields in the order they were written.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl<S, N, W> Layer<S> for Lines<N, W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: Fn() -> i64 + 'static,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(&mut fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<SpanFields>() {
                for (name, value) in &of_span.0.0 {
                    fields.put(name, value.clone());
                }
            }
        }
        event.record(&mut fields);
        let line = match self.format {
            Format::Json => json_line((self.now_ms)(), event, &fields),
            Format::Text => text_line((self.now_ms)(), event, &fields),
        };
        // Standard error may be closed; there is nobody left to tell.
        _ = self.out.make_writer().write_all(line.as_bytes());
    }
}

impl Fields {
    /// The innermost value of a name wins.
    fn put(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => self.0.push((name, value)),
        }
    }

    fn message(&self) -> &str {
        let message = self.0.iter().find(|(name, _)| *name == "message");
        message.and_then(|(_, value)| value.as_str()).unwrap_or_default()
    }

    fn others(&self) -> impl Iterator<Item = &(&'static str, Value)> {
        self.0.iter().filter(|(name, _)| *name != "message")
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), Value::from(value));
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.put(field.name(), Value::from(text));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), Value::from(format!("{value:?}")));
    }
}

fn timestamp(now_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(now_ms).map_or_else(|_| now_ms.to_string(), |ts| format!("{ts:.3}"))
}

fn json_line(now_ms: i64, event: &Event<'_>, fields: &Fields) -> String {
    let metadata = event.metadata();
    let mut line = Vec::with_capacity(256);
    let write = |line: &mut Vec<u8>| -> Result<(), serde_json::Error> {
        let mut serializer = serde_json::Serializer::new(line);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ts", &timestamp(now_ms))?;
        map.serialize_entry("level", &metadata.level().as_str().to_ascii_lowercase())?;
        map.serialize_entry("msg", fields.message())?;
        map.serialize_entry("target", metadata.target())?;
        for (name, value) in fields.others() {
            map.serialize_entry(name, value)?;
        }
        SerializeMap::end(map)
    };
    // Strings, numbers and a memory buffer leave nothing to fail.
    _ = write(&mut line);
    line.push(b'\n');
    String::from_utf8_lossy(&line).into_owned()
}

fn text_line(now_ms: i64, event: &Event<'_>, fields: &Fields) -> String {
    use fmt::Write;
    let metadata = event.metadata();
    let mut line = String::with_capacity(160);
    let (time, level, target) = (timestamp(now_ms), metadata.level(), metadata.target());
    _ = write!(line, "{time} {level:<5} {} ({target})", fields.message()); // a String takes everything
    for (name, value) in fields.others() {
        _ = write!(line, " {name}={value}"); // as above
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: &str, work: impl FnOnce(&LogHandle)) -> String {
        let buffer = Buffer::default();
        let out = buffer.clone();
        let (layer, handle) = reload::Layer::new(filter.parse::<Filter>().unwrap().targets());
        let lines = Lines { format, now_ms: || 1_763_866_800_123, out: move || out.clone() };
        let subscriber = Registry::default().with(layer).with(lines);
        tracing::subscriber::with_default(subscriber, || work(&LogHandle(handle)));
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_is_json_with_the_fields_of_its_spans() {
        let text = logged(Format::Json, "info", |_| {
            let _outer = tracing::info_span!("task", task.name = "pacer", account.id = "a").entered();
            tracing::warn!(account.id = "b", sends = 3, ok = false, "lane \"paused\"");
        });
        assert!(
            text.starts_with("{\"ts\":\"2025-11-23T03:00:00.123Z\",\"level\":\"warn\",\"msg\":"),
            "{text}"
        );
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["msg"], "lane \"paused\"");
        assert_eq!(line["task.name"], "pacer");
        assert_eq!(line["account.id"], "b");
        assert_eq!((&line["sends"], &line["ok"]), (&Value::from(3), &Value::from(false)));
        assert_eq!(line["target"], module_path!());
    }

    #[test]
    fn the_level_changes_while_running() {
        let text = logged(Format::Text, "warn", |handle| {
            tracing::info!("one");
            handle.set(&"warn,menshen::telemetry=debug".parse().unwrap());
            tracing::debug!(n = 2, "two");
        });
        assert!(!text.contains("one") && text.contains("two (menshen::telemetry::log::tests) n=2"), "{text}");
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        for wrong in ["", "inof", "info,", "menshen=loud", "=info", "info debug"] {
            let error = wrong.parse::<Filter>().unwrap_err().to_string();
            assert!(error.contains("error, warn, info"), "{wrong}: {error}");
        }
        assert_eq!("INFO".parse::<Filter>().unwrap(), Filter::default());
    }
}
