//! Holds every handle, made once: counting is an index into a table and an atomic addition.

use std::sync::OnceLock;

use ::metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::labels::Label;
use super::names::{self, DEFINITIONS, Definition, Kind, Metric};
use super::regions::{KINDS, Regions};

static REGISTRY: OnceLock<Registry> = OnceLock::new();

static METADATA: Metadata<'static> = Metadata::new("menshen", Level::INFO, None);

/// All handles of one metric, one for each combination of its labels.
enum Handles {
    Counter(Vec<Counter>),
    Gauge(Vec<Gauge>),
    Histogram(Vec<Histogram>),
}

/// The process's metrics. Never installed as the global recorder of the `metrics` crate, so that a metric that is not in
/// the table cannot come into being.
pub(super) struct Registry {
    recorder: PrometheusRecorder,
    exporter: PrometheusHandle,
    handles: Vec<Handles>,
    regions: Regions,
}

/// Makes the registry; later calls find the first one (tests start several gateways in one process).
pub(super) fn install() -> &'static Registry {
    REGISTRY.get_or_init(Registry::new)
}

/// Returns the registry; `None` before [`install`], and then nothing is counted.
pub(super) fn registry() -> Option<&'static Registry> {
    REGISTRY.get()
}

impl Registry {
    pub(super) fn new() -> Self {
        let recorder = builder().build_recorder();
        let handles = DEFINITIONS.iter().map(|definition| register(&recorder, definition)).collect();
        let registry = Self { exporter: recorder.handle(), recorder, handles, regions: Regions::default() };
        registry.describe_runtime_metrics();
        registry
    }

    /// Metrics whose labels come from the router or from the directory, and the one that never changes.
    fn describe_runtime_metrics(&self) {
        self.recorder.describe_counter(names::REQUESTS.into(), None, names::REQUESTS_HELP.into());
        self.recorder.describe_counter(names::REGIONS.into(), None, names::REGIONS_HELP.into());
        let help = names::REQUEST_DURATION_HELP;
        self.recorder.describe_histogram(names::REQUEST_DURATION.into(), Some(Unit::Seconds), help.into());
        self.recorder.describe_gauge(names::BUILD_INFO.into(), None, names::BUILD_INFO_HELP.into());
        let version = ::metrics::Label::from_static_parts("version", env!("CARGO_PKG_VERSION"));
        let key = Key::from_parts(names::BUILD_INFO, vec![version]);
        self.recorder.register_gauge(&key, &METADATA).set(1.0);
    }

    pub(super) fn counter(&self, metric: Metric, place: usize) -> Option<&Counter> {
        match self.handles.get(metric as usize)? {
            Handles::Counter(handles) => handles.get(place),
            Handles::Gauge(_) | Handles::Histogram(_) => None,
        }
    }

    pub(super) fn gauge(&self, metric: Metric, place: usize) -> Option<&Gauge> {
        match self.handles.get(metric as usize)? {
            Handles::Gauge(handles) => handles.get(place),
            Handles::Counter(_) | Handles::Histogram(_) => None,
        }
    }

    pub(super) fn histogram(&self, metric: Metric, place: usize) -> Option<&Histogram> {
        match self.handles.get(metric as usize)? {
            Handles::Histogram(handles) => handles.get(place),
            Handles::Counter(_) | Handles::Gauge(_) => None,
        }
    }

    /// The counter of requests of a route; a lookup, some hundred nanoseconds.
    pub(super) fn requests(&self, route: &str, method: &'static str, status: u16) -> Counter {
        let labels = vec![
            ::metrics::Label::new("route", route.to_owned()),
            ::metrics::Label::from_static_parts("method", method),
            ::metrics::Label::new("status", status.to_string()),
        ];
        self.recorder.register_counter(&Key::from_parts(names::REQUESTS, labels), &METADATA)
    }

    /// The duration of requests of a route; a lookup.
    pub(super) fn request_duration(&self, route: &str, method: &'static str) -> Histogram {
        let labels = vec![
            ::metrics::Label::new("route", route.to_owned()),
            ::metrics::Label::from_static_parts("method", method),
        ];
        self.recorder.register_histogram(&Key::from_parts(names::REQUEST_DURATION, labels), &METADATA)
    }

    /// The counters by region that were made so far.
    pub(super) fn regions(&self) -> &Regions {
        &self.regions
    }

    /// Makes the counters of a region.
    pub(super) fn of_region(&self, region: &str) -> [Counter; 6] {
        KINDS.map(|kind| {
            let labels = vec![
                ::metrics::Label::new("region", region.to_owned()),
                ::metrics::Label::from_static_parts("kind", kind),
            ];
            self.recorder.register_counter(&Key::from_parts(names::REGIONS, labels), &METADATA)
        })
    }

    pub(super) fn render(&self) -> String {
        self.exporter.render()
    }

    /// Folds what histograms have gathered since the last time; without it they would grow until the next scrape.
    pub(super) fn upkeep(&self) {
        self.exporter.run_upkeep();
    }
}

fn builder() -> PrometheusBuilder {
    let histograms = DEFINITIONS.iter().filter_map(|definition| match definition.kind {
        Kind::Histogram(buckets) => Some((definition.name, buckets)),
        Kind::Counter | Kind::Gauge => None,
    });
    let requests = [(names::REQUEST_DURATION, names::REQUEST_DURATION_BUCKETS)];
    histograms.chain(requests).fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        builder
            .set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)
            .expect("the only refusal is an empty list of bounds, and none is empty")
    })
}

fn register(recorder: &PrometheusRecorder, definition: &Definition) -> Handles {
    let Definition { name, help, .. } = *definition;
    let keys = keys(name, definition.labels);
    match definition.kind {
        Kind::Counter => {
            recorder.describe_counter(name.into(), None, help.into());
            Handles::Counter(keys.iter().map(|key| recorder.register_counter(key, &METADATA)).collect())
        }
        Kind::Gauge => {
            recorder.describe_gauge(name.into(), None, help.into());
            Handles::Gauge(keys.iter().map(|key| recorder.register_gauge(key, &METADATA)).collect())
        }
        Kind::Histogram(_) => {
            recorder.describe_histogram(name.into(), None, help.into());
            Handles::Histogram(keys.iter().map(|key| recorder.register_histogram(key, &METADATA)).collect())
        }
    }
}

/// One key for each combination; the last label changes fastest, as `place` in the parent counts.
fn keys(name: &'static str, labels: &[Label]) -> Vec<Key> {
    let mut combinations: Vec<Vec<::metrics::Label>> = vec![Vec::new()];
    for label in labels {
        let longer = |combination: &Vec<::metrics::Label>| {
            let with = |value: &&'static str| {
                let mut longer = combination.clone();
                longer.push(::metrics::Label::from_static_parts(label.name, value));
                longer
            };
            label.values.iter().map(with).collect::<Vec<_>>()
        };
        combinations = combinations.iter().flat_map(longer).collect();
    }
    combinations.into_iter().map(|labels| Key::from_parts(name, labels)).collect()
}
