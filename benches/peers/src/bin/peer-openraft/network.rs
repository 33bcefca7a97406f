//! openraft's network: TCP connections to each peer, requests and answers as frames of bincode. openraft replicates to a peer
//! over one, and waits for each answer; for a read it asks for another connection, so those that are free are kept.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Raft};
use peers::wire::FRAME_BYTES_MAX;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Types;

/// How long to leave a peer alone that cannot be reached.
const BACKOFF: Duration = Duration::from_millis(50);

#[derive(Serialize, Deserialize)]
enum Call {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<u64>),
    Install(InstallSnapshotRequest<Types>),
}

type Failed<E = openraft::error::Infallible> = RPCError<u64, BasicNode, RaftError<u64, E>>;

/// The peers, by id.
pub(crate) struct Peers(Vec<Connection>);

/// A peer and the connections to it that nobody uses. Clones share them.
#[derive(Clone)]
pub(crate) struct Connection {
    target: u64,
    address: SocketAddr,
    free: Arc<Mutex<Vec<TcpStream>>>,
}

impl Peers {
    /// Where each server listens, by id.
    pub(crate) fn new(addresses: &[SocketAddr]) -> Self {
        let peer = |(target, &address)| Connection { target, address, free: Arc::default() };
        Self((0..).zip(addresses).map(peer).collect())
    }
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, _: &BasicNode) -> Connection {
        self.0[usize::try_from(target).expect("ids are indices")].clone()
    }
}

impl Connection {
    fn free(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.free.lock().expect("nobody panics with it")
    }

    async fn call<R, E>(&mut self, call: &Call, option: &RPCOption) -> Result<R, Failed<E>>
    where
        R: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        // A connection whose call was given up half way is dropped: its answer is still to come.
        let free = self.free().pop();
        let mut stream = match free {
            Some(stream) => stream,
            None => connect(self.address).await.map_err(|error| Unreachable::new(&error))?,
        };
        let answered = tokio::time::timeout(option.hard_ttl(), async {
            write_frame(&mut stream, call).await?;
            read_frame::<Result<R, RaftError<u64, E>>>(&mut stream).await
        });
        let answer = answered
            .await
            .map_err(io::Error::from)
            .and_then(|answer| answer)
            .map_err(|error| NetworkError::new(&error))?;
        self.free().push(stream);
        answer.map_err(|error| RemoteError::new(self.target, error).into())
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn write_frame(stream: &mut TcpStream, body: &impl Serialize) -> io::Result<()> {
    const LENGTH_BYTES: usize = 4;
    let mut frame = vec![0; LENGTH_BYTES];
    bincode::serialize_into(&mut frame, body).map_err(io::Error::other)?;
    let length = u32::try_from(frame.len() - LENGTH_BYTES).map_err(io::Error::other)?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    stream.write_all(&frame).await
}

async fn read_frame<T: DeserializeOwned>(stream: &mut TcpStream) -> io::Result<T> {
    let length = stream.read_u32_le().await? as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame is too long"));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    bincode::deserialize(&frame).map_err(io::Error::other)
}

impl RaftNetwork<Types> for Connection {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        self.call(&Call::Append(request), &option).await
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failed<InstallSnapshotError>> {
        self.call(&Call::Install(request), &option).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, Failed> {
        self.call(&Call::Vote(request), &option).await
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}

/// Answers peers.
pub(crate) async fn serve(listener: TcpListener, raft: Raft<Types>) {
    while let Ok((stream, _)) = listener.accept().await {
        let raft = raft.clone();
        tokio::spawn(async move {
            // A connection ends when the peer does.
            let _ = answer(stream, &raft).await;
        });
    }
}

async fn answer(mut stream: TcpStream, raft: &Raft<Types>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        match read_frame(&mut stream).await? {
            Call::Append(request) => write_frame(&mut stream, &raft.append_entries(request).await).await?,
            Call::Vote(request) => write_frame(&mut stream, &raft.vote(request).await).await?,
            Call::Install(request) => write_frame(&mut stream, &raft.install_snapshot(request).await).await?,
        }
    }
}
