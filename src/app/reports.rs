//! Daily reports as files: by schedule, and `menshen report`.
//!
//! A report is what the API answers: there is no second way to one. Files are whole or not there; what an earlier run did not
//! get to is made at the next start.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use tower::ServiceExt as _;

use super::cli::{self, Place};
use super::control;
use crate::clock::Clock;
use crate::report::{Config, Language};
use crate::tasks::Tasks;
use crate::telemetry::metrics;

/// How often the time is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// Directory of the reports, in the data directory.
const DIR: &str = "reports";
/// Regions of which reports are made.
const REGIONS_MAX: usize = 1_000;

/// Makes the reports of a day when it is time.
pub(super) struct Schedule {
    pub(super) router: Router,
    pub(super) config: Config,
    pub(super) data_dir: PathBuf,
    pub(super) zone: TimeZone,
    pub(super) clock: Clock,
}

impl Schedule {
    /// Looks at the time until the tasks stop.
    pub(super) async fn run(self, tasks: Tasks) {
        let Some(daily_at) = self.config.daily_at else { return };
        let mut tried: Option<Date> = None;
        loop {
            let now = Timestamp::from_millisecond(self.clock.now_ms()).unwrap_or_default();
            let now = now.to_zoned(self.zone.clone());
            let day = now.date().yesterday().ok().filter(|_| now.time() >= daily_at);
            if let Some(day) = day.filter(|day| tried != Some(*day)) {
                tried = Some(day);
                match self.make(day).await {
                    Ok(0) => {}
                    Ok(files) => tracing::info!(files, %day, "daily reports written"),
                    Err(error) => {
                        metrics::reports_failed();
                        tracing::error!(error = format!("{error:#}"), %day, "write the daily reports; tried again in an hour");
                        tokio::select! {
                            () = tokio::time::sleep(Duration::from_hours(1)) => {}
                            () = tasks.stopping() => return,
                        }
                        tried = None;
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = tasks.stopping() => return,
            }
        }
    }

    /// Writes what is missing of a day's reports; returns how many files that was.
    async fn make(&self, day: Date) -> anyhow::Result<usize> {
        let root = self.data_dir.join(DIR);
        let dir = root.join(day.to_string());
        tokio::fs::create_dir_all(&dir).await?;
        let path = format!("/v1/regions?limit={REGIONS_MAX}");
        let regions: Value = serde_json::from_slice(&ask(&self.router, &path).await?)?;
        let regions = regions["items"].as_array().cloned().unwrap_or_default();
        let regions = regions.iter().filter_map(|region| region["id"].as_str());
        let mut files = 0;
        for region in std::iter::once(None).chain(regions.map(Some)) {
            for kind in self.config.kinds() {
                let file = dir.join(kind.file(region));
                if tokio::fs::try_exists(&file).await? {
                    continue;
                }
                write(&file, &ask(&self.router, &kind.path(region, day)).await?).await?;
                files += 1;
            }
        }
        self.forget(&root, day).await?;
        Ok(files)
    }

    /// Removes the reports of days that are too long ago.
    async fn forget(&self, root: &Path, day: Date) -> anyhow::Result<()> {
        let first = day.checked_sub(i64::from(self.config.keep_days).days())?;
        let mut days = tokio::fs::read_dir(root).await?;
        while let Some(entry) = days.next_entry().await? {
            let of = entry.file_name().to_str().and_then(|name| name.parse::<Date>().ok());
            if of.is_some_and(|of| of < first) {
                tokio::fs::remove_dir_all(entry.path()).await?;
            }
        }
        Ok(())
    }
}

/// A file of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Page(Language),
    Sheet,
}

impl Config {
    fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.languages.iter().map(|language| Kind::Page(*language)).chain([Kind::Sheet])
    }
}

impl Kind {
    fn file(self, region: Option<&str>) -> String {
        let region = region.unwrap_or("all");
        match self {
            Kind::Page(language) => format!("{region}.{}.html", word(language)),
            Kind::Sheet => format!("{region}.csv"),
        }
    }

