//! Lists on trial: what is counted of them, and for how long.

use super::*;
use crate::interception::{Audience, Life, Stage, TrialCounts};

fn list(name: &str, life: Life, term: &str) -> WordlistSource {
    let mut list = WordlistSource { life, ..WordlistSource::new(name, Origin::Api) };
    list.terms.push(Term { text: term.to_owned(), ..Term::default() });
    list
}

fn compile(lists: &[WordlistSource]) -> Ruleset {
    Ruleset::compile("r-1", lists, Vec::new(), &Config::default()).unwrap().0
}

fn staged(share_percent: u8) -> Life {
    Life::Staged(Stage { share_percent, hits_per_10k_max: 5, ..Stage::default() })
}

fn counts(ruleset: &Ruleset, name: &str) -> Option<[u64; 4]> {
    let (_, counts) = ruleset.trials().find(|(list, _)| list.name == name)?;
    let TrialCounts { messages, hit, messages_apart, hit_apart } = counts;
    Some([messages, hit, messages_apart, hit_apart])
}

#[test]
fn a_message_counts_for_the_lists_on_trial_that_reach_it() {
    let mut staff = list("staff", Life::Shadow, "返现");
    staff.roles = [Speaker::Staff].into_iter().collect();
    let mut over = list("over", Life::Shadow, "返现");
    over.valid_until = Some(1_000);
    let lists = [
        list("draft", Life::Draft, "返现"),
        list("shadow", Life::Shadow, "返现"),
        list("everywhere", staged(100), "返现"),
        list("half", staged(50), "返现"),
        list("live", Life::Live, "返现"),
        staff,
        over,
    ];
    let ruleset = compile(&lists);
    let policy = ruleset.policy("standard").unwrap();
    for n in 0..200 {
        let group = format!("g-{n}");
        let audience = Audience { account: "demo", group: &group, now_ms: 1_000, ..Audience::default() };
        ruleset.count_trials(policy, &audience, |list| n % 4 == 0 && list != "staff");
    }
    assert_eq!((counts(&ruleset, "draft"), counts(&ruleset, "live")), (None, None));
    assert_eq!(counts(&ruleset, "shadow"), Some([0, 0, 200, 50]));
    assert_eq!(counts(&ruleset, "everywhere"), Some([200, 50, 0, 0]));
    assert_eq!(counts(&ruleset, "staff"), Some([0; 4]));
    assert_eq!(counts(&ruleset, "over"), Some([0; 4]), "an expired list stops at once");
    let [messages, hit, apart, hit_apart] = counts(&ruleset, "half").unwrap();
    assert_eq!((messages + apart, hit + hit_apart), (200, 50));
    assert!((60..140).contains(&messages), "{messages}");
}

#[test]
fn a_list_goes_on_counting_while_it_is_the_same() {
    let before = compile(&[
        list("a", Life::Shadow, "返现"),
        list("b", Life::Shadow, "私聊"),
        list("c", staged(5), "加群"),
    ]);
    let policy = before.policy("standard").unwrap();
    before.count_trials(policy, &Audience::default(), |_| true);
    let mut after = compile(&[
        list("b", Life::Shadow, "私聊"),
        list("c", staged(6), "加群"),
        list("a", Life::Shadow, "返利"),
    ]);
    after.continue_trials(&before, |list| list != "a");
    assert_eq!(counts(&after, "a"), Some([0; 4]), "another list of the same name");
    assert_eq!(counts(&after, "c"), Some([0; 4]), "another stage");
    before.count_trials(policy, &Audience::default(), |_| false);
    assert_eq!(
        counts(&after, "b"),
        Some([0, 0, 2, 1]),
        "messages still judged by the ruleset before count too"
    );
}
