//! The part of PostgreSQL's protocol that a study needs
//! (<https://www.postgresql.org/docs/current/protocol.html>, version 3.0): connect, log in, run one statement at a time.
//!
//! Nothing is encrypted but the password's exchange: across networks of others, use a tunnel.

use super::postgres::Address;
use super::scram::Scram;
use super::{Cell, Fault};
use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;
use thiserror::Error;

const VERSION: i32 = 3 << 16;
/// Longest time to connect, and to wait for an answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(300);

/// Object identifiers of the types that are not text.
const BYTES: i32 = 17;
const WHOLE: [i32; 3] = [20, 21, 23];
const REAL: [i32; 2] = [700, 701];

/// What goes wrong between here and a server.
#[derive(Debug, Error)]
enum WireError {
    #[error("{message}")]
    Refused { message: String },
    #[error("the server asks for a password, but the address names none and `PGPASSWORD` is not set")]
    NoPassword,
    #[error(
        "the server asks for a way to log in that is not known here (it knows `trust` and `scram-sha-256`)"
    )]
    UnknownLogin,
    #[error("the server does not know the password itself")]
    Impostor,
    #[error("the server answers otherwise than PostgreSQL would")]
    Garbled,
    #[error("a value of {0} bytes is more than a message can hold")]
    TooLarge(usize),
}

/// An open connection.
pub struct Wire {
    stream: BufReader<TcpStream>,
}

/// A message from the server: its letter and what it holds.
struct Message {
    kind: u8,
    body: Vec<u8>,
}

