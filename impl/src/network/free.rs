//! Addresses for servers that are about to start on this machine: of a demo, a measurement or a test.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;

/// Below the ports that the kernel gives to whoever asks for any: nobody gets one of these by chance between now and the
/// start of the server, or while it is down.
const PORTS: Range<u16> = 10_240..32_768;

/// Different addresses on loopback whose ports nobody uses now, neither for UDP nor for TCP.
///
/// # Errors
/// If hardly any port is free.
pub fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    // Begins anywhere, so that programs that look at the same time look at different ports.
    let begin = RandomState::new().hash_one(count) % PORTS.len() as u64;
    let ports = PORTS.cycle().skip(usize::try_from(begin).unwrap_or(0)).take(PORTS.len());
    let free: Vec<_> =
        ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).filter(is_free).take(count).collect();
    if free.len() < count {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("fewer than {count} ports are free")));
    }
    Ok(free)
}

fn is_free(address: &SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_different_free_and_not_among_those_that_the_kernel_gives_out() {
        let addresses = free_addresses(15).unwrap();
        let bound: Vec<_> = addresses.iter().map(|address| UdpSocket::bind(address).unwrap()).collect();
        assert_eq!(bound.len(), 15);
        let given = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        assert!(!PORTS.contains(&given.port()), "{given}");
        assert!(!is_free(&addresses[0]));
    }
}
