//! Holds the gateway's statistics against what this run counted.
//!
//! Figures are read before and after, so a gateway that already has data can be used; they may lag behind the last answer
//! by the projection's second, so they are read again until they agree or a deadline passes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::plan::Plan;
use crate::client::{ClientError, Target};
use crate::figures;
use crate::wire::Counts;

/// How many connections read figures.
const READERS: usize = 4;
/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How many differing groups are spelled out.
const EXAMPLES: usize = 10;

/// What the comparison of both sides' counts gave.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// Groups compared.
    pub groups: usize,
    /// Groups whose messages, joins or leaves differ.
    pub differing: usize,
    /// The first few of them, in words.
    pub examples: Vec<String>,
    /// What this run counted.
    pub expected: Counts,
    /// What the gateway's groups add up to.
    pub by_group: Counts,
    /// What the gateway's totals grew by.
    pub by_totals: Counts,
    /// How long it took until the figures had caught up.
    pub waited_ms: u64,
}

impl Verification {
    /// Whether both sides agree in every group and in total.
    pub fn agrees(&self) -> bool {
        self.differing == 0 && self.expected.same_traffic(self.by_totals)
    }
}

/// What the gateway's figures were at one moment.
#[derive(Debug, Default)]
pub(super) struct Figures {
    groups: HashMap<usize, Counts>,
    totals: Counts,
}

/// Reads the totals and the figures of the given groups.
pub(super) async fn read_figures(
    target: &Arc<Target>,
    plan: &Arc<Plan>,
    groups: Vec<usize>,
) -> Result<Figures, ClientError> {
    let totals = figures::totals(&mut target.connection()).await?;
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let share: Vec<usize> = groups.iter().copied().skip(reader).step_by(READERS).collect();
        let (mut connection, plan) = (target.connection(), Arc::clone(plan));
        readers.spawn(async move {
            let mut read = Vec::with_capacity(share.len());
            for group in share {
                let name = plan.group(group);
                read.push((group, figures::of_group(&mut connection, &plan.account, &name).await?));
            }
            Ok::<_, ClientError>(read)
        });
    }
    let mut all = Figures { groups: HashMap::with_capacity(groups.len()), totals };
    while let Some(read) = readers.join_next().await {
        all.groups.extend(read.expect("a reader does not panic and is not aborted")?);
    }
    Ok(all)
}

/// Reads until the figures agree with `expected`, or the deadline passes.
pub(super) async fn verify(
    target: &Arc<Target>,
    plan: &Arc<Plan>,
    before: &Figures,
    expected: &HashMap<usize, Counts>,
    catch_up: Duration,
) -> Result<Verification, ClientError> {
    let start = Instant::now();
    let mut open: Vec<usize> = expected.keys().copied().collect();
    open.sort_unstable();
    let mut sum = Counts::default();
    let mut verification = loop {
        let now = read_figures(target, plan, open.clone()).await?;
        let mut differing = Vec::new();
        let mut examples = Vec::new();
        for group in open {
            let base = before.groups.get(&group).copied().unwrap_or_default();
            let grown = now.groups.get(&group).copied().unwrap_or_default().since(base);
            let wanted = expected[&group];
            if grown.same_traffic(wanted) {
                sum.add(grown);
                continue;
            }
            if examples.len() < EXAMPLES {
                examples.push(format!("{}: counted {wanted}; gateway says {grown}", plan.group(group)));
            }
            differing.push((group, grown));
        }
        let by_totals = now.totals.since(before.totals);
        let mut total = Counts::default();
        for &counts in expected.values() {
            total.add(counts);
        }
        let verification = Verification {
            groups: expected.len(),
            differing: differing.len(),
            examples,
            expected: total,
            by_group: sum,
            by_totals,
            waited_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        if verification.agrees() || start.elapsed() > catch_up {
            for (_, grown) in &differing {
                sum.add(*grown);
            }
            break verification;
        }
        open = differing.into_iter().map(|(group, _)| group).collect();
        sleep(LOOK_AGAIN).await;
    };
    verification.by_group = sum;
    Ok(verification)
}
