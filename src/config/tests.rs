//! Over the whole of the configuration: documentation, defaults, layers, problems.

use std::io::Write;

use toml::{Table, Value};

use super::schema::{FREE_FORM, Known, join, put, schema};
use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn problems(text: &str, env: &[(&str, &str)]) -> Vec<Problem> {
    let file = file(text);
    let layers =
        Layers { file: Some(file.path().to_owned()), environment: environment(env), ..Layers::default() };
    load(&layers).err().map(|problems| problems.0).unwrap_or_default()
}

/// Checks that a file has exactly one problem, about `key`, whose text contains `expect`.
fn check(text: &str, key: &str, expect: &str) {
    let found = problems(text, &[]);
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    assert_eq!(found[0].key, key, "{text}");
    assert!(found[0].to_string().contains(expect), "{text}: {}", found[0]);
}

#[test]
fn the_embedded_file_says_what_the_code_says() {
    let loaded = load(&Layers::default()).unwrap();
    assert_eq!(format!("{:#?}", loaded.config), format!("{:#?}", Config::default()));
}

/// Reads the names of a struct's fields from serde's own complaint about an unknown one: optional keys included.
fn fields_of(section: &str) -> Vec<String> {
    let mut table = schema().defaults().clone();
    put(&mut table, &join(section, "no_such_key"), Value::Integer(1));
    let Err((_, detail)) = layers::parse(&table) else {
        panic!("`{section}` takes unknown keys: its Config needs #[serde(deny_unknown_fields)]");
    };
    assert!(detail.contains("unknown field `no_such_key`"), "{section}: {detail}");
    detail.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// Every section and subsection of the embedded file, the root as an empty path.
fn sections() -> Vec<String> {
    fn walk(table: &Table, prefix: &str, found: &mut Vec<String>) {
        found.push(prefix.to_owned());
        for (key, value) in table {
            let path = join(prefix, key);
            if let (Some(inner), false) = (value.as_table(), FREE_FORM.contains(&path.as_str())) {
                walk(inner, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(schema().defaults(), "", &mut found);
    found
}

#[test]
fn every_field_of_every_config_is_in_the_embedded_file() {
    for section in sections() {
        let fields = fields_of(&section);
        assert!(!fields.is_empty(), "{section}: no fields found");
        for field in fields {
            let path = join(&section, &field);
            assert_ne!(schema().known(&path), Known::No, "`{path}` is not in config/menshen.toml");
        }
    }
}

#[test]
fn every_key_of_the_embedded_file_has_a_comment() {
    let mut described = false;
    for (number, line) in DEFAULT_TOML.lines().enumerate() {
        let optional = line.starts_with('#') && line.chars().nth(1).is_some_and(|c| c.is_ascii_lowercase());
        let is_key = optional || line.contains(" = ") && !line.starts_with('#');
        if is_key {
            assert!(described, "line {}: no comment above `{line}`", number + 1);
        }
        described = line.starts_with("# ") && line.len() > 10;
    }
}

#[test]
fn optional_keys_are_fields_with_an_example_that_is_accepted() {
    let mut table = schema().defaults().clone();
    for key in schema().keys().iter().filter(|key| schema().secret_of(key).is_none()) {
        let example = schema().example(key).unwrap().clone();
        put(&mut table, key, example);
    }
    layers::parse(&table).unwrap();
}

#[test]
fn the_examples_are_accepted() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let layers = Layers { file: Some(path.clone()), ..Layers::default() };
            load(&layers).unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn later_layers_win_and_every_value_knows_its_source() {
    let file = file("[drain]\ndelay = \"1s\"\ntimeout = \"2s\"\n\n[server]\nlisten = \"127.0.0.1:1\"\n");
    let layers = Layers {
        file: Some(file.path().to_owned()),
        environment: environment(&[
            ("MENSHEN_DRAIN__TIMEOUT", "3s"),
            ("MENSHEN_SERVER__LISTEN", "127.0.0.1:2"),
            ("MENSHEN_SERVER__DATA_DIR", "2026"),
            ("MENSHEN_SERVICE_HOST", "10.0.0.1"),
            ("MENSHEN_BENCH_SMALL", "1"),
            ("PATH", "/bin"),
        ]),
        flags: Flags { listen: Some("127.0.0.1:3".to_owned()), ..Flags::default() },
    };
    let loaded = load(&layers).unwrap();
    assert_eq!(loaded.config.drain.delay, Duration::from_secs(1));
    assert_eq!(loaded.config.drain.timeout, Duration::from_secs(3));
    assert_eq!(loaded.config.server.listen.port(), 3);
    assert_eq!(loaded.config.server.data_dir, PathBuf::from("2026"));
    let source = |key: &str| {
        let setting = loaded.settings.iter().find(|setting| setting.key == key).unwrap();
        setting.source.to_string()
    };
    assert_eq!(source("drain.delay"), format!("{}:2", file.path().display()));
    assert_eq!(source("drain.timeout"), "environment MENSHEN_DRAIN__TIMEOUT");
    assert_eq!(source("server.listen"), "--listen");
    assert_eq!(source("log.level"), "default");
}

#[test]
fn what_is_shown_can_be_read_back() {
    let text = show(&load(&Layers::default()).unwrap().settings);
    let shown: Table = text.parse().unwrap();
    assert_eq!(&shown, schema().defaults());
    assert!(text.contains("listen = \"127.0.0.1:8180\"") && text.contains("# default"), "{text}");
}

#[test]
fn a_problem_names_key_value_place_and_remedy() {
    check("[server]\nlisen = \"127.0.0.1:1\"\n", "server.lisen", "did you mean `server.listen`?");
    check("[serve]\nlisten = \"127.0.0.1:1\"\n", "serve", "did you mean `server`?");
    check("[server]\n\nlisten = 8180\n", "server.listen", ":3)");
    check("[server]\nlisten = 8180\n", "server.listen", "write it like the default: \"127.0.0.1:8180\"");
    check("[drain]\ndelay = \"5 weeks\"\n", "drain.delay", "`5 weeks` is no duration");
    check("drain = 5\n", "drain", "write `[drain]`");
    check("[log]\nlevel = \"inof\"\n", "log.level", "`inof` is no log level");
    check("[log]\nformat = \"xml\"\n", "log.format", "expected `json` or `text`");
    check("[server]\nlisten = \"127.0.0.1:8181\"\n", "server.metrics_listen", "a port of their own");
    check("[server\n", "", ":1)");
    check("colour = 3\n", "colour", "`menshen config default` lists every key");
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    check("[connectors]\nconnect_timeout = \"20s\"\n", "connectors.connect_timeout", "\"15s\" at most");
    check("[connectors]\nsignature_tolerance = \"6m\"\n", "connectors.replay_window", "at least: \"12m\"");
    check("[storage]\ndeliveries_keep = \"10m\"\n", "storage.deliveries_keep", "more than \"1d\"");
    check("[fleet]\ncase_groups_min = 2000\n", "fleet.case_groups_max", "raise it to 2000");
    check(
        "[outbox]\ncall_timeout = \"15s\"\n",
        "outbox.call_timeout",
        "more than `connectors.total_timeout`",
    );
    check("[outbox.lanes]\nbulk_share_percent = 90\n", "outbox.lanes.bulk_share_percent", "below 100");
    check(
        "[outbox.pacing]\nurgent_reserve_percent = 60\n",
        "outbox.pacing.urgent_reserve_percent",
        "write 0 at least and 50 at most",
    );
    check("[ingest]\ntext_bytes_max = \"65KiB\"\n", "ingest.text_bytes_max", "raise `ingest.line_bytes_max`");
    check("[api]\npage_rows_max = 50\n", "api.page_rows_default", "which is 50");
    check("[evidence]\nenabled = true\n", "evidence.enabled", "openssl rand -base64 32");
    check("[evidence]\nhistory = true\n", "evidence.history", "`evidence.enabled = true` too");
    check("[questions]\nkeep_text = true\n", "questions.keep_text", "`evidence.enabled = true` too");
    check("[questions]\nwait = \"13h\"\n", "questions.wait", "12 hours at most");
    check("[alerts.life]\nstorm_size = 0\n", "alerts.life", "`storm_size` must lie between 1 and 1000");
    check("[alerts.kinds.hit_spike]\nwindow = \"2h\"\n", "alerts.kinds", "`hit_spike.window` is 7200 s");
    check("[alerts.watch]\nmembers_max = 0\n", "alerts.watch.members_max", "like 500");
    check("[reviews]\nkeep = \"1d\"\n", "reviews.keep", "\"30d\" at least");
    check("[hook]\nurl = \"https://example.org/judge\"\n", "hook.url", "hook.secret_file");
    check("[subscriptions]\nlook = \"0s\"\n", "subscriptions.look", "1s");
    check("[subscriptions]\nretry_delay = \"1h\"\n", "subscriptions.retry_delay", "\"15m\" at most");
    check("[subscriptions]\nrows_max = 0\n", "subscriptions.rows_max", "nonzero");
    check("[hook]\nwait = \"1s\"\n", "hook.wait", "800ms");
    // The cause is in another key than the one that is named; the place is what the operator wrote.
    check("[connectors]\nsignature_tolerance = \"6m\"\n", "connectors.replay_window", ":2)");
}

#[test]
fn a_secret_comes_from_its_file_and_is_never_shown() {
    let secret = file("s3cret-key\n");
    let path = secret.path().display().to_string();
    let layers =
        Layers { environment: environment(&[("MENSHEN_DIRECTORY__KEY_FILE", &path)]), ..Layers::default() };
    let loaded = load(&layers).unwrap();
    assert_eq!(loaded.config.directory.key.unwrap().expose(), "s3cret-key");
    let shown = show(&loaded.settings);
    assert!(shown.contains("key = \"[hidden]\"") && shown.contains(&path), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");

    check("[directory]\nkey_file = \"/no/such/key\"\n", "directory.key_file", "read the secret");
    let both = format!("[directory]\nkey = \"s3cret\"\nkey_file = \"{path}\"\n");
    check(&both, "directory.key_file", "keep one of the two");
    for wrong in [
        "[directory]\nkey = [\"s3cret\"]\n",
        "[directory]\nkey = { s3cret = 1 }\n",
        "[directory]\nkez = \"s3cret\"\n",
    ] {
        let text = Problems(problems(wrong, &[])).to_string();
        assert!(text.contains("directory.ke") && !text.contains("s3cret"), "{text}");
    }
}

#[test]
fn all_problems_are_named_at_once() {
    let text = "[server]\nlisten = 1\nlisen = 2\n\n[drain]\ndelay = 3\ntimeout = \"0s\"\n";
    let environment = [("MENSHEN_LOG__LEVEL", "loud"), ("MENSHEN_LOG_FORMAT", "text"), ("MENSHEN_A__B", "1")];
    let found = problems(text, &environment);
    let mut keys: Vec<_> = found.iter().map(|problem| problem.key.as_str()).collect();
    keys.sort_unstable();
    let expect =
        ["a.b", "drain.delay", "drain.timeout", "log.format", "log.level", "server.lisen", "server.listen"];
    assert_eq!(keys, expect);
    let text = Problems(found).to_string();
    assert!(text.starts_with("the configuration has 7 problems\n"), "{text}");
    assert!(text.contains("write `MENSHEN_LOG__FORMAT`"), "{text}");
}

#[test]
fn a_missing_file_is_a_problem() {
    let layers = Layers { file: Some("/no/such/menshen.toml".into()), ..Layers::default() };
    let text = load(&layers).unwrap_err().to_string();
    assert!(text.contains("/no/such/menshen.toml") && text.contains("leave --config away"), "{text}");
}
