//! A loaded bundle behind HTTP: predictions, a page to try the model, its description, its health and its figures.
//!
//! [`serve`] is the whole server. A request passes [`guard`](mod@guard) (panics, figures), [`access`] (the key),
//! [`body`] (limits), [`rows`] or [`v2`] (what is asked), and waits in the [`queue`] for the one thread that owns the
//! model, which answers whatever waits in one go.

mod access;
mod app;
mod body;
mod error;
mod guard;
mod impatient;
mod metrics;
mod openapi;
mod page;
mod predict;
mod queue;
mod refusal;
mod rows;
mod server;
mod upload;
mod v2;

#[cfg(test)]
#[path = "../../outset-data/src/pictures/samples.rs"]
#[expect(dead_code, reason = "shared with the tests of other crates, which use all of it")]
mod samples;
#[cfg(test)]
mod tests;

pub use error::ServeError;
pub use server::serve;

use app::App;
use outset_learn::predict::Predictor;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Where to listen and what to allow.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// Largest body of a request, in bytes.
    pub max_body: usize,
    /// Most rows of a request.
    pub max_rows: usize,
    /// Longest time from a request's head to its answer.
    pub timeout: Duration,
    /// Key that requests must bring; without one the server is open to all who reach it.
    pub api_key: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            max_body: 10 << 20,
            max_rows: 10_000,
            timeout: Duration::from_secs(10),
            api_key: None,
        }
    }
}

/// Builds the routes without a server around them.
///
/// # Errors
/// If the system refuses the thread that answers.
pub fn router(predictor: Arc<Predictor>, settings: &Settings) -> Result<axum::Router, ServeError> {
    let model = app::Model::of(&predictor);
    Ok(app::routes(App::new(model, app::answers_of(predictor), settings)?))
}
