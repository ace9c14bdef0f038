//! What is said of each thing that was looked at. Pure: no calls, no clock.

mod callback;

use serde::Deserialize;

use super::Family;
use crate::connectors::offers::{Finding, ReceivingCap, Standing};
use crate::connectors::wecom::api::Api;
use crate::connectors::wecom::errcode::{BAD_CORP, BAD_SECRET};
use crate::connectors::wecom::error::{ApiError, Code};

pub(super) use callback::{callback_keys, callback_seen, callback_url};

/// Our address is not among those that the app trusts.
const IP_NOT_TRUSTED: i64 = 60020;
/// The app is switched off, or barred.
const APP_OFF: [i64; 2] = [50003, 60031];
/// Too many members are visible for a list without owners: that we were told so much shows that we may ask.
const TOO_MANY: i64 = 81017;
/// We may not call this.
const NOT_ALLOWED: [i64; 5] = [48001, 48002, 60011, 84074, 301_002];
/// Most intercept rules of a corp, and from how many on somebody should clear up.
const RULES: (usize, usize) = (100, 90);

/// How the walk begins.
#[derive(Debug)]
pub(super) enum Begin {
    /// There are robots alone.
    NoApp,
    /// Token, address and app are good.
    Works,
    /// The first call failed.
    Failed(ApiError),
}

/// An app as it says of itself.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Agent {
    #[serde(default)]
    name: String,
    #[serde(default)]
    close: u8,
    #[serde(default)]
    allow_userinfos: Users,
    #[serde(default)]
    allow_partys: Departments,
    #[serde(default)]
    allow_tags: Tags,
}

