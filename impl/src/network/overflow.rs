//! What the kernel dropped because a socket's buffer was full: the last column of `/proc/net/udp`. (The counter also comes
//! with each datagram, `SO_RXQ_OVFL`, but then a server that receives nothing more would not be told.)

use std::fs;
use std::net::UdpSocket;

use rustix::fs::fstat;

const TABLES: [&str; 2] = ["/proc/self/net/udp", "/proc/self/net/udp6"];
/// The columns of a line that hold the socket's inode and its drops.
const INODE_COLUMN: usize = 9;
const DROPS_COLUMN: usize = 12;

/// How many datagrams were dropped at this socket; none if the system does not say.
pub(super) fn of(socket: &UdpSocket) -> Option<u64> {
    let inode = fstat(socket).ok()?.st_ino;
    TABLES.iter().find_map(|table| in_table(&fs::read_to_string(table).ok()?, inode))
}

fn in_table(table: &str, inode: u64) -> Option<u64> {
    let columns = |line: &'_ str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut lines = table.lines().skip(1).map(columns);
    let line = lines.find(|line| line.get(INODE_COLUMN).and_then(|text| text.parse().ok()) == Some(inode))?;
    line.get(DROPS_COLUMN)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt;

    #[test]
    fn what_does_not_fit_the_buffer_is_counted_for_this_socket_only() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue }; // a machine without IPv6
            let [other, sender] = [(); 2].map(|()| UdpSocket::bind(address).unwrap());
            sockopt::set_socket_recv_buffer_size(&socket, 0).unwrap(); // as small as there is
            assert_eq!(of(&socket), Some(0));
            let sent = 64;
            for _ in 0..sent {
                sender.send_to(&[0; 1_000], socket.local_addr().unwrap()).unwrap();
            }
            socket.set_nonblocking(true).unwrap();
            let received = std::iter::from_fn(|| socket.recv(&mut [0; 1_000]).ok()).count() as u64;
            assert!(received < sent, "the buffer holds everything");
            assert_eq!((of(&socket), of(&other)), (Some(sent - received), Some(0)), "{address}");
        }
    }

    #[test]
    fn a_table_of_another_form_says_nothing() {
        for table in [
            "",
            "\n",
            "head\n 1: a b",
            "head\n0 1 2 3 4 5 6 7 8 77 10 11 x\n",
            "head\n0 1 2 3 4 5 6 7 8 77\n",
        ] {
            assert_eq!(in_table(table, 77), None, "{table}");
        }
        assert_eq!(in_table("head\n0 1 2 3 4 5 6 7 8 77 10 11 5\n", 77), Some(5));
    }
}
