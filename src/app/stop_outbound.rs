//! `menshen stop-outbound`: one command that stops what is sent, by kind and scope, at once and over restarts.

use std::process::ExitCode;

use clap::ValueEnum;
use http::Method;
use serde_json::json;

use super::cli::{self, Place};
use super::control;

/// What `stop-outbound` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --kind and --scope everything stops. Nothing is lost: what waits goes on
when the stop is lifted (DELETE /v1/holds/{id}). Calls already made to a platform
cannot be taken back.")]
pub struct Args {
    /// Only this kind of sends
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Only here: account:NAME, brand:NAME, region:NAME, shop:NAME, group:ACCOUNT/GROUP, tag:NAME, broadcast:ID
    #[arg(long)]
    scope: Option<String>,
    /// Why, for the audit
    #[arg(long, default_value = "stopped from the command line")]
    reason: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Broadcasts 群发
    Broadcast,
    /// Keyword replies 自动回复
    Reply,
    /// Welcomes 欢迎语
    Welcome,
    /// Later steps of journeys 旅程
    Journey,
    /// Warnings to members 警告
    Warning,
    /// What groups or staff are told 通知
    Notice,
    /// Recalls, mutes, removals 处置动作
    Action,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Broadcast => "broadcast",
            Kind::Reply => "reply",
            Kind::Welcome => "welcome",
            Kind::Journey => "journey",
            Kind::Warning => "warning",
            Kind::Notice => "notice",
            Kind::Action => "action",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When no gateway runs there, or it refuses.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let data_dir = args.place.load()?.config.server.data_dir;
    let kind = args.kind.map(Kind::as_str);
    let body = json!({"kind": kind, "scope": args.scope, "reason": args.reason});
    let hold = control::call(&data_dir, Method::POST, "/v1/outbound/stop", &body).await?;
    let id = hold.get("id").and_then(serde_json::Value::as_str).unwrap_or("?");
    let what = kind.map_or_else(|| "everything outbound".to_owned(), |kind| format!("every {kind}"));
    let scope = args.scope.map(|scope| format!(" in {scope}")).unwrap_or_default();
    cli::print(&format!("stopped {what}{scope} (hold {id}); lift it with DELETE /v1/holds/{id}\n"))?;
    Ok(ExitCode::SUCCESS)
}
