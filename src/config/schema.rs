//! Which keys there are: read from the embedded file, so that a key nobody documented does not exist.

use std::sync::LazyLock;

use toml::{Table, Value};

use super::DEFAULT_TOML;

/// Tables below which every key is the operator's own: not checked against the embedded file.
pub(super) const FREE_FORM: &[&str] = &[];

/// The keys of the embedded file.
pub(super) struct Schema {
    defaults: Table,
    known: Table,
    order: Vec<String>,
}

/// What a key path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A value can stand here.
    Leaf,
    /// A section.
    Section,
    /// Nothing of ours.
    No,
}

/// Returns the embedded file's schema.
pub(super) fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::of(DEFAULT_TOML));
    &SCHEMA
}

impl Schema {
    /// Reads a documented file.
    fn of(text: &str) -> Self {
        let with_optional = uncomment(text);
        let defaults: Table = text.parse().expect("the embedded file is TOML; a test reads it");
        let known: Table = with_optional.parse().expect("its optional keys are TOML; a test reads them");
        let order = leaf_order(&with_optional);
        Self { defaults, known, order }
    }

    /// Returns the default values.
    pub(super) fn defaults(&self) -> &Table {
        &self.defaults
    }

    /// Returns every key path, also of keys without a default, in the file's order.
    pub(super) fn keys(&self) -> &[String] {
        &self.order
    }

    /// Says what a key path is.
    pub(super) fn known(&self, path: &str) -> Known {
        let below =
            |free: &str| path.strip_prefix(free).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if FREE_FORM.iter().any(|free| below(free)) {
            return Known::Leaf;
        }
        match get(&self.known, path) {
            Some(Value::Table(_)) => Known::Section,
            Some(_) => Known::Leaf,
            None => Known::No,
        }
    }

    /// Returns a key's default, or its example where it has none.
    pub(super) fn example(&self, path: &str) -> Option<&Value> {
        get(&self.known, path)
    }

    /// Says whether a key holds a secret: it has a companion `…_file`.
    pub(super) fn is_secret(&self, path: &str) -> bool {
        get(&self.known, &format!("{path}_file")).is_some()
    }

    /// Returns the secret that a `…_file` key stands for.
    pub(super) fn secret_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_suffix("_file").filter(|secret| get(&self.known, secret).is_some())
    }

    /// Returns the known key or section most like an unknown one: a slip of the pen, or the right name in another section.
    pub(super) fn nearest(&self, path: &str) -> Option<&str> {
        let sections = self.order.iter().filter_map(|key| key.rsplit_once('.').map(|(section, _)| section));
        let all = self.order.iter().map(String::as_str).chain(sections);
        let alike = |a: &str, b: &str| strsim::normalized_damerau_levenshtein(a, b);
        let (best, score) = all.map(|key| (key, alike(key, path))).max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        if score >= 0.75 {
            return Some(best);
        }
        let last = path.rsplit('.').next()?;
        self.order.iter().map(String::as_str).find(|key| key.rsplit('.').next() == Some(last))
    }
}

/// Looks a dotted path up.
pub(super) fn get<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let mut value = table.get(parts.next()?)?;
    for part in parts {
        value = value.as_table()?.get(part)?;
    }
    Some(value)
}

/// Sets a dotted path, making tables on the way.
pub(super) fn put(table: &mut Table, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        table.insert(path.to_owned(), value);
        return;
    };
    let entry = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
    if !entry.is_table() {
        *entry = Value::Table(Table::new());
    }
    if let Value::Table(inner) = entry {
        put(inner, rest, value);
    }
}

/// Returns what a dotted path of a parsed file spans in its text, for line numbers.
pub(super) fn offset(text: &str, path: &str) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut found = None;
    for part in path.split('.') {
        let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == part)?;
        found = Some(key.span().start);
        match value.get_ref() {
            toml::de::DeValue::Table(inner) => table = inner,
            toml::de::DeValue::String(_)
            | toml::de::DeValue::Integer(_)
            | toml::de::DeValue::Float(_)
            | toml::de::DeValue::Boolean(_)
            | toml::de::DeValue::Datetime(_)
            | toml::de::DeValue::Array(_) => return found,
        }
    }
    found
}

/// Makes `#key = …` lines (no space after the sign) live: keys without a default.
fn uncomment(text: &str) -> String {
    let optional = |line: &str| {
        line.strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.contains(" = "))
            .map(str::to_owned)
    };
    text.lines().map(|line| optional(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// Lists the paths of all values in the order they are written.
fn leaf_order(text: &str) -> Vec<String> {
    fn walk(table: &toml::de::DeTable<'_>, prefix: &str, found: &mut Vec<(usize, String)>) {
        for (key, value) in table {
            let path = join(prefix, key.get_ref());
            match value.get_ref().as_table() {
                Some(inner) if !FREE_FORM.contains(&path.as_str()) => walk(inner, &path, found),
                Some(_) | None => found.push((key.span().start, path)),
            }
        }
    }
    let mut found = Vec::new();
    if let Ok(document) = toml::de::DeTable::parse(text) {
        walk(document.get_ref(), "", &mut found);
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// Appends a part to a dotted path.
pub(super) fn join(prefix: &str, part: &str) -> String {
    if prefix.is_empty() { part.to_owned() } else { format!("{prefix}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_keys_are_known_but_have_no_default() {
        let schema = Schema::of("[a]\n# words = about it\n#key = \"x\"\n#key_file = \"/x\"\nb = 1\n");
        assert_eq!(schema.known("a.key"), Known::Leaf);
        assert_eq!(schema.known("a.words"), Known::No);
        assert_eq!(schema.known("a"), Known::Section);
        assert!(get(schema.defaults(), "a.key").is_none());
        assert_eq!(schema.keys(), ["a.key", "a.key_file", "a.b"]);
        assert!(schema.is_secret("a.key") && !schema.is_secret("a.b"));
        assert_eq!(schema.secret_of("a.key_file"), Some("a.key"));
    }

    #[test]
    fn the_nearest_key_is_a_slip_or_the_same_name_elsewhere() {
        let schema = schema();
        assert_eq!(schema.nearest("server.lisen"), Some("server.listen"));
        assert_eq!(schema.nearest("srever.listen"), Some("server.listen"));
        assert_eq!(schema.nearest("serve"), Some("server"));
        assert_eq!(schema.nearest("metrics.metrics_listen"), Some("server.metrics_listen"));
        assert_eq!(schema.nearest("colour.of.the.gate"), None);
    }
}
