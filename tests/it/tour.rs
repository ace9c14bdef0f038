//! The README's five-minute tour, line by line as a newcomer pastes it.

use std::process::Command;

use crate::support::gateway::Gateway;

/// Returns the block marked `sh tour` of a README.
fn tour(readme: &str) -> String {
    let block = readme.split("```sh tour\n").nth(1).expect("a block marked `sh tour`");
    block.split("```").next().expect("its end").to_owned()
}

fn walk(readme: &str) {
    let gateway = Gateway::start(&[]);
    let script = tour(readme)
        .replace("http://127.0.0.1:8180", gateway.client.base())
        .replace("curl -s", "curl --silent --show-error --fail-with-body");
    let out = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(gateway.home())
        .output()
        .expect("bash runs");
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{told}\n{}", String::from_utf8_lossy(&out.stderr));
    for expected in [
        r#""verdict":"block""#,
        r#""status":"duplicate""#,
        r#""line":2"#,
        "欢迎 小李 入群",
        "十点到二十二点",
        "满两百减三十",
    ] {
        assert!(told.contains(expected), "{expected} is not in\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_the_english_tour_works_as_pasted() {
    walk(include_str!("../../README.md"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_the_chinese_tour_works_as_pasted() {
    walk(include_str!("../../README.zh-CN.md"));
}