impl Wire {
    /// Connects and logs in.
    pub fn connect(address: &Address) -> Result<Self, Fault> {
        let mut last: Fault = Box::new(WireError::Garbled);
        let mut open = None;
        for place in (address.host.as_str(), address.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&place, CONNECT) {
                Ok(stream) => {
                    open = Some(stream);
                    break;
                }
                Err(error) => last = Box::new(error),
            }
        }
        let Some(stream) = open else { return Err(last) };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let mut wire = Self { stream: BufReader::new(stream) };
        let mut start = VERSION.to_be_bytes().to_vec();
        for (name, value) in [
            ("user", address.user.as_str()),
            ("database", &address.database),
            ("application_name", "outset"),
            ("client_encoding", "UTF8"),
        ] {
            put_text(&mut start, name);
            put_text(&mut start, value);
        }
        start.push(0);
        let mut message = i32::try_from(start.len() + 4)?.to_be_bytes().to_vec();
        message.extend(start);
        wire.stream.get_mut().write_all(&message)?;
        wire.log_in(address)?;
        Ok(wire)
    }

    fn log_in(&mut self, address: &Address) -> Result<(), Fault> {
        let mut scram = Scram::new("", &crate::tune::token());
        loop {
            let message = self.receive()?;
            let mut body = Body(&message.body);
            match message.kind {
                b'R' => match body.whole()? {
                    0 => {}
                    10 => {
                        if !body.0.split(|byte| *byte == 0).any(|name| name == b"SCRAM-SHA-256") {
                            return Err(WireError::UnknownLogin.into());
                        }
                        let first = scram.first();
                        let mut answer = Vec::new();
                        put_text(&mut answer, "SCRAM-SHA-256");
                        answer.extend(i32::try_from(first.len())?.to_be_bytes());
                        answer.extend(first.bytes());
                        self.send(b'p', &answer)?;
                    }
                    11 => {
                        let password = address.password.as_deref().ok_or(WireError::NoPassword)?;
                        let server = std::str::from_utf8(body.0)?;
                        let answer = scram.answer(server, password).ok_or(WireError::Garbled)?;
                        self.send(b'p', answer.as_bytes())?;
                    }
                    12 if !scram.is_proved(std::str::from_utf8(body.0)?) => {
                        return Err(WireError::Impostor.into());
                    }
                    12 => {}
                    _ => return Err(WireError::UnknownLogin.into()),
                },
                b'E' => return Err(refused(&message.body)),
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }

    /// Runs one statement with values for `$1`, `$2`, … and gives its rows.
    pub fn run(&mut self, statement: &str, values: &[Cell]) -> Result<Vec<Vec<Cell>>, Fault> {
        let mut parse = vec![0];
        put_text(&mut parse, statement);
        // The server finds the types of the values by itself.
        parse.extend(0i16.to_be_bytes());
        self.send(b'P', &parse)?;
        // No name for portal and statement, a format for each value, the values, text for what comes back.
        let mut bind = vec![0, 0];
        let count = i16::try_from(values.len())?;
        bind.extend(count.to_be_bytes());
        for value in values {
            bind.extend(i16::from(matches!(value, Cell::Bytes(_))).to_be_bytes());
        }
        bind.extend(count.to_be_bytes());
        for value in values {
            let text;
            let bytes = match value {
                Cell::Null => {
                    bind.extend((-1i32).to_be_bytes());
                    continue;
                }
                Cell::Whole(value) => {
                    text = value.to_string();
                    text.as_bytes()
                }
                Cell::Real(value) => {
                    // The shortest digits that give this very number again.
                    text = value.to_string();
                    text.as_bytes()
                }
                Cell::Text(value) => value.as_bytes(),
                Cell::Bytes(value) => value,
            };
            let length = i32::try_from(bytes.len()).map_err(|_| WireError::TooLarge(bytes.len()))?;
            bind.extend(length.to_be_bytes());
            bind.extend(bytes);
        }
        bind.extend(0i16.to_be_bytes());
        self.send(b'B', &bind)?;
        self.send(b'D', b"P\0")?;
        self.send(b'E', &[0, 0, 0, 0, 0])?;
        self.send(b'S', &[])?;
        self.rows()
    }

    /// Reads what a statement gives, up to the server's being ready for another.
    fn rows(&mut self) -> Result<Vec<Vec<Cell>>, Fault> {
        let (mut types, mut rows, mut failed) = (Vec::new(), Vec::new(), None);
        loop {
            let message = self.receive()?;
            let mut body = Body(&message.body);
            match message.kind {
                b'T' => {
                    types = (0..body.short()?)
                        .map(|_| {
                            body.text()?;
                            body.take(6)?;
                            let kind = body.whole()?;
                            body.take(8)?;
                            Ok(kind)
                        })
                        .collect::<Result<_, WireError>>()?;
                }
                b'D' => {
                    body.short()?;
                    let cell = |kind: &i32| match body.whole()? {
                        -1 => Ok(Cell::Null),
                        length => {
                            let length = usize::try_from(length).map_err(|_| WireError::Garbled)?;
                            cell(*kind, body.take(length)?)
                        }
                    };
                    rows.push(types.iter().map(cell).collect::<Result<_, WireError>>()?);
                }
                b'E' => failed = Some(refused(&message.body)),
                b'Z' => return failed.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    fn send(&mut self, kind: u8, body: &[u8]) -> Result<(), Fault> {
        let length = i32::try_from(body.len() + 4).map_err(|_| WireError::TooLarge(body.len()))?;
        let stream = self.stream.get_mut();
        let mut head = vec![kind];
        head.extend(length.to_be_bytes());
        stream.write_all(&head)?;
        Ok(stream.write_all(body)?)
    }

    fn receive(&mut self) -> Result<Message, Fault> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = Body(&head[1..]).whole()?;
        let length = usize::try_from(length - 4).map_err(|_| WireError::Garbled)?;
        let mut body = Vec::new();
        (&mut self.stream).take(length as u64).read_to_end(&mut body)?;
        if body.len() < length {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        Ok(Message { kind: head[0], body })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // A connection that is gone already needs no farewell.
        let _ = self.send(b'X', &[]);
    }
}

/// What is left of a message.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(WireError::Garbled)?;
        self.0 = rest;
        Ok(taken)
    }

    fn whole(&mut self) -> Result<i32, WireError> {
        self.take(4)?.try_into().map(i32::from_be_bytes).map_err(|_| WireError::Garbled)
    }

    fn short(&mut self) -> Result<i16, WireError> {
        self.take(2)?.try_into().map(i16::from_be_bytes).map_err(|_| WireError::Garbled)
    }

    fn text(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(WireError::Garbled)?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(text)
    }
}

fn put_text(message: &mut Vec<u8>, text: &str) {
    // A zero byte would end the text early.
    message.extend(text.bytes().filter(|byte| *byte != 0));
    message.push(0);
}

/// A value as the server writes it.
fn cell(kind: i32, bytes: &[u8]) -> Result<Cell, WireError> {
    let text = std::str::from_utf8(bytes).map_err(|_| WireError::Garbled)?;
    if WHOLE.contains(&kind) {
        return text.parse().map(Cell::Whole).map_err(|_| WireError::Garbled);
    }
    if REAL.contains(&kind) {
        return text.parse().map(Cell::Real).map_err(|_| WireError::Garbled);
    }
    if kind != BYTES {
        return Ok(Cell::Text(text.to_owned()));
    }
    let digits = text.strip_prefix("\\x").ok_or(WireError::Garbled)?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(WireError::Garbled);
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => Ok((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => Err(WireError::Garbled),
    });
    bytes.collect::<Result<_, _>>().map(Cell::Bytes)
}

/// The server's own words.
fn refused(body: &[u8]) -> Fault {
    let fields = body.split(|byte| *byte == 0);
    let message = fields.filter_map(|field| field.strip_prefix(b"M")).next().unwrap_or_default();
    Box::new(WireError::Refused { message: String::from_utf8_lossy(message).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_the_server_writes_them() {
        assert_eq!(cell(20, b"-7").unwrap(), Cell::Whole(-7));
        assert_eq!(cell(701, b"0.30000000000000004").unwrap(), Cell::Real(0.1 + 0.2));
        assert_eq!(cell(17, b"\\x00ff10").unwrap(), Cell::Bytes(vec![0, 255, 16]));
        assert_eq!(cell(25, "é".as_bytes()).unwrap(), Cell::Text("é".to_owned()));
        assert!(cell(17, b"\\x0").is_err() && cell(20, b"x").is_err());
        assert_eq!(refused(b"SERROR\0C42601\0Msyntax error\0\0").to_string(), "syntax error");
    }
}
