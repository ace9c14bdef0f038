//! What the hot path and a change of keys rest on; the rest is tested through the API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::event::{Actor, OperatorId};
use crate::storage::sqlite;

struct Home {
    storage: SharedStorage,
    _data: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let storage = sqlite::open(data.path(), &crate::storage::Config::default()).unwrap();
        Self { storage, _data: data }
    }

    /// Opens the directory with keys of these bytes.
    async fn open(&self, keys: &[u8], config: Config) -> Result<Directory, DirectoryError> {
        let lines: Vec<_> = keys.iter().map(|byte| STANDARD.encode([*byte; 32])).collect();
        let keys = Keyring::parse(&lines.join("\n")).unwrap();
        Directory::open(Arc::clone(&self.storage), Clock::manual(1), config, keys).await
    }
}

fn actor() -> Actor {
    Actor { operator: OperatorId::parse("test").unwrap(), token: None, scope: Scope::everything() }
}

fn account(secret: Option<&str>) -> AccountSpecIn {
    let secrets: Vec<_> = secret.into_iter().collect();
    serde_json::from_value(serde_json::json!({"platform": "sandbox", "secrets": secrets})).unwrap()
}

#[tokio::test]
async fn groups_nobody_declared_share_one_context() {
    let directory = Home::new().open(&[1], Config::default()).await.unwrap();
    let plain = directory.context("demo", "g-1").unwrap();
    assert!(Arc::ptr_eq(&plain, &directory.see("demo", "g-1").unwrap()));
    assert!(Arc::ptr_eq(&plain, &directory.see("demo", "g-2").unwrap()));
    assert_eq!(directory.groups.load(Ordering::Relaxed), 2);
    directory.see_told("demo", "g-1", SeenGroup { name: Some("一群"), owner: None });
    assert_eq!(directory.context("demo", "g-1").unwrap().name(), Some("一群"));
    assert_eq!(directory.context("demo", "g-2").unwrap().name(), None);
    assert!(directory.context("nobody", "g-1").is_none() && directory.see("nobody", "g-1").is_none());
}

#[tokio::test]
async fn past_the_limit_groups_are_known_but_not_kept() {
    let directory = Home::new().open(&[1], Config { groups_max: 2, ..Config::default() }).await.unwrap();
    for n in 0..5 {
        assert!(directory.see("demo", &format!("g-{n}")).is_some());
    }
    let listed = directory.groups_in(&Scope::everything(), &GroupFilter::default(), None, 10);
    assert_eq!(listed.len(), 2);
    let name = GroupName::parse("demo/g-9").unwrap();
    let refused = directory.put_group(&actor(), &name, GroupRecord::default(), None).await;
    assert!(matches!(refused, Err(DirectoryError::TooMany { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_account_that_changes_keeps_its_groups() {
    let directory = Home::new().open(&[1], Config::default()).await.unwrap();
    directory.see_told("demo", "g-1", SeenGroup { name: Some("一群"), owner: None });
    let name = GroupName::parse("demo/g-2").unwrap();
    directory.put_group(&actor(), &name, GroupRecord::default(), None).await.unwrap();
    let demo = directory.account("demo").unwrap().id.clone();
    let spec = AccountSpecIn { policy: Some("strict".to_owned()), ..account(None) };
    directory.put_account(&actor(), &demo, spec, None, |_| Ok(())).await.unwrap();
    for group in ["g-1", "g-2", "g-new"] {
        assert_eq!(directory.context("demo", group).unwrap().policy(), Some("strict"), "{group}");
    }
    assert_eq!(directory.context("demo", "g-1").unwrap().name(), Some("一群"));
}

#[tokio::test]
async fn a_new_key_seals_everything_anew_and_a_lost_one_is_survived() {
    let home = Home::new();
    let id = crate::event::AccountId::parse("shop").unwrap();
    let directory = home.open(&[1], Config::default()).await.unwrap();
    directory.put_account(&actor(), &id, account(Some("whsec_abc")), None, |_| Ok(())).await.unwrap();
    let directory = home.open(&[2, 1], Config::default()).await.unwrap();
    assert_eq!(directory.account_spec("shop").unwrap().secrets[0].expose(), "whsec_abc");
    let directory = home.open(&[2], Config::default()).await.unwrap();
    assert_eq!(directory.account_spec("shop").unwrap().secrets[0].expose(), "whsec_abc");
    let directory = home.open(&[3], Config::default()).await.unwrap();
    assert!(matches!(directory.account_spec("shop"), Err(DirectoryError::Key(KeyError::Lost(_)))));
    assert!(directory.context("shop", "g-1").is_some(), "the account is still there");
}

#[tokio::test]
async fn a_write_that_was_overtaken_changes_nothing() {
    let directory = Home::new().open(&[1], Config::default()).await.unwrap();
    let shop = ShopId::parse("s-1").unwrap();
    let record = |name: &str| serde_json::from_value(serde_json::json!({ "name": name })).unwrap();
    directory.put_shop(&actor(), &shop, record("一"), Some(0)).await.unwrap();
    for stale in [Some(0), Some(7)] {
        let refused = directory.put_shop(&actor(), &shop, record("二"), stale).await;
        assert!(
            matches!(refused, Err(DirectoryError::Storage(StorageError::Conflict { .. }))),
            "{refused:?}"
        );
    }
    assert_eq!(directory.shop("s-1").unwrap().record.name, "一");
}

#[tokio::test]
async fn the_owner_the_platform_told_holds_where_nobody_declared_one() {
    let directory = Home::new().open(&[1], Config::default()).await.unwrap();
    let told = |name, owner| directory.see_told("demo", "g-1", SeenGroup { name, owner });
    let owner = || directory.context("demo", "g-1").unwrap().owner().map(str::to_owned);
    told(Some("一群"), Some("s-1"));
    told(Some("二群"), None);
    assert_eq!(owner().as_deref(), Some("s-1"), "a new name says nothing of the owner");
    let name = GroupName::parse("demo/g-1").unwrap();
    let declared = GroupRecord { owner: Some("s-9".into()), ..GroupRecord::default() };
    directory.put_group(&actor(), &name, declared, None).await.unwrap();
    told(None, Some("s-2"));
    assert_eq!(owner().as_deref(), Some("s-9"));
    directory.delete_group(&actor(), "demo", "g-1").await.unwrap();
    assert_eq!(owner().as_deref(), Some("s-2"));
    assert_eq!(directory.context("demo", "g-1").unwrap().name(), Some("二群"));
}

#[tokio::test]
async fn a_staff_member_is_known_by_the_shop_they_run() {
    let directory = Home::new().open(&[1], Config::default()).await.unwrap();
    let shops = [
        ("a", r#"{"name": "甲", "manager": "s-1", "state": "closed"}"#),
        ("b", r#"{"name": "乙", "deputy": "s-1"}"#),
        ("c", r#"{"name": "丙", "manager": "s-1"}"#),
        ("d", r#"{"name": "丁", "manager": "s-2"}"#),
    ];
    for (id, json) in shops {
        let record: ShopRecord = serde_json::from_str(json).unwrap();
        directory.put_shop(&actor(), &ShopId::parse(id).unwrap(), record, None).await.unwrap();
    }
    let runs = |staff: &str| directory.shop_run_by(staff).map(|shop| shop.record.name.clone());
    assert_eq!(runs("s-1").as_deref(), Some("丙"));
    assert_eq!(runs("s-2").as_deref(), Some("丁"));
    assert_eq!(runs("s-3"), None);
}
