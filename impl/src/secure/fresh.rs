//! New keys for a cluster of one's own, for a demonstration or a measurement: all in one directory, which in service
//! they never are.

use std::path::{Path, PathBuf};

use super::{Entropy, KeyFileError, PrivateKey, Secret};

const CLIENT_KEY: &str = "client.key";
const SECRET: &str = "cluster.secret";

/// The keys of so many servers and one client, as files.
#[derive(Clone, Debug)]
pub struct FreshKeys {
    directory: PathBuf,
    /// What the configuration of every server says of them.
    public: String,
}

impl FreshKeys {
    /// Writes them into a directory. The client may read and write; `client` is what it is called.
    ///
    /// # Errors
    /// Names the file that cannot be written, because it is there, or why.
    pub fn write(directory: &Path, servers: u8, client: &str) -> Result<Self, KeyFileError> {
        let make = |file: &str| {
            let key = PrivateKey::generate(&mut Entropy::System);
            key.save(&directory.join(file)).map(|()| key.public().to_string())
        };
        let servers: Vec<_> = (0..servers).map(|id| make(&server_key(id))).collect::<Result<_, _>>()?;
        let key = make(CLIENT_KEY)?;
        Secret::generate(&mut Entropy::System).save(&directory.join(SECRET))?;
        let public = format!(
            "secret = \"{SECRET}\"\nserver_keys = {servers:?}\n\n\
             [[clients]]\nname = {client:?}\nkey = \"{key}\"\nrole = \"read-write\"\n"
        );
        Ok(Self { directory: directory.into(), public })
    }

    /// The client's private key.
    #[must_use]
    pub fn client(&self) -> PathBuf {
        self.directory.join(CLIENT_KEY)
    }

    /// The end of a server's configuration, in TOML. Its file stands in the same directory.
    #[must_use]
    pub fn settings(&self, server: u8) -> String {
        format!("key = \"{}\"\n{}", server_key(server), self.public)
    }
}

fn server_key(server: u8) -> String {
    format!("{server}.key")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::NodeConfig;

    #[test]
    fn servers_are_configured_with_them_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let keys = FreshKeys::write(directory.path(), 2, "load").unwrap();
        PrivateKey::load(&keys.client()).unwrap();
        for server in 0..2 {
            let file = directory.path().join(format!("{server}.toml"));
            let head = "data = \"data\"\nservers = [\"192.0.2.1:1\", \"192.0.2.2:1\"]\n";
            fs::write(&file, format!("server = {server}\n{head}{}", keys.settings(server))).unwrap();
            NodeConfig::load(&file).unwrap().credentials(1).unwrap();
        }
    }
}
