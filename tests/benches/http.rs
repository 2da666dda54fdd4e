//! What a call of the kind `http` costs, target included: 64 at a time to a receiver in this process, over kept connections, on
//! as many threads as there are cores.

use std::{convert::Infallible, hint::black_box, net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use contracts::{
    envelope::EventHeaders,
    ids::{EventId, InvocationId},
    names::EventRef,
    raw::Place,
};
use criterion::{Criterion, Throughput};
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use job_runner::{Config, Kind, Registry, Run};
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime};

const SIDE_BY_SIDE: usize = 64;

fn event(number: u64) -> EventHeaders {
    let invocation = InvocationId::derived("bench", &number.to_string());
    let event: EventRef = "order.paid".parse().expect("a name");
    EventHeaders {
        id: EventId::derived(invocation, &event),
        event,
        source: contracts::envelope::source_of("default"),
        subject: Some(number.to_string()),
        time: "2026-01-02T03:04:05Z".parse().expect("a time"),
        dataschema: None,
        correlation: format!("c-{number}").parse().expect("an id"),
        invocation,
        cause: None,
        user: None,
        organisation: None,
        traceparent: None,
        jobs: vec!["call".parse().expect("a name")],
        catalog: 1,
        depth: 0,
        raw: Place { partition: 0, offset: number },
    }
}

/// A target that reads each request and answers with a small document.
async fn receiver() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let service = service_fn(|request: Request<Incoming>| async move {
                let body = request.into_body().collect().await.expect("a body").to_bytes();
                black_box(body);
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{\"noted\": true}"))))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn call(kind: Arc<dyn Kind>, url: String, number: u64) {
    let run = async {
        let job = "call".parse().expect("a name");
        let data = Bytes::from(format!("{{\"orderId\":{number},\"total\":129.90}}"));
        kind.run(Run::new(job, event(number), data, json!(url), 1)).await.expect("a success")
    };
    black_box(run.await);
}

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let runtime = Runtime::new().expect("a runtime");
    let url = format!("http://{}/orders", runtime.block_on(receiver()));
    let kind = Registry::standard(&Config::default()).get("http").expect("the kind");
    let mut group = criterion.benchmark_group("http");
    group.throughput(Throughput::Elements(1));
    group.bench_function("call", |bencher| {
        bencher.iter_custom(|count| {
            let begun = Instant::now();
            runtime.block_on(async {
                let calls = (0..count).map(|number| tokio::spawn(call(kind.clone(), url.clone(), number)));
                stream::iter(calls)
                    .buffer_unordered(SIDE_BY_SIDE)
                    .for_each(|done| async { done.expect("it ends") })
                    .await;
            });
            begun.elapsed()
        });
    });
    group.finish();
    criterion.final_summary();
}
