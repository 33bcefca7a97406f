//! The configuration file and the text of keys.
#![no_main]

use cluster::config::NodeConfig;
use cluster::secure::{PrivateKey, PublicKey, Secret};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string().to_lowercase(), text.to_lowercase());
    }
    let _ = (text.parse::<PrivateKey>(), text.parse::<Secret>());
    let Ok(config) = toml::from_str::<NodeConfig>(text) else { return };
    let _ = (config.bind_address(), config.snapshots());
    if let Ok(protocol) = config.protocol() {
        assert!(protocol.grant_term >= protocol.lease_term, "a grant that is shorter than the lease");
        let _ = config.warnings();
    }
});