#[derive(Debug, Default, Deserialize)]
struct Users {
    #[serde(default)]
    user: Vec<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Departments {
    #[serde(default)]
    partyid: Vec<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct Tags {
    #[serde(default)]
    tagid: Vec<u64>,
}

fn finding(subject: &str, standing: Standing, zh: impl Into<String>, en: impl Into<String>) -> Finding {
    Finding { subject: subject.to_owned(), standing, zh: zh.into(), en: en.into() }
}

fn bad(subject: &str, error: &ApiError) -> Finding {
    let (zh, en) = error.words();
    let (path, code) = (error.api.path(), error.code_text());
    finding(subject, Standing::Bad, format!("{zh}（{path}：{code}）"), format!("{en} ({path}: {code})"))
}

pub(super) fn skipped(subject: &str) -> Finding {
    let zh = "前面的步骤未通过，暂未检查";
    finding(subject, Standing::Skipped, zh, "not looked at: something before it does not work")
}

/// Secret, corp, trusted address: what the first call tells of each.
pub(super) fn begin(begin: &Begin) -> Vec<Finding> {
    let good_secret =
        || finding("secret", Standing::Good, "企业 ID 与 Secret 正确", "corp id and secret are right");
    let error = match begin {
        Begin::NoApp => {
            let zh = "账号没有 app_secret，只能使用群机器人；如需回调、群发等功能，请到 管理后台 → 应用管理 → 该应用 → Secret 查看并填写";
            let en = "the account has no `app_secret`: only its robots work. For callbacks, mass sends and the rest, \
                      look it up at 管理后台 → 应用管理 → the app → Secret";
            return vec![finding("secret", Standing::Warning, zh, en), skipped("trusted_ip")];
        }
        Begin::Works => {
            let (zh, en) = ("本机 IP 在企业可信 IP 内", "our address is trusted");
            return vec![good_secret(), finding("trusted_ip", Standing::Good, zh, en)];
        }
        Begin::Failed(error) => error,
    };
    match error.code {
        Code::Errcode(BAD_CORP) => vec![bad("corp_id", error), skipped("secret"), skipped("trusted_ip")],
        Code::Errcode(BAD_SECRET) => vec![bad("secret", error), skipped("trusted_ip")],
        Code::Errcode(IP_NOT_TRUSTED) => vec![good_secret(), untrusted(error)],
        // The token is only given when these are right.
        Code::Errcode(_) if error.api != Api::GetToken => vec![good_secret(), bad("app", error)],
        Code::Errcode(code) if APP_OFF.contains(&code) => vec![good_secret(), bad("app", error)],
        Code::Errcode(_) => vec![bad("secret", error), skipped("trusted_ip")],
        Code::Http(_)
        | Code::Ssrf
        | Code::Connect
        | Code::Lost
        | Code::Unreadable
        | Code::Quota
        | Code::NoSecret
        | Code::State => vec![bad("network", error), skipped("secret"), skipped("trusted_ip")],
    }
}

fn untrusted(error: &ApiError) -> Finding {
    let (zh, en) = match error.from_ip {
        Some(ip) => (
            format!("请到 管理后台 → 应用管理 → 该应用 → 企业可信IP 添加 {ip}，约一分钟后生效"),
            format!("add {ip} at 管理后台 → 应用管理 → the app → 企业可信IP; it works after about a minute"),
        ),
        None => (
            "请到 管理后台 → 应用管理 → 该应用 → 企业可信IP 添加本机的出口 IP，约一分钟后生效".to_owned(),
            "add the address we go out by at 管理后台 → 应用管理 → the app → 企业可信IP; it works after about a minute"
                .to_owned(),
        ),
    };
    finding("trusted_ip", Standing::Bad, zh, en)
}

/// The app itself.
pub(super) fn app(agent: Option<&Result<Agent, ApiError>>) -> Finding {
    match agent {
        None => finding(
            "app",
            Standing::Warning,
            "账号没有填写 agent_id，无法给员工发应用消息；请到 管理后台 → 应用管理 → 该应用 查看 AgentId",
            "the account has no `agent_id`, so staff cannot be told anything; look it up at 管理后台 → 应用管理 → the app",
        ),
        Some(Ok(agent)) if agent.close != 0 => finding(
            "app",
            Standing::Bad,
            format!("应用「{}」已停用；请到 管理后台 → 应用管理 → 该应用 → 启用", agent.name),
            format!(
                "the app `{}` is switched off; switch it on at 管理后台 → 应用管理 → the app",
                agent.name
            ),
        ),
        Some(Ok(agent)) => finding(
            "app",
            Standing::Good,
            format!("应用「{}」已启用", agent.name),
            format!("the app `{}` is switched on", agent.name),
        ),
        Some(Err(error)) => bad("app", error),
    }
}

/// Whom the app may see.
pub(super) fn visible_range(agent: &Agent) -> Finding {
    let (users, departments, tags) =
        (agent.allow_userinfos.user.len(), agent.allow_partys.partyid.len(), agent.allow_tags.tagid.len());
    if users + departments + tags == 0 {
        return finding(
            "visible_range",
            Standing::Bad,
            "应用的可见范围为空，看不到任何成员与客户群；请到 管理后台 → 应用管理 → 该应用 → 可见范围 添加部门",
            "the app sees nobody, and so no groups; add departments at 管理后台 → 应用管理 → the app → 可见范围",
        );
    }
    // The groups that an app may make need the root department.
    let (standing, zh, en) = if agent.allow_partys.partyid.contains(&1) {
        (Standing::Good, "", "")
    } else {
        (
            Standing::Warning,
            "；不含根部门，因此不能创建应用群，范围外群主的客户群也不会被看到",
            "; without the root department: no groups can be made, and groups of owners outside are not seen",
        )
    };
    finding(
        "visible_range",
        standing,
        format!("可见范围：{departments} 个部门、{users} 名成员、{tags} 个标签{zh}"),
        format!("visible: {departments} departments, {users} members, {tags} tags{en}"),
    )
}

/// Whether a family of interfaces may be called.
pub(super) fn permission(family: Family, error: Option<&ApiError>) -> Finding {
    let (zh, en, place) = match family {
        Family::Groups => ("客户群", "customer groups", CONTACT),
        Family::MassSends => ("群发", "mass sends", CONTACT),
        Family::WelcomeTemplates => ("入群欢迎语", "welcome templates", CONTACT),
        Family::Interception => (
            "敏感词",
            "intercept rules",
            "管理后台 → 安全与管理 → 敏感词管理（或 客户与上下游 → 权限配置 → 可调用接口的应用）",
        ),
        Family::JoinWays => ("加入群聊（群活码）", "ways into groups", CONTACT),
        Family::OwnGroups => (
            "应用群（appchat）",
            "groups of the app's own",
            "管理后台 → 应用管理 → 该应用 → 可见范围（须含根部门）",
        ),
    };
    match error {
        Some(error) if NOT_ALLOWED.iter().any(|code| error.is(*code)) => {
            let code = error.code_text();
            finding(
                "permissions",
                Standing::Bad,
                format!("不能调用「{zh}」接口（{code}）；请到 {place} 添加本应用"),
                format!("`{en}` may not be called ({code}); add the app at {place}"),
            )
        }
        // Whoever is told that an id is unknown, or a list too long, was allowed to ask.
        Some(ApiError { code: Code::Errcode(code), .. }) if *code > 0 => good_permission(zh, en),
        None => good_permission(zh, en),
        Some(error) => {
            let (why_zh, why_en) = error.words();
            finding(
                "permissions",
                Standing::Skipped,
                format!("「{zh}」接口未能检查：{why_zh}"),
                format!("`{en}` could not be looked at: {why_en}"),
            )
        }
    }
}

const CONTACT: &str = "管理后台 → 客户与上下游 → 客户联系 → API → 可调用接口的应用";

fn good_permission(zh: &str, en: &str) -> Finding {
    let (zh, en) = (format!("可以调用「{zh}」接口"), format!("`{en}` may be called"));
    finding("permissions", Standing::Good, zh, en)
}

/// Staff who may have customers at all.
pub(super) fn contacts(count: Result<&usize, &ApiError>) -> Finding {
    match count {
        Ok(0) => finding(
            "owners",
            Standing::Bad,
            "没有成员具备客户联系权限；请到 管理后台 → 客户与上下游 → 权限配置 → 客户联系 → 使用范围 添加成员",
            "no member may have customers; add members at 管理后台 → 客户与上下游 → 权限配置 → 客户联系 → 使用范围",
        ),
        Ok(count) => finding(
            "owners",
            Standing::Good,
            format!("{count} 名成员具备客户联系权限"),
            format!("{count} members may have customers"),
        ),
        Err(error) => bad("owners", error),
    }
}

/// Groups whose owner has left; `true` for "and more".
pub(super) fn owners(orphans: Result<&(usize, bool), &ApiError>) -> Finding {
    match orphans {
        Ok((0, _)) => {
            finding("owners", Standing::Good, "没有群主已离职的客户群", "no group's owner has left")
        }
        Ok((count, more)) => {
            let plus = if *more { "+" } else { "" };
            finding(
                "owners",
                Standing::Warning,
                format!(
                    "{count}{plus} 个客户群的群主已离职，待分配；可在门神的离职继承清单中处理，或到 管理后台 → 客户与上下游 → 离职继承"
                ),
                format!(
                    "the owners of {count}{plus} groups have left; give them heirs from our list of orphans, or at \
                     管理后台 → 客户与上下游 → 离职继承"
                ),
            )
        }
        Err(error) if error.is(TOO_MANY) => finding(
            "owners",
            Standing::Skipped,
            "可见成员超过 1000 人，企业微信不能一次列出离职群主的群；同步完成后由门神逐批查找",
            "more than 1000 members are visible, so WeCom does not list these groups at once; we look in portions \
             after the first sync",
        ),
        Err(error) => bad("owners", error),
    }
}

/// How full the platform's own interception is.
pub(super) fn intercept_rules(count: Result<&usize, &ApiError>) -> Finding {
    let (most, many) = RULES;
    match count {
        Ok(count) => finding(
            "intercept_rules",
            if *count >= many { Standing::Warning } else { Standing::Good },
            format!("敏感词规则 {count} / {most} 条（管理后台 → 安全与管理 → 敏感词管理）"),
            format!("{count} of {most} intercept rules are used (管理后台 → 安全与管理 → 敏感词管理)"),
        ),
        Err(error) => bad("intercept_rules", error),
    }
}

/// What we were told of the receiving cap, which cannot be read.
pub(super) fn receiving_cap(cap: ReceivingCap) -> Finding {
    let (zh, en) = match cap {
        ReceivingCap::DaysOfMonth => ("每自然月（当月天数）次", "as many times a month as it has days"),
        ReceivingCap::SevenAWeek => ("每周 7 次", "seven times a week"),
        ReceivingCap::OnceADay => ("每天 1 次", "once a day"),
    };
    finding(
        "receiving_cap",
        Standing::Good,
        format!(
            "按每个客户群最多接收群发 {zh} 计算；无法通过接口读取，请与 管理后台 → 客户与上下游 → 聊天工具 → 群发工具 核对"
        ),
        format!(
            "we count on {en} that a group may receive mass sends; no interface tells, so compare with 管理后台 → \
             客户与上下游 → 聊天工具 → 群发工具"
        ),
    )
}

/// Robots: all that can be said without a message.
pub(super) fn robots(names: &[&str], odd: &[&str]) -> Finding {
    if names.is_empty() {
        let (zh, en) = ("没有配置群机器人", "there are no group robots");
        return finding("robots", Standing::Good, zh, en);
    }
    if !odd.is_empty() {
        let odd = odd.join(", ");
        return finding(
            "robots",
            Standing::Warning,
            format!(
                "机器人 {odd} 的 key 不像 webhook 地址中 key= 后面的部分；请在群聊 → 群设置 → 消息推送 中重新复制"
            ),
            format!(
                "the keys of {odd} do not look like what stands behind key= in a webhook's address; copy them again \
                 from the group → 群设置 → 消息推送"
            ),
        );
    }
    finding(
        "robots",
        Standing::Good,
        format!("{} 个群机器人的 key 格式正确；不发消息无法验证是否仍在群内", names.len()),
        format!(
            "the keys of {} robots are well-formed; whether they still sit in their groups only a message would tell",
            names.len()
        ),
    )
}

#[cfg(test)]
mod tests;
