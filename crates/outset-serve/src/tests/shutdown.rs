//! Stopping: what runs is finished, nothing new begins, and no one can hold it up.

use super::*;
use std::net::TcpStream;
use std::time::Instant;

#[test]
fn what_runs_is_finished_and_idle_connections_are_closed() {
    let mut server = Server::start();
    let mut idle = server.connect();
    assert_eq!(idle.ask("GET", "/health/live", &[], b"").status, 200);
    let mut fresh = server.connect();
    let mut slow = row(60.0);
    slow["job"] = json!("dawdle");
    let mut busy = server.connect();
    let body = slow.to_string();
    busy.send(
        format!("POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .as_bytes(),
    );
    thread::sleep(Duration::from_millis(200));
    server.stop.send(()).unwrap();
    assert!(idle.receive(false).is_none());
    assert!(fresh.receive(false).is_none());
    let answer = busy.receive(false).unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    server.thread.take().unwrap().join().unwrap();
    assert!(TcpStream::connect(server.address).is_err());
}

#[test]
fn a_client_that_dawdles_cannot_keep_the_server_from_stopping() {
    let mut server = Server::with(|settings| settings.timeout = Duration::from_millis(200));
    let mut half = server.connect();
    half.send(b"POST /predict HTTP/1.1\r\nHo");
    thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    server.stop.send(()).unwrap();
    server.thread.take().unwrap().join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn an_address_in_use_is_named() {
    let server = Server::start();
    let settings = Settings { address: server.address, ..Settings::default() };
    let app = App::new(model(), answer, &settings).unwrap();
    let (_keep, told) = tokio::sync::mpsc::unbounded_channel();
    let error = run(app, &settings, |_| {}, || Ok(Stop::when(told))).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on `{}`", server.address));
    let port = server.address.port();
    let hint = format!("another program listens on port {port}; choose another with `--port`");
    assert_eq!(error.hint(), Some(hint));
}
