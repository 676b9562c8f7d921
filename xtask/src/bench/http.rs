//! A small HTTP/1.1 client over keep-alive connections, and a generator of load made of it.

use super::Outcome;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that is kept open between requests.
pub struct Connection {
    stream: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Connection {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn open(port: u16) -> std::io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), body: Vec::new() })
    }

    /// Sends a request and reads the answer: its status and body.
    ///
    /// # Errors
    /// If the connection breaks, or the answer has no length.
    pub fn send(&mut self, request: &[u8]) -> std::io::Result<(u16, &[u8])> {
        self.stream.get_mut().write_all(request)?;
        let (mut line, mut status, mut length) = (String::new(), 0, None);
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if status == 0 {
                status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(1);
            } else if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok();
            }
        }
        let length: usize = length.ok_or_else(|| std::io::Error::other("the answer has no length"))?;
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        Ok((status, &self.body))
    }
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends `count` requests one after the other; returns the seconds that each took.
///
/// # Errors
/// If one is not answered with status 200.
pub fn one_after_the_other(port: u16, requests: &[Vec<u8>], count: usize) -> Outcome<Vec<f64>> {
    let mut connection = Connection::open(port)?;
    let mut seconds = Vec::with_capacity(count);
    for request in requests.iter().cycle().take(count) {
        let clock = Instant::now();
        expect_200(connection.send(request)?)?;
        seconds.push(clock.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

/// Sends requests over `connections` connections at once for `time`; returns how many were answered in a second.
///
/// # Errors
/// If one is not answered with status 200.
pub fn at_once(port: u16, requests: &[Vec<u8>], connections: usize, time: Duration) -> Outcome<f64> {
    let clock = Instant::now();
    let counts: Vec<Result<usize, String>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|index| scope.spawn(move || until(clock + time, port, requests, index)))
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err("a thread broke".to_owned()))
        };
        threads.into_iter().map(join).collect()
    });
    let seconds = clock.elapsed().as_secs_f64();
    let mut total = 0;
    for count in counts {
        total += count?;
    }
    Ok(total as f64 / seconds)
}

/// Sends requests until `end`, beginning with the one at `first`; returns how many were answered.
fn until(end: Instant, port: u16, requests: &[Vec<u8>], first: usize) -> Result<usize, String> {
    let mut connection = Connection::open(port).map_err(|error| error.to_string())?;
    let mut count = 0;
    for request in requests.iter().cycle().skip(first) {
        if Instant::now() >= end {
            break;
        }
        expect_200(connection.send(request).map_err(|error| error.to_string())?)?;
        count += 1;
    }
    Ok(count)
}

fn expect_200((status, body): (u16, &[u8])) -> Result<(), String> {
    if status == 200 { Ok(()) } else { Err(format!("status {status}: {}", String::from_utf8_lossy(body))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that answers every request of one connection with its body's length.
    fn server(connections: usize) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().take(connections) {
                thread::spawn(move || {
                    let mut stream = BufReader::new(stream.unwrap());
                    let (mut line, mut length) = (String::new(), 0);
                    while stream.read_line(&mut line).unwrap_or(0) > 0 {
                        if let Some(value) = line.strip_prefix("content-length: ") {
                            length = value.trim().parse().unwrap();
                        }
                        if line == "\r\n" {
                            stream.read_exact(&mut vec![0; length]).unwrap();
                            let body = length.to_string();
                            let answer =
                                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                            stream.get_mut().write_all(answer.as_bytes()).unwrap();
                        }
                        line.clear();
                    }
                });
            }
        });
        port
    }

    #[test]
    fn requests_share_a_connection() {
        let mut connection = Connection::open(server(1)).unwrap();
        for body in ["{}", "[1, 2]"] {
            let (status, answer) = connection.send(&request("POST", "/", body)).unwrap();
            assert_eq!((status, answer), (200, body.len().to_string().as_bytes()));
        }
    }

    #[test]
    fn load_is_counted() {
        let requests = [request("POST", "/", "{}"), request("POST", "/", "[]")];
        let port = server(5);
        assert_eq!(one_after_the_other(port, &requests, 3).unwrap().len(), 3);
        assert!(at_once(port, &requests, 4, Duration::from_millis(50)).unwrap() > 0.0);
    }
}