    fn path(self, region: Option<&str>, day: Date) -> String {
        let region = region.map(|region| format!("&region={region}")).unwrap_or_default();
        let form = match self {
            Kind::Page(language) => format!("lang={}", word(language)),
            Kind::Sheet => "format=csv".to_owned(),
        };
        format!("/v1/reports/daily?date={day}{region}&{form}")
    }
}

fn word(language: Language) -> &'static str {
    match language {
        Language::Zh => "zh",
        Language::En => "en",
    }
}

async fn ask(router: &Router, path: &str) -> anyhow::Result<Vec<u8>> {
    let response = router.clone().oneshot(Request::get(path).body(Body::empty())?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes().to_vec();
    anyhow::ensure!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
    Ok(body)
}

/// Writes a file that is whole or not there.
async fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = file.with_extension("part");
    tokio::fs::write(&part, bytes).await?;
    tokio::fs::rename(&part, file).await?;
    Ok(())
}

/// What `report` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Asks the running gateway. Without --out the page goes to standard output:
  menshen report --region east > east.html")]
pub struct Args {
    /// Day, as 2026-11-28; yesterday when left out 哪一天
    #[arg(long)]
    pub date: Option<Date>,
    /// Only groups of this region; all when left out 哪个区域
    #[arg(long)]
    pub region: Option<String>,
    /// Language: zh or en 语言
    #[arg(long, default_value = "zh", value_parser = language)]
    pub lang: Language,
    /// A sheet (CSV) with a line for each group instead of a page 导出表格
    #[arg(long)]
    pub csv: bool,
    /// File to write 写到哪个文件
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Of which gateway.
    #[command(flatten)]
    pub place: Place,
}

fn language(word: &str) -> Result<Language, String> {
    match word {
        "zh" => Ok(Language::Zh),
        "en" => Ok(Language::En),
        other => Err(format!("`{other}` is neither zh nor en")),
    }
}

/// Runs the command.
///
/// # Errors
/// When no gateway runs there, or it refuses.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.place.load()?.config;
    let kind = if args.csv { Kind::Sheet } else { Kind::Page(args.lang) };
    let now = jiff::Zoned::now();
    let day = args.date.map_or_else(|| now.date().yesterday(), Ok)?;
    let path = kind.path(args.region.as_deref(), day);
    let answer = control::call_raw(&config.server.data_dir, Method::GET, &path, &Value::Null).await?;
    match &args.out {
        None => cli::print(&String::from_utf8_lossy(&answer))?,
        Some(file) => {
            tokio::fs::write(file, &answer).await?;
            cli::print(&format!("wrote {}\n", file.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_region_and_language() {
        let day = jiff::civil::date(2026, 11, 28);
        assert_eq!(Kind::Page(Language::En).file(Some("east")), "east.en.html");
        assert_eq!(Kind::Sheet.file(None), "all.csv");
        assert_eq!(
            Kind::Sheet.path(Some("east"), day),
            "/v1/reports/daily?date=2026-11-28&region=east&format=csv"
        );
    }

    #[tokio::test]
    async fn what_is_missing_is_made_once_and_old_days_go() {
        let answer = |text: &'static str| axum::routing::get(move || async move { text });
        let router = Router::new()
            .route("/v1/regions", answer(r#"{"items":[{"id":"east"}]}"#))
            .route("/v1/reports/daily", answer("page"));
        let data = tempfile::tempdir().unwrap();
        let old = data.path().join(DIR).join("2026-01-01");
        std::fs::create_dir_all(&old).unwrap();
        let schedule = Schedule {
            router,
            config: Config::default(),
            data_dir: data.path().to_owned(),
            zone: TimeZone::UTC,
            clock: Clock::manual(0),
        };
        let day = jiff::civil::date(2026, 11, 28);
        assert_eq!(schedule.make(day).await.unwrap(), 4, "all and east, a page and a sheet each");
        let dir = data.path().join(DIR).join("2026-11-28");
        std::fs::remove_file(dir.join("east.csv")).unwrap();
        assert_eq!(schedule.make(day).await.unwrap(), 1);
        assert_eq!(std::fs::read_to_string(dir.join("east.csv")).unwrap(), "page");
        assert!(!old.exists());
    }
}
