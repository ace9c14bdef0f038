//! What is said of callbacks: they can only be watched, not tried.

use std::net::IpAddr;

use http::Uri;

use super::finding;
use crate::connectors::offers::{Finding, Standing};

/// Whether each pair of token and key opens what it seals.
pub(in crate::connectors::wecom::check) fn callback_keys(works: Result<usize, &'static str>) -> Finding {
    match works {
        Ok(0) => finding(
            "callback",
            Standing::Bad,
            "账号没有 callback_token 与 callback_key，收不到任何事件；请到 管理后台 → 应用管理 → 该应用 → 接收消息 → 设置API接收 生成并填写",
            "the account has no `callback_token` and `callback_key`, so no events reach us; make them at 管理后台 → \
             应用管理 → the app → 接收消息 → 设置API接收",
        ),
        Ok(pairs) => finding(
            "callback",
            Standing::Good,
            format!("{pairs} 组 Token 与 EncodingAESKey 自检通过"),
            format!("{pairs} pairs of token and key open what they seal"),
        ),
        Err(code) => finding(
            "callback",
            Standing::Bad,
            format!("Token 与 EncodingAESKey 自检未通过（{code}）；请重新复制，两者按顺序成对"),
            format!(
                "token and key do not open what they seal ({code}); copy them again, they go in pairs in order"
            ),
        ),
    }
}

/// When a callback was last believed.
pub(in crate::connectors::wecom::check) fn callback_seen(at_ms: Option<i64>, now_ms: i64) -> Finding {
    match at_ms {
        Some(at_ms) => {
            let minutes = (now_ms - at_ms).max(0) / 60_000;
            finding(
                "callback",
                Standing::Good,
                format!("最近一次回调在 {minutes} 分钟前"),
                format!("the last callback came {minutes} minutes ago"),
            )
        }
        None => finding(
            "callback",
            Standing::Warning,
            "本次启动以来尚未收到回调（如已配置好，可改一下任意客户群的群名再检查）；首次配置请到 管理后台 → 应用管理 → 该应用 → 接收消息 → 设置API接收 填写 URL 并保存（保存即验证），再到 客户与上下游 → 客户联系 → API 勾选接收事件的应用",
            "no callback has come since the start (if all is set up, rename a customer group and look again); to set it \
             up, enter the URL at 管理后台 → 应用管理 → the app → 接收消息 → 设置API接收 and save \
             (saving verifies it), then choose the app at 客户与上下游 → 客户联系 → API",
        ),
    }
}

/// What is wrong with our own address, if anything can be said.
pub(in crate::connectors::wecom::check) fn callback_url(url: &str) -> Option<Finding> {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned))?;
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let is_local = host == "localhost"
        || ip.is_some_and(|ip| match ip {
            IpAddr::V4(ip) => {
                ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
            }
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local(),
        });
    is_local.then(|| {
        finding(
            "callback_url",
            Standing::Warning,
            format!("回调地址 {url} 是本机或内网地址，企业微信无法访问；请使用公网域名并反向代理到门神"),
            format!("the callback address {url} is a private one that WeCom cannot reach; use a public name that leads here"),
        )
    })
}
