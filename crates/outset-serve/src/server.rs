//! Listens, serves connections, and stops when told to.

use crate::Settings;
use crate::app::{self, App, Model};
use crate::error::ServeError;
use crate::impatient::Impatient;
use crate::metrics::Metrics;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use outset_learn::predict::Predictor;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Connections at once; more wait to be accepted.
const CONNECTIONS: u32 = 4096;
/// Time for a request's head to arrive, which is also how long a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves a model until the process is told to stop (SIGINT or SIGTERM), then finishes what runs.
///
/// `ready` is called with the bound address once connections are accepted.
///
/// # Errors
/// If the address cannot be listened on, or the system refuses threads.
pub fn serve(
    predictor: Predictor,
    settings: Settings,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let model = Model::of(&predictor);
    let app = App::new(model, app::answers_of(Arc::new(predictor)), &settings)?;
    run(app, &settings, ready, Stop::on_signals)
}

/// Serves until `stop` says so; a second word from it ends the wait for what runs.
pub(crate) fn run(
    app: App,
    settings: &Settings,
    ready: impl FnOnce(SocketAddr),
    stop: impl FnOnce() -> Result<Stop, ServeError>,
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(connection_threads(rayon::current_num_threads()))
        .enable_all()
        .build()
        .map_err(ServeError::Threads)?;
    let result = runtime.block_on(async {
        let address = settings.address;
        let listen = |source| ServeError::Listen { address, source };
        let mut stop = stop()?;
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        ready(listener.local_addr().map_err(listen)?);
        let metrics = Arc::clone(&app.metrics);
        accept(listener, app::routes(app), metrics, &mut stop, settings.timeout).await;
        Ok(())
    });
    // What has not ended by now was waited for long enough.
    runtime.shutdown_background();
    result
}

/// Threads that serve connections, beside a model that works on so many: as many, and never one alone.
///
/// Long work is done aside, but a worker reads and writes short JSON itself: with a second one, health calls need not
/// wait for that.
fn connection_threads(model_threads: usize) -> usize {
    model_threads.max(2)
}

async fn accept(
    listener: TcpListener,
    router: Router,
    metrics: Arc<Metrics>,
    stop: &mut Stop,
    limit: Duration,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let (stopping, stopped) = watch::channel(());
    loop {
        let next = async {
            // The semaphore is never closed.
            let place = Arc::clone(&room).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            () = stop.wait() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are small and leave at once; where the system refuses that, they are only slower.
                let _ = stream.set_nodelay(true);
                let connection = connection(Impatient::new(stream, limit), router.clone(), stopped.clone());
                let metrics = Arc::clone(&metrics);
                tokio::spawn(async move {
                    let _open = metrics.connect();
                    connection.await;
                    drop(place);
                });
            }
            // A connection that broke at once, or no file descriptor left: others may still be served.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
    drop(listener);
    let _ = stopping.send(());
    let all_ended = timeout(limit + Duration::from_secs(1), room.acquire_many(CONNECTIONS));
    tokio::select! {
        _ = all_ended => {}
        () = stop.wait() => {}
    }
}

/// Serves one connection: request after request until the client leaves or the server stops.
async fn connection(stream: Impatient, router: Router, mut stopped: watch::Receiver<()>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let stopping = tokio::select! {
        // A client that breaks off or sends no HTTP has only harmed its own connection.
        _ = connection.as_mut() => false,
        _ = stopped.changed() => true,
    };
    if stopping {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// The word to stop.
pub(crate) struct Stop(tokio::sync::mpsc::UnboundedReceiver<()>);

impl Stop {
    /// Stops on SIGINT (Ctrl-C) and SIGTERM.
    fn on_signals() -> Result<Self, ServeError> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
                let mut signals = signal(kind).map_err(ServeError::Signals)?;
                let sender = sender.clone();
                tokio::spawn(
                    async move { while signals.recv().await.is_some() && sender.send(()).is_ok() {} },
                );
            }
        }
        #[cfg(not(unix))]
        tokio::spawn(
            async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send(()).is_ok() {} },
        );
        Ok(Self(receiver))
    }

    /// Stops when the sender says so.
    #[cfg(test)]
    pub fn when(receiver: tokio::sync::mpsc::UnboundedReceiver<()>) -> Self {
        Self(receiver)
    }

    async fn wait(&mut self) {
        if self.0.recv().await.is_none() {
            // No one is left to say it.
            std::future::pending::<()>().await;
        }
    }
}
