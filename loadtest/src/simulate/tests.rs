//! The same seed, the same deeds; and a short life of a small fleet against the stand-in.

use super::cast::{Actor, Deed, DeedKind};
use super::*;
use crate::standin::{Defects, StandIn};

fn deeds(seed: u64, shop: usize) -> Vec<(Duration, Deed)> {
    let fleet = Fleet { seed, ..Fleet::default() };
    let (mut shop, mut advertiser) = (Shop::new(&fleet, shop), Advertiser::new(&fleet));
    (0..300).flat_map(|_| [shop.next(), advertiser.next()]).collect()
}

#[test]
fn the_same_seed_does_the_same_deeds() {
    assert_eq!(deeds(1, 3), deeds(1, 3));
    assert_ne!(deeds(1, 3), deeds(2, 3));
    assert_ne!(deeds(1, 3), deeds(1, 4));
}

#[test]
fn everything_happens_in_a_shop_and_whoever_leaves_has_joined() {
    let mut shop = Shop::new(&Fleet::default(), 0);
    let mut inside = std::collections::HashSet::new();
    let mut kinds = std::collections::HashMap::new();
    for _ in 0..5_000 {
        let (pause, deed) = shop.next();
        assert!(pause <= Duration::from_secs(5), "{pause:?}");
        assert!(deed.group.group.starts_with("shop-001-"));
        *kinds.entry(format!("{:?}", deed.kind)).or_insert(0) += 1;
        match deed.kind {
            DeedKind::Join => assert!(inside.insert(deed.member)),
            DeedKind::Leave => assert!(inside.remove(&deed.member)),
            DeedKind::Talk | DeedKind::Question | DeedKind::Staff | DeedKind::Advert => {
                assert!(!deed.text.is_empty() && !deed.text.contains('{'), "{}", deed.text);
            }
        }
    }
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}

#[test]
fn one_round_of_the_advertiser_is_one_text_in_many_groups() {
    let mut advertiser = Advertiser::new(&Fleet::default());
    let (_, first) = advertiser.next();
    let round: Vec<Deed> = std::iter::once(first.clone())
        .chain(
            std::iter::from_fn(|| Some(advertiser.next().1))
                .take_while(|deed| deed.member == first.member)
                .take(20),
        )
        .collect();
    assert!((5..=12).contains(&round.len()), "{}", round.len());
    assert!(round.iter().all(|deed| deed.text == first.text));
}

#[tokio::test]
async fn a_small_fleet_lives_and_tells_of_it() {
    let server = StandIn::start(Defects { throttle_first: 3, ..Defects::default() }).await;
    let mix = Mix { advert: 60.0, ..Mix::default() };
    let fleet = Fleet { shops: 3, groups_per_shop: 2, events_per_second: 200.0, mix, ..Fleet::default() };
    assert_eq!(fleet.declare(&server.url, "msh_test").await.expect("declared"), 6);
    assert_eq!(server.groups(), 6);
    let mut looks = 0;
    let end = fleet
        .run(&server.url, "msh_test", Duration::from_millis(1_300), |_| looks += 1)
        .await
        .expect("a life");
    assert!(looks >= 2, "{looks}");
    assert!(end.events > 30 && end.messages > 20 && end.joins > 0, "{end:?}");
    assert_eq!((end.failed, end.hurdles.throttled), (0, 3), "{end:?}");
    assert_eq!(end.verdicts.values().sum::<u64>(), end.messages);
    assert!(end.adverts_caught > 0 && end.adverts_caught <= end.adverts, "{end:?}");
}

#[tokio::test]
async fn a_fleet_without_a_gateway_says_so() {
    let server = StandIn::start(Defects::default()).await;
    let bad = server.url.clone() + "/nowhere";
    let fleet = Fleet { shops: 1, events_per_second: 100.0, ..Fleet::default() };
    let error =
        fleet.run(&bad, "msh_test", Duration::from_millis(200), |_| ()).await.expect_err("no gateway there");
    assert!(matches!(error, SimulateError::Refused(ref reason) if reason.contains("404")), "{error:?}");
}
