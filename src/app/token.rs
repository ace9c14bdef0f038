//! `menshen token create | list | revoke`: tokens of the operators of one gateway.
//!
//! A running gateway is asked to do it (it holds the directory); without one the ledger is opened from here. Both ways go
//! through the same checks and leave the same audit entry, in the name of the operator `local`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use super::cli::{self, Place};
use super::control::{self, ControlError};
use crate::access::{Access, Caller, FIRST_OPERATOR, Right, Rights, TokenSpec};
use crate::clock::Clock;
use crate::config::Config;
use crate::directory::{Directory, Keyring};
use crate::event::{OperatorId, Scope};
use crate::storage::{SharedStorage, sqlite};

/// What `token` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Make a token; it is shown once 新建令牌
    Create(Box<Create>),
    /// List tokens without their secrets 列出令牌
    List(Place),
    /// End a token at once 吊销令牌
    Revoke {
        /// Its id, or the whole token
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

/// What `token create` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The token alone is printed, so that it can be put into a variable:
  TOKEN=$(menshen token create --name dashboard --right read)
Without --right it gets every right of its operator, without a scope everything its
operator may see.")]
struct Create {
    /// What for, in words
    #[arg(long)]
    name: String,
    /// Whose: an operator of PUT /v1/operators/{operator}
    #[arg(long, default_value = FIRST_OPERATOR)]
    operator: String,
    /// What it may do; can be repeated: events:write, moderate, broadcasts:write,
    /// broadcasts:approve, rules:write, evidence:read, reviews:decide, read, admin, verdicts:write
    #[arg(long = "right", value_parser = right)]
    rights: Vec<Right>,
    /// Only this brand; can be repeated, like the three below
    #[arg(long = "brand")]
    brands: Vec<String>,
    /// Only this region
    #[arg(long = "region")]
    regions: Vec<String>,
    /// Only this shop
    #[arg(long = "shop")]
    shops: Vec<String>,
    /// Only this group: ACCOUNT/GROUP
    #[arg(long = "group")]
    groups: Vec<String>,
    /// How long it is good for, like 90d; for ever when left out
    #[arg(long, value_parser = crate::units::parse_duration)]
    expires: Option<Duration>,
    #[command(flatten)]
    place: Place,
}

fn right(text: &str) -> Result<Right, String> {
    let all = Right::ALL.map(Right::as_str).join(", ");
    Right::parse(text).ok_or_else(|| format!("there are: {all}"))
}

/// Runs the command.
///
/// # Errors
/// With the gateway's reason, or when the ledger cannot be opened.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let text = match args.what {
        What::Create(create) => create.run().await?,
        What::List(place) => list(&place.load()?.config).await?,
        What::Revoke { id, place } => revoke(&place.load()?.config, &id).await?,
    };
    cli::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

