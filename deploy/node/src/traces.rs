//! Spans of sampled requests to a collector, over OTLP. It may be away: nothing here waits for it.
//!
//! Spans have their ids, parents and ends before they come here (`dfs_rpc::trace`), also where no collector is
//! configured; so they are sent as the protocol's own messages, without a second tracer that would make its own.
use anyhow::Context;
use dfs_env::{Env, Task};
use dfs_rpc::trace::ring::{self, Row, Sink};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};

/// Spans that wait to be sent: what a process keeps of ended ones; more are dropped, and counted.
const QUEUED_MAX: usize = ring::SPANS_KEPT;
/// Spans of one message: about 256 KiB.
const BATCH_MAX: usize = 512;
/// What comes within it goes into one message.
const GATHER: Duration = Duration::from_millis(200);
/// A collector that takes longer is as good as none.
const SEND_WITHIN: Duration = Duration::from_secs(5);

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Spans that no collector got, since the start of the process.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

struct Queue(mpsc::Sender<Row>);

impl Sink for Queue {
    fn ended(&self, row: &Row) {
        if self.0.try_send(row.clone()).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends the spans of this process while it is there.
pub struct Traces {
    env: Env,
    sending: Task<()>,
}

impl Traces {
    /// To `endpoint`, as `http://host:4317`; `service` is what traces call this process.
    ///
    /// # Errors
    /// When that is no address. A collector that does not answer is none.
    pub fn start(env: &Env, endpoint: &str, service: &str) -> anyhow::Result<Traces> {
        let channel = Endpoint::from_shared(endpoint.to_owned())
            .with_context(|| format!("traces = \"{endpoint}\" is no address of a collector"))?
            .connect_timeout(SEND_WITHIN)
            .timeout(SEND_WITHIN)
            .connect_lazy();
        let (queue, queued) = mpsc::channel(QUEUED_MAX);
        let sending = env.spawn("traces", send(env.clone(), channel, service.into(), queued));
        ring::send_to(Some(Arc::new(Queue(queue))));
        Ok(Traces {
            env: env.clone(),
            sending,
        })
    }

    /// Sends what is there, if that takes no longer than `within`.
    pub async fn stop(self, within: Duration) {
        ring::send_to(None); // the queue ends with its last span
        if self.env.timeout(within, self.sending).await.is_err() {
            tracing::info!("the collector of traces does not answer");
        }
    }
}

async fn send(env: Env, channel: Channel, service: String, mut queued: mpsc::Receiver<Row>) {
    let mut client = TraceServiceClient::new(channel);
    let mut away = false;
    loop {
        let mut rows = Vec::new();
        if queued.recv_many(&mut rows, BATCH_MAX).await == 0 {
            return;
        }
        // Until there is enough for a message, or there are no more, or none has come for so long.
        while rows.len() < BATCH_MAX {
            let room = BATCH_MAX - rows.len();
            let more = env.timeout(GATHER, queued.recv_many(&mut rows, room)).await;
            if !more.is_ok_and(|more| more > 0) {
                break;
            }
        }
        let request = request(&service, &rows);
        let sent = env.timeout(SEND_WITHIN, client.export(request)).await;
        let failed = match sent {
            Ok(Ok(_)) => None,
            Ok(Err(status)) => Some(status.message().to_owned()),
            Err(_) => Some("it does not answer in time".to_owned()),
        };
        match &failed {
            Some(why) => {
                DROPPED.fetch_add(rows.len() as u64, Ordering::Relaxed);
                if !away {
                    tracing::warn!(%why, "the collector of traces takes nothing; spans are dropped");
                }
            }
            None if away => tracing::info!("the collector of traces is back"),
            None => {}
        }
        away = failed.is_some();
    }
}

fn request(service: &str, rows: &[Row]) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            text("service.name", service),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "dfs".into(),
        ..InstrumentationScope::default()
    };
    let spans = ScopeSpans {
        scope: Some(scope),
        spans: rows.iter().map(span).collect(),
        ..ScopeSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![spans],
            ..ResourceSpans::default()
        }],
    }
}

fn span(row: &Row) -> Span {
    let parent = match row.parent {
        0 => Vec::new(),
        parent => parent.to_be_bytes().to_vec(),
    };
    let ends_us = row.start_us + row.duration_us.unwrap_or_default();
    let mut attributes = vec![text("dfs.role", row.who.role)];
    attributes.push(text("dfs.node", &row.who.node_id.to_string()));
    let fields = row.fields.iter();
    attributes.extend(fields.map(|(name, value)| text(&format!("dfs.{name}"), value)));
    let failed = (!row.refusal.is_empty()).then(|| Status {
        message: row.refusal.clone(),
        code: StatusCode::Error as i32,
    });
    Span {
        trace_id: row.context.trace_id.to_be_bytes().to_vec(),
        span_id: row.context.span.to_be_bytes().to_vec(),
        parent_span_id: parent,
        name: row.name.into(),
        kind: SpanKind::Internal as i32,
        start_time_unix_nano: row.start_us * 1000,
        end_time_unix_nano: ends_us * 1000,
        attributes,
        status: failed,
        ..Span::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        }),
        ..KeyValue::default()
    }
}
