//! Many at once.

use super::*;
use std::sync::Barrier;

#[test]
fn two_hundred_connections_are_answered_each_with_its_own() {
    let server = Server::start();
    let barrier = Barrier::new(200);
    thread::scope(|scope| {
        for number in 0..200u32 {
            let (server, barrier) = (&server, &barrier);
            let client = move || {
                let mut client = server.connect();
                barrier.wait();
                for turn in 0..20u32 {
                    let age = f64::from(number * 20 + turn);
                    // Every tenth client sends faulty rows, which must not touch the others.
                    let faulty = number % 10 == 0;
                    let body = if faulty { json!({"age": age}) } else { row(age) };
                    let answer = client.ask("POST", "/predict", &[], body.to_string().as_bytes());
                    assert_eq!(answer.status, if faulty { 422 } else { 200 });
                    if !faulty {
                        assert_eq!(answer.json()["price"]["prediction"], age);
                    }
                }
            };
            thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, client).unwrap();
        }
    });
    let figures = server.get("/metrics");
    assert!(figures.text().contains("outset_requests_total{route=\"/predict\",status=\"200\"} 3600\n"));
    assert!(figures.text().contains("\noutset_rows_total 3600\n"));
}

#[test]
fn requests_sent_without_waiting_are_answered_in_order() {
    let server = Server::start();
    let mut client = server.connect();
    for age in 0..50 {
        let body = row(f64::from(age)).to_string();
        client.send(
            format!("POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .as_bytes(),
        );
    }
    for age in 0..50 {
        assert_eq!(client.receive(false).unwrap().json()["price"]["prediction"], f64::from(age));
    }
}

#[test]
fn a_client_that_takes_no_answers_is_given_up() {
    let server = Server::with(|settings| settings.timeout = Duration::from_millis(200));
    let mut deaf = server.connect();
    // Far more answers than the sockets' buffers hold, none of them read.
    deaf.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2000).as_bytes());
    let closed = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(20));
        server.get("/metrics").text().contains("\noutset_connections 1\n")
    });
    assert!(closed);
}

#[test]
fn memory_that_bodies_may_take_together_is_bounded() {
    let server = Server::with(|settings| settings.max_body = 4 << 20);
    // Four bodies of almost 4 MiB are held open; together they take all that may be taken.
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect();
        client.send(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n");
        client.send(&vec![b' '; (4 << 20) - 1]);
        held.push(client);
    }
    let taken = format!("\noutset_body_bytes {}\n", 4 * ((4 << 20) - 1));
    let filled = (0..3000).any(|_| {
        thread::sleep(Duration::from_millis(20));
        server.get("/metrics").text().contains(&taken)
    });
    assert!(filled);
    server.predict(&row(1.0)).check_error(503, "the server has too much to do");
    for mut client in held {
        client.send(b" ");
        client
            .receive(false)
            .unwrap()
            .check_error(400, "the body is empty, expected a JSON object or a list of them");
    }
    server.check_alive();
}
