//! `/v1/welcomes/{welcome}/effect`: what came of a welcome, text by text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::body::{Answer, Path, Query};
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::state::Cx;
use crate::broadcasts::{Difference, FIRST, Sample, difference};
use crate::statistics::coverage::Covered;
use crate::statistics::days::DAY_MS;
use crate::statistics::figures::welcomed::{Arm, Share};

const DAYS_DEFAULT: i64 = 28;
const DAYS_MAX: i64 = 92;

/// Over which time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct WelcomeEffectQuery {
    /// Greetings of so many days up to now.
    #[serde(default)]
    #[param(minimum = 1, maximum = 92, default = 28)]
    days: Option<i64>,
}

/// What came of a welcome.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct WelcomeEffect {
    /// When it was read; everything acknowledged before is in it.
    as_of: String,
    /// Greetings since then.
    from: String,
    /// Text by text, the welcome's own first.
    arms: Vec<WelcomeArm>,
    /// In how many of the groups what is said can be seen 数据覆盖.
    coverage: Covered,
}

/// What came of one text.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct WelcomeArm {
    /// `a` for the welcome's own text, or the name of a variant.
    name: String,
    /// Greetings.
    greetings: u64,
    /// Customers who were greeted.
    people: u64,
    /// Still in the group a day after joining.
    there_d1: WelcomeMeasure,
    /// Still in the group 7 days after joining.
    there_d7: WelcomeMeasure,
    /// Spoke in the group within 24 hours after joining; of groups whose messages can be seen.
    spoke_24h: WelcomeMeasure,
    /// Left within 24 hours after joining.
    early_leaves: WelcomeMeasure,
}

/// How many of those who were greeted did something.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct WelcomeMeasure {
    /// Of so many it is known.
    of: u64,
    /// So many did; null where it is known of none.
    did: Option<u64>,
    /// The share, 0 to 1; null where it is known of none.
    share: Option<f64>,
    /// The share less that of the welcome's own text, with the interval that holds the true difference in 95 of 100 such
    /// comparisons. Null for the own text, and with fewer than 30 people in either.
    difference: Option<Difference>,
}

/// Shows what came of a welcome, text by text 欢迎语效果
///
/// A greeting is for the customers who joined the group since the greeting before it. Counted over the groups of the scope.
#[utoipa::path(
    get, path = "/v1/welcomes/{welcome}/effect", tag = "rules", operation_id = "getWelcomeEffect",
    params(("welcome" = String, Path, description = "Its id"), WelcomeEffectQuery),
    responses((status = 200, description = "What came of each text", body = WelcomeEffect)),
)]
pub(in crate::api) async fn welcome(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<WelcomeEffectQuery>,
) -> ApiResult<Answer<WelcomeEffect>> {
    let days @ 1..=DAYS_MAX = query.days.unwrap_or(DAYS_DEFAULT) else {
        let detail = format!("the query: `days` must be from 1 to {DAYS_MAX}");
        return Err(ApiError::unreadable("", "query", detail));
    };
    let document = cx.shared_document(crate::storage::DocumentKind::Welcome, &id).await?;
    let range = cx.now_ms() - days * DAY_MS..cx.now_ms() + 1;
    let from = moment::show(range.start);
    let scoped = cx.welcomed(document.id.clone(), range).await?;
    let arms = arms(&document.id, &scoped.found);
    Ok(Answer::ok(WelcomeEffect {
        as_of: moment::show(scoped.as_of_ms),
        from,
        arms,
        coverage: scoped.coverage,
    }))
}

fn arms(id: &str, found: &BTreeMap<Box<str>, Arm>) -> Vec<WelcomeArm> {
    let own = found.get(id).copied().unwrap_or_default();
    let others = found
        .iter()
        .filter_map(|(rule, arm)| Some(told(rule.strip_prefix(id)?.strip_prefix('#')?, arm, Some(&own))));
    std::iter::once(told(FIRST, &own, None)).chain(others).collect()
}

fn told(name: &str, arm: &Arm, own: Option<&Arm>) -> WelcomeArm {
    let measure = |read: fn(&Arm) -> Share| measured(read(arm), own.map(read));
    WelcomeArm {
        name: name.to_owned(),
        greetings: arm.greetings,
        people: arm.people,
        there_d1: measure(|arm| arm.there[0]),
        there_d7: measure(|arm| arm.there[1]),
        spoke_24h: measure(|arm| arm.spoke),
        early_leaves: measure(|arm| arm.left_early),
    }
}

fn measured(share: Share, own: Option<Share>) -> WelcomeMeasure {
    let sample = sample(share);
    WelcomeMeasure {
        of: share.of,
        did: (share.of > 0).then_some(share.did),
        share: sample.mean(),
        difference: own.and_then(|own| difference(&sample, &self::sample(own))),
    }
}

/// Who did is 1, who did not is 0.
#[expect(clippy::cast_precision_loss, reason = "counts of people")]
fn sample(share: Share) -> Sample {
    Sample { groups: share.of, sum: share.did as f64, squares: share.did as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_with_the_own_one_where_enough_people_were_greeted() {
        let arm = |of, did| Arm {
            greetings: of,
            people: of,
            there: [Share { of, did }, Share::default()],
            ..Arm::default()
        };
        let found = BTreeMap::from([
            ("w".into(), arm(200, 100)),
            ("w#b".into(), arm(200, 160)),
            ("w#c".into(), arm(10, 10)),
            ("w2#b".into(), arm(9, 9)),
        ]);
        let arms = arms("w", &found);
        let names: Vec<_> = arms.iter().map(|arm| arm.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!((arms[0].there_d1.share, arms[0].there_d1.difference), (Some(0.5), None));
        let difference = arms[1].there_d1.difference.unwrap();
        assert!((difference.mean - 0.3).abs() < 1e-9 && difference.low > 0.2 && difference.high < 0.4);
        assert_eq!((arms[2].there_d1.difference, arms[2].there_d7.did), (None, None));
    }
}
