//! The gateway as a process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;

/// A running gateway and its data; killed and removed on drop.
pub(crate) struct Gateway {
    dir: TempDir,
    env: Vec<(String, String)>,
    process: Option<Child>,
    /// Speaks to the API as the administrator.
    pub(crate) client: Client,
    /// The second listener's address.
    pub(crate) metrics: String,
    token: String,
}

impl Gateway {
    /// Starts on an empty data directory, with settings from the environment.
    pub(crate) fn start(env: &[(&str, &str)]) -> Self {
        let mut this = Self::unstarted_with(env);
        this.spawn();
        this
    }

    /// Makes an empty place for a gateway that is not started yet.
    pub(crate) fn unstarted() -> Self {
        Self::unstarted_with(&[])
    }

    /// The same with settings from the environment.
    pub(crate) fn unstarted_with(env: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self {
            dir,
            env,
            process: None,
            client: Client::new("", ""),
            metrics: String::new(),
            token: String::new(),
        }
    }

    /// Changes the settings of the next start.
    pub(crate) fn set_env(&mut self, env: &[(String, String)]) {
        self.env = env.to_vec();
    }

    /// Speaks to the API with another token from now on.
    pub(crate) fn use_token(&mut self, token: &str) {
        token.clone_into(&mut self.token);
        self.client = self.client.with_token(token);
    }

    /// The directory it was started in; its data lies in `data`.
    pub(crate) fn home(&self) -> &Path {
        self.dir.path()
    }

    /// The administrator's token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Kills the process as a power cut would, as far as the process is concerned.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Asks the process to drain; returns how it ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let mut process = self.process.take().unwrap();
        let sent = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        assert!(sent.success());
        process.wait().unwrap()
    }

    /// Asks the process to read its files again.
    pub(crate) fn hang_up(&self) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    /// Starts again on the same data.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.spawn();
    }

    /// Starts it and kills it after so long, wherever it is then.
    pub(crate) async fn die_while_starting(&mut self, after: Duration) {
        self.kill();
        let mut process = self.serve();
        tokio::time::sleep(after).await; // the moment of death, not a wait for something
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Runs a command of the binary beside the gateway; returns its standard output.
    pub(crate) fn command(&self, args: &[&str]) -> (ExitStatus, String) {
        let out = self.binary().args(args).stderr(Stdio::inherit()).output().unwrap();
        (out.status, String::from_utf8(out.stdout).unwrap())
    }

    fn binary(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
        command.current_dir(self.dir.path()).envs(self.env.iter().map(|(k, v)| (k, v)));
        command.env("MENSHEN_SERVER__DATA_DIR", self.dir.path().join("data"));
        command
    }

    fn serve(&self) -> Child {
        let addresses = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
        self.binary().arg("serve").args(addresses).stdout(Stdio::piped()).spawn().unwrap()
    }

    fn spawn(&mut self) {
        let mut process = self.serve();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("no ready line but {line:?}"));
        assert_eq!(ready["event"], "ready");
        if let Some(token) = ready["admin_token"].as_str() {
            token.clone_into(&mut self.token);
        }
        self.client = Client::new(ready["api"].as_str().unwrap(), &self.token);
        ready["metrics"].as_str().unwrap().clone_into(&mut self.metrics);
        self.process = Some(process);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}
