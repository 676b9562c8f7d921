//! What can keep the server from running.

use std::io;
use std::net::SocketAddr;
use thiserror::Error;

/// A server that cannot run.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error("cannot listen on `{address}`")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot start the server's threads")]
    Threads(#[source] io::Error),
    #[error("cannot wait for the signal to stop")]
    Signals(#[source] io::Error),
}

impl ServeError {
    /// What to do about it, where that is sure.
    pub fn hint(&self) -> Option<String> {
        let Self::Listen { address, source } = self else { return None };
        match source.kind() {
            io::ErrorKind::AddrInUse => Some(format!(
                "another program listens on port {}; choose another with `--port`",
                address.port()
            )),
            io::ErrorKind::AddrNotAvailable => {
                Some(format!("this machine has no address `{}`; try `--host 127.0.0.1`", address.ip()))
            }
            io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need special rights; choose another with `--port`".to_owned())
            }
            _ => None,
        }
    }
}
