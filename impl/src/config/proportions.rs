//! Settings with which a node starts, but with which it may not do what is hoped of it.

use super::NodeConfig;

/// A setting that is allowed and unwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// The setting.
    pub key: &'static str,
    /// What is to be expected of it, and what to do.
    pub reason: String,
}

/// An ordinary quartz is off by up to 100 ppm; two of them by twice that.
const QUARTZ_PPM: u32 = 200;
/// Below this, pauses that any machine has now and then end leases.
const LEASE_MS_MIN: u32 = 100;
/// Above this, people notice a fail-over.
const LEASE_MS_MAX: u32 = 5_000;
/// A drift bound above this takes more than a fifth from the time in which nobody leads.
const DRIFT_PPM_MAX: u32 = 100_000;
/// What fits an Ethernet frame beside the headers of IP and UDP.
const UNFRAGMENTED_BYTES: usize = 1_472;

impl NodeConfig {
    /// What is allowed and unwise, in the order in which the manual lists the settings.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |holds: bool, key, reason: String| {
            if !holds {
                warnings.push(Warning { key, reason });
            }
        };
        let servers = &self.servers;
        let twin = (1..servers.len()).find(|&at| servers[..at].contains(&servers[at]));
        let address = twin.map_or(String::new(), |at| servers[at].to_string());
        warn(
            twin.is_none(),
            "servers",
            format!("{address} stands twice: one of the two servers can hear nothing"),
        );
        let count = servers.len();
        warn(
            count % 2 == 1,
            "servers",
            format!(
                "{count} servers survive no more failures than {} do, and every update needs one more answer",
                count - 1
            ),
        );
        warn(count != 1, "servers", "one server alone survives no failure: use three".into());
        let local = servers.iter().filter(|server| server.ip().is_loopback()).count();
        warn(
            local == 0 || local == count,
            "servers",
            "some addresses are of this machine alone (loopback): the others cannot reach them".into(),
        );
        let lease = self.lease_ms;
        warn(
            lease == 0 || lease >= LEASE_MS_MIN,
            "lease_ms",
            format!(
                "{lease} ms end in any pause of a machine, and each costs an election: use {LEASE_MS_MIN} or more"
            ),
        );
        warn(
            lease <= LEASE_MS_MAX,
            "lease_ms",
            format!("a fail-over takes one to two leases, here up to {} s", lease / 500),
        );
        let renew = self.renew_ms.unwrap_or(lease / 3);
        warn(
            lease == 0 || renew <= lease / 2,
            "renew_ms",
            format!(
                "one lost datagram ends the lease of {lease} ms: renew every third of it, {} ms",
                lease / 3
            ),
        );
        let drift = self.drift_ppm;
        warn(
            lease == 0 || drift >= QUARTZ_PPM,
            "drift_ppm",
            format!("ordinary clocks differ by up to {QUARTZ_PPM}, and beyond the bound reads may be stale"),
        );
        warn(
            drift <= DRIFT_PPM_MAX,
            "drift_ppm",
            format!("each fail-over waits longer by {} % of the lease", drift / 5_000),
        );
        let majority = count / 2 + 1;
        let quorum = |given: Option<u8>| given.map_or(majority, usize::from);
        let (elects, chooses) = (quorum(self.phase1_quorum), quorum(self.phase2_quorum));
        warn(
            elects <= majority,
            "phase1_quorum",
            format!("a leader that fails is replaced only while {elects} of the {count} servers are up"),
        );
        warn(
            chooses <= majority,
            "phase2_quorum",
            format!("updates are acknowledged only while {chooses} of the {count} servers are up"),
        );
        warn(
            (self.phase1_quorum, self.phase2_quorum) == (None, None) || elects + chooses <= count + 1,
            "phase1_quorum",
            format!(
                "{elects} and {chooses} are more than is needed: together they need not exceed {}",
                count + 1
            ),
        );
        warn(
            self.datagram_bytes.is_none_or(|bytes| bytes <= UNFRAGMENTED_BYTES),
            "datagram_bytes",
            format!(
                "more than {UNFRAGMENTED_BYTES} are cut into fragments by most networks: one lost loses all"
            ),
        );
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> NodeConfig {
        let servers = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"];
        NodeConfig::new(0, "d".into(), servers.iter().map(|server| server.parse().unwrap()).collect())
    }

    #[test]
    fn each_unwise_setting_is_named_and_the_defaults_are_not() {
        type Change = fn(&mut NodeConfig);
        let table: [(Change, &[&str]); 16] = [
            (|_| {}, &[]),
            (|it| it.lease_ms = 0, &[]),
            (|it| it.servers[2] = it.servers[0], &["servers"]),
            (|it| it.servers.truncate(2), &["servers"]),
            (|it| it.servers.truncate(1), &["servers"]),
            (|it| it.servers[1] = ([127, 0, 0, 1], 1).into(), &["servers"]),
            (|it| it.lease_ms = 99, &["lease_ms"]),
            (|it| it.lease_ms = 5_001, &["lease_ms"]),
            (|it| it.renew_ms = Some(301), &["renew_ms"]),
            (|it| it.renew_ms = Some(300), &[]),
            (|it| it.drift_ppm = 199, &["drift_ppm"]),
            (|it| it.drift_ppm = 100_001, &["drift_ppm"]),
            (|it| (it.phase1_quorum, it.phase2_quorum) = (Some(3), Some(1)), &["phase1_quorum"]),
            (|it| (it.phase1_quorum, it.phase2_quorum) = (Some(1), Some(3)), &["phase2_quorum"]),
            (|it| it.phase2_quorum = Some(3), &["phase2_quorum", "phase1_quorum"]),
            (|it| it.datagram_bytes = Some(1_473), &["datagram_bytes"]),
        ];
        for (at, (change, keys)) in table.into_iter().enumerate() {
            let mut config = valid();
            change(&mut config);
            let found: Vec<_> = config.warnings().into_iter().map(|warning| warning.key).collect();
            assert_eq!(found, keys, "row {at}");
        }
    }
}
