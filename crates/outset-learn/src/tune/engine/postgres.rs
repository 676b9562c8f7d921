//! A study in PostgreSQL, which many machines may work on; which process has a trial is told by advisory locks, which the
//! server lets go of when a connection ends.

use super::wire::Wire;
use super::{Cell, Engine, Fault, Piece};
use std::collections::BTreeSet;
use std::fmt;

/// First number of the advisory lock that whoever claims a trial takes.
const ALONE: i64 = 0x6f75_7473;
/// Number of the piece that is no trial.
const CONCLUSION: i64 = i32::MAX as i64;

/// Where a database is, and as whom to open it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub user: String,
    pub password: Option<String>,
    pub host: String,
    pub port: u16,
    pub database: String,
}

impl Address {
    /// Reads `postgres://user:password@host:port/database`; a password that it lacks is taken from `PGPASSWORD`.
    ///
    /// `None` where the text is no such address.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"))?;
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').map_or((login, None), |(user, p)| (user, Some(p)));
        let (host, port) = match place.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (place, 5432),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let user = if user.is_empty() { "postgres".to_owned() } else { decoded(user)? };
        if host.is_empty() || database.contains(['?', '/']) {
            return None;
        }
        Some(Self {
            password: match password {
                Some(password) => Some(decoded(password)?),
                None => std::env::var("PGPASSWORD").ok(),
            },
            host: host.to_owned(),
            port,
            database: if database.is_empty() { user.clone() } else { decoded(database)? },
            user,
        })
    }
}

/// Without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port, database, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        write!(f, "postgres://{user}@{host}:{port}/{database}")
    }
}

/// A text with `%40` and the like taken for the bytes that they stand for.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

/// An open connection.
pub struct Postgres {
    wire: Wire,
}

impl Postgres {
    /// Connects.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses the user.
    pub fn connect(address: &Address) -> Result<Self, Fault> {
        let mut wire = Wire::connect(address)?;
        // A machine that is cut off lets go of its trials after a minute and a half, not after two hours.
        for (name, seconds) in
            [("tcp_keepalives_idle", 60), ("tcp_keepalives_interval", 10), ("tcp_keepalives_count", 3)]
        {
            wire.run(&format!("SET {name} = {seconds}"), &[])?;
        }
        Ok(Self { wire })
    }
}

fn number(piece: Piece) -> i64 {
    match piece {
        Piece::Trial(id) => id as i64,
        Piece::Conclusion => CONCLUSION,
    }
}

impl Engine for Postgres {
    fn run(&mut self, statement: &str, values: &[Cell]) -> Result<Vec<Vec<Cell>>, Fault> {
        self.wire.run(statement, values)
    }

    fn begin(&mut self, alone: bool) -> Result<(), Fault> {
        self.wire.run("BEGIN", &[])?;
        if alone {
            self.wire.run("SELECT pg_advisory_xact_lock($1)", &[Cell::Whole(ALONE)])?;
        }
        Ok(())
    }

    fn hold(&mut self, study: i64, piece: Piece) -> Result<bool, Fault> {
        let key = [Cell::Whole(study), Cell::Whole(number(piece))];
        let rows = self.wire.run("SELECT pg_try_advisory_lock($1, $2)::int", &key)?;
        Ok(rows == [[Cell::Whole(1)]])
    }

    fn release(&mut self, study: i64, piece: Piece) -> Result<(), Fault> {
        let key = [Cell::Whole(study), Cell::Whole(number(piece))];
        self.wire.run("SELECT pg_advisory_unlock($1, $2)", &key)?;
        Ok(())
    }

    fn held(&mut self, study: i64) -> Result<BTreeSet<usize>, Fault> {
        let rows = self.wire.run(
            "SELECT objid::bigint FROM pg_locks
             WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid::bigint = $1
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            &[Cell::Whole(study)],
        )?;
        let ids = rows.into_iter().flatten().filter_map(|cell| match cell {
            Cell::Whole(id) if id != CONCLUSION => usize::try_from(id).ok(),
            _ => None,
        });
        Ok(ids.collect())
    }

    fn is_shared(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let address = Address::parse("postgres://ann:p%40ss:word@db.example:6000/studies").unwrap();
        assert_eq!(
            (address.user.as_str(), address.password.as_deref(), address.host.as_str(), address.port),
            ("ann", Some("p@ss:word"), "db.example", 6000)
        );
        assert_eq!(address.to_string(), "postgres://ann@db.example:6000/studies");
        let short = Address::parse("postgresql://localhost").unwrap();
        assert_eq!(
            (short.user.as_str(), short.port, short.database.as_str()),
            ("postgres", 5432, "postgres")
        );
        assert_eq!(Address::parse("postgres://a@[::1]:7/b").unwrap().to_string(), "postgres://a@[::1]:7/b");
        for wrong in ["runs/x.study", "postgres://", "postgres://h:port/d", "postgres://h/d?sslmode=require"]
        {
            assert!(Address::parse(wrong).is_none(), "{wrong}");
        }
    }
}
