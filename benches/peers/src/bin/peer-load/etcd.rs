//! Clients of etcd, over the part of its gRPC interface (`etcdserverpb`) that they need. Some of them share a connection,
//! as in etcd's own `benchmark --conns --clients --target-leader`.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use peers::kv::Put;
use prost::Message;
use tokio::runtime::Runtime;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::Work;
use crate::measured::{Measured, Progress};

/// How long to wait before another server is asked.
const ROTATE_AFTER: Duration = Duration::from_millis(5);
/// How long a server may take to say whether it leads.
const LEADS_PATIENCE: Duration = Duration::from_millis(500);

/// `etcdserverpb.PutRequest`, as far as it is needed.
#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `etcdserverpb.RangeRequest`, as far as it is needed: linearizable, unless `serializable` (7) is set.
#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

/// `etcdserverpb.StatusResponse`, as far as it is needed.
#[derive(Clone, PartialEq, Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// A message of which nothing is of interest: what it holds is skipped.
#[derive(Clone, PartialEq, Message)]
struct Nothing {}

async fn call<Q, A>(channel: &Channel, path: &'static str, request: Q) -> Result<A, tonic::Status>
where
    Q: Message + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<Q, A>::new();
    let answer = grpc.unary(tonic::Request::new(request), PathAndQuery::from_static(path), codec).await?;
    Ok(answer.into_inner())
}

fn channel(server: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{server}")).expect("an address makes a URL").connect_lazy()
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// The server that says that it leads.
pub(crate) fn leader(servers: &[SocketAddr]) -> Option<usize> {
    let runtime = runtime().ok()?;
    servers.iter().position(|&server| {
        let status: Option<StatusResponse> = runtime.block_on(async {
            let channel = channel(server);
            let asked = call(&channel, "/etcdserverpb.Maintenance/Status", Nothing {});
            timeout(LEADS_PATIENCE, asked).await.ok()?.ok()
        });
        status.is_some_and(|status| {
            status.leader != 0 && status.header.is_some_and(|header| header.member_id == status.leader)
        })
    })
}

/// Carries out these updates, all at once.
pub(crate) fn fill(server: SocketAddr, puts: Vec<Put>) -> io::Result<()> {
    runtime()?.block_on(async {
        let channel = channel(server);
        let mut all = JoinSet::new();
        for Put { key, value } in puts {
            let channel = channel.clone();
            all.spawn(async move {
                call::<_, Nothing>(&channel, "/etcdserverpb.KV/Put", PutRequest { key, value }).await
            });
        }
        let answers = all.join_all().await;
        answers.into_iter().try_for_each(|answer| answer.map(drop)).map_err(io::Error::other)
    })
}

/// What the clients of one connection share.
struct Shared {
    work: RefCell<Work>,
    channels: Vec<Channel>,
    /// The server that they ask.
    server: Cell<usize>,
    measured: RefCell<Measured>,
    progress: Arc<Progress>,
}

/// Runs the clients of one connection until the time is over.
pub(crate) fn run(work: &Work, progress: &Arc<Progress>) -> io::Result<Measured> {
    let runtime = runtime()?;
    let clients = LocalSet::new();
    let shared = clients.block_on(&runtime, async {
        let shared = Rc::new(Shared {
            work: RefCell::new(work.clone()),
            channels: work.servers.iter().copied().map(channel).collect(),
            server: Cell::new(work.leader),
            measured: RefCell::new(Measured::new()),
            progress: Arc::clone(progress),
        });
        for _ in 0..work.clients {
            tokio::task::spawn_local(client(Rc::clone(&shared)));
        }
        // An operation that is under way when the time is over is not waited for.
        sleep(work.until.saturating_duration_since(Instant::now())).await;
        shared
    });
    Ok(shared.measured.replace(Measured::new()))
}

/// One client: one operation after the other.
async fn client(shared: Rc<Shared>) {
    let (from, until) = (shared.work.borrow().from, shared.work.borrow().until);
    loop {
        let begun = Instant::now();
        let key = shared.work.borrow_mut().key();
        while !attempt(&shared, &key).await {
            shared.measured.borrow_mut().retries += 1;
            sleep(ROTATE_AFTER).await;
        }
        let now = Instant::now();
        if now >= from && now < until {
            shared.measured.borrow_mut().record(now - begun);
            shared.progress.ended(now);
        }
    }
}

/// Whether the server answered. If not, the next one is asked from now on.
async fn attempt(shared: &Shared, key: &[u8]) -> bool {
    let server = shared.server.get();
    let channel = &shared.channels[server];
    let (reads, patience) = (shared.work.borrow().reads, shared.work.borrow().attempt);
    let key = key.to_vec();
    let asked = async {
        if reads {
            call::<_, Nothing>(channel, "/etcdserverpb.KV/Range", RangeRequest { key }).await
        } else {
            let value = shared.work.borrow().value.clone();
            call::<_, Nothing>(channel, "/etcdserverpb.KV/Put", PutRequest { key, value }).await
        }
    };
    let answered = matches!(timeout(patience, asked).await, Ok(Ok(_)));
    if !answered && shared.server.get() == server {
        shared.server.set((server + 1) % shared.channels.len());
    }
    answered
}