impl Create {
    async fn run(self) -> anyhow::Result<String> {
        let config = self.place.load()?.config;
        let scope = self.scope()?;
        let expires = self.expires.map(|expires| i64::try_from(expires.as_millis())).transpose()?;
        let now_ms = Clock::system().now_ms();
        let expires_ms = expires.map(|expires| now_ms.saturating_add(expires));
        let expires_at = expires_ms.map(jiff::Timestamp::from_millisecond).transpose()?;
        let mut body = json!({"name": self.name, "operator": self.operator, "expires_at": expires_at});
        let fields = body.as_object_mut().context("it was made as an object")?;
        if !self.rights.is_empty() {
            fields.insert("rights".to_owned(), json!(self.rights));
        }
        if let Some(scope) = &scope {
            fields.insert("scope".to_owned(), json!(scope));
        }
        match control::call(&config.server.data_dir, Method::POST, "/v1/tokens", &body).await {
            Ok(made) => Ok(format!("{}\n", made["secret"].as_str().context("the gateway told no secret")?)),
            Err(ControlError::NotRunning { .. }) => {
                let offline = Offline::open(&config).await?;
                let operator = OperatorId::parse(&self.operator).context("--operator")?;
                let rights = (!self.rights.is_empty()).then(|| self.rights.into_iter().collect::<Rights>());
                let spec = TokenSpec { operator: Some(operator), name: self.name, rights, scope, expires_ms };
                let made =
                    offline.access.create_token(&Caller::local(), spec, &offline.directory, |_| None).await;
                let made = made.map_err(|error| explain(&error))?;
                offline.close().await?;
                Ok(format!("{}\n", made.secret.expose()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the scope that was named; `None` for all of the operator's.
    fn scope(&self) -> anyhow::Result<Option<Scope>> {
        if [&self.brands, &self.regions, &self.shops, &self.groups].iter().all(|names| names.is_empty()) {
            return Ok(None);
        }
        let names = json!({
            "brands": self.brands, "regions": self.regions, "shops": self.shops, "groups": self.groups,
        });
        serde_json::from_value(names).map(Some).context("read the scope")
    }
}

async fn list(config: &Config) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let path =
            cursor.map_or_else(|| "/v1/tokens".to_owned(), |cursor| format!("/v1/tokens?cursor={cursor}"));
        match control::call(&config.server.data_dir, Method::GET, &path, &Value::Null).await {
            Ok(page) => {
                rows.extend(page["items"].as_array().into_iter().flatten().map(row));
                cursor = page["next_cursor"].as_str().map(str::to_owned);
            }
            Err(ControlError::NotRunning { .. }) => {
                let offline = Offline::open(config).await?;
                let tokens = offline.access.tokens(&Caller::local(), &offline.directory);
                rows.extend(tokens.into_iter().map(|(id, stored)| {
                    let (token, when) = (stored.record, |ms: i64| jiff::Timestamp::from_millisecond(ms).ok());
                    row(&json!({
                        "id": id, "operator": token.operator, "name": token.name, "rights": token.rights,
                        "expires_at": token.expires_ms.and_then(when),
                        "last_used_at": token.last_used_ms.and_then(when),
                    }))
                }));
                offline.close().await?;
                cursor = None;
            }
            Err(error) => return Err(error.into()),
        }
        if cursor.is_none() {
            break;
        }
    }
    let head = ["id", "operator", "expires", "last used", "rights", "name"].map(str::to_owned);
    Ok(table(&[vec![head], rows].concat()))
}

fn row(token: &Value) -> [String; 6] {
    let text = |key: &str, none: &str| token[key].as_str().unwrap_or(none).to_owned();
    let rights: Vec<_> = token["rights"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let rights = if rights.len() == Right::ALL.len() { "all".to_owned() } else { rights.join(",") };
    [
        text("id", ""),
        text("operator", ""),
        text("expires_at", "never"),
        text("last_used_at", "never"),
        rights,
        text("name", ""),
    ]
}

/// Lays rows out in columns; the last one is as long as it likes.
fn table(rows: &[[String; 6]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    rows.iter().fold(String::new(), |mut text, row| {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(cell);
            text.push_str(&" ".repeat(width + 2 - cell.chars().count()));
        }
        text + &row[5] + "\n"
    })
}

async fn revoke(config: &Config, given: &str) -> anyhow::Result<String> {
    // Whoever pastes the whole token means the one it is.
    let id = given.strip_prefix(crate::access::PREFIX).unwrap_or(given);
    let id = id.split('_').next().unwrap_or(id);
    anyhow::ensure!(
        !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()),
        "`{id}` is no id of a token"
    );
    match control::call(&config.server.data_dir, Method::DELETE, &format!("/v1/tokens/{id}"), &Value::Null)
        .await
    {
        Ok(_) => {}
        Err(ControlError::NotRunning { .. }) => {
            let offline = Offline::open(config).await?;
            let revoked = offline.access.revoke_token(&Caller::local(), id, &offline.directory).await;
            revoked.map_err(|error| explain(&error))?;
            offline.close().await?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(format!("revoked {id}\n"))
}

/// The ledger, opened from here because no gateway holds it.
struct Offline {
    storage: SharedStorage,
    access: Access,
    directory: Directory,
}

impl Offline {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        let data_dir: &Path = &config.server.data_dir;
        anyhow::ensure!(
            data_dir.is_dir(),
            "there is no data directory {}; start the gateway once, or name another with --data-dir",
            data_dir.display()
        );
        let storage = sqlite::open(data_dir, &config.storage)?;
        let clock = Clock::system();
        let access = Access::open(storage.clone(), clock.clone(), config.access.clone()).await?;
        let keys = match &config.directory.key {
            Some(key) => Keyring::parse(key.expose()),
            None => Keyring::read_or_make(&data_dir.join("key")),
        };
        let directory = Directory::open(storage.clone(), clock, config.directory.clone(), keys?).await?;
        Ok(Self { storage, access, directory })
    }

    async fn close(self) -> anyhow::Result<()> {
        Ok(self.storage.close().await?)
    }
}

/// Says the fields that are wrong; an error's own words leave them out.
fn explain(error: &crate::access::AccessError) -> anyhow::Error {
    if let crate::access::AccessError::Invalid(fields) = error {
        let fields: Vec<_> =
            fields.iter().map(|field| format!("{}: {}", field.pointer, field.detail)).collect();
        return anyhow::anyhow!("{}", fields.join("; "));
    }
    anyhow::anyhow!("{error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_made_listed_and_revoked_without_a_gateway() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data_dir = dir.path().to_owned();
        let offline = Offline::open(&config).await.unwrap();
        offline.access.bootstrap().await.unwrap();
        offline.close().await.unwrap();

        let place = Place { data_dir: Some(dir.path().display().to_string()), ..Place::default() };
        let create = |operator: &str| Create {
            name: "面板".to_owned(),
            operator: operator.to_owned(),
            rights: vec![Right::Read],
            brands: Vec::new(),
            regions: vec!["east".to_owned()],
            shops: Vec::new(),
            groups: Vec::new(),
            expires: Some(Duration::from_hours(24)),
            place: place.clone(),
        };
        let made = create(FIRST_OPERATOR).run().await.unwrap();
        assert!(made.starts_with("msh_"));
        let wrong = create("nobody").run().await.unwrap_err();
        assert!(wrong.to_string().contains("/operator"), "{wrong}");
        let listed = list(&config).await.unwrap();
        assert!(
            listed.contains("面板") && listed.contains(" read ") && listed.lines().count() == 3,
            "{listed}"
        );
        assert!(revoke(&config, made.trim()).await.unwrap().starts_with("revoked "));
        assert_eq!(list(&config).await.unwrap().lines().count(), 2);
        assert!(revoke(&config, "../x").await.is_err());
    }

    #[test]
    fn a_data_directory_that_is_not_there_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data_dir = dir.path().join("gone");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert!(runtime.block_on(list(&config)).unwrap_err().to_string().contains("--data-dir"));
        assert!(!dir.path().join("gone").exists());
    }
}
