//! A study in PostgreSQL, which many machines may work on; which process has a trial is told by advisory locks, which the
//! server lets go of when a connection ends.

use super::{Cell, Engine, Fault, Piece};
use bytes::BytesMut;
use postgres::config::{Host, SslMode};
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls, Row, Statement};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// First number of the advisory lock that whoever claims a trial takes.
const ALONE: i64 = 0x6f75_7473;
/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// Seconds without a word, seconds between two questions and questions without an answer after which either side takes the
/// other for cut off: a minute and a half in all, not two hours.
const SILENCE: (u64, u64, u32) = (60, 10, 3);
/// Number of the piece that is no trial.
const CONCLUSION: i64 = i32::MAX as i64;

/// Where a database is, and as whom to open it.
#[derive(Clone)]
pub struct Address(Box<Config>);

impl Address {
    /// Reads `postgres://user:password@host:port/database`; a password that it lacks is taken from `PGPASSWORD`.
    ///
    /// `None` where the text is no such address, or asks for encryption: across networks of others, use a tunnel.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return None;
        }
        let mut config: Config = text.parse().ok()?;
        if config.get_hosts().is_empty() || config.get_ssl_mode() == SslMode::Require {
            return None;
        }
        if config.get_user().is_none() {
            config.user("postgres");
        }
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(password);
        }
        let (idle, interval, count) = SILENCE;
        config
            .application_name("outset")
            .connect_timeout(CONNECT)
            .keepalives_idle(Duration::from_secs(idle))
            .keepalives_interval(Duration::from_secs(interval))
            .keepalives_retries(count);
        Some(Self(Box::new(config)))
    }
}

/// Without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.0.get_user().unwrap_or_default();
        let ports = self.0.get_ports();
        let places: Vec<String> = self
            .0
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(index, host)| {
                let host = match host {
                    Host::Tcp(host) if host.contains(':') => format!("[{host}]"),
                    Host::Tcp(host) => host.clone(),
                    #[cfg(unix)]
                    Host::Unix(path) => path.display().to_string(),
                };
                format!("{host}:{}", ports.get(index).or(ports.first()).unwrap_or(&5432))
            })
            .collect();
        write!(f, "postgres://{user}@{}/{}", places.join(","), self.0.get_dbname().unwrap_or(user))
    }
}

/// An open connection.
pub struct Postgres {
    client: Client,
    /// Statements that the server has read before.
    prepared: BTreeMap<String, Statement>,
}

impl Postgres {
    /// Connects.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses the user.
    pub fn connect(address: &Address) -> Result<Self, Fault> {
        let client = address.0.connect(NoTls).map_err(plain)?;
        let mut connection = Self { client, prepared: BTreeMap::new() };
        let (idle, interval, count) = SILENCE;
        for (name, value) in [
            // A machine that is cut off lets go of its trials.
            ("tcp_keepalives_idle", idle.to_string()),
            ("tcp_keepalives_interval", interval.to_string()),
            ("tcp_keepalives_count", count.to_string()),
            // Whoever waits for a lock is not to wait for ever.
            ("statement_timeout", "'5min'".to_owned()),
        ] {
            connection.run(&format!("SET {name} = {value}"), &[])?;
        }
        Ok(connection)
    }
}

/// What went wrong without the names of the layers that it went through: the server's own words, where it said any.
fn plain(error: postgres::Error) -> Fault {
    if let Some(said) = error.as_db_error() {
        return said.message().into();
    }
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.to_string() {
        said if said.contains("password missing") => {
            "the server asks for a password, but the address names none and `PGPASSWORD` is not set".into()
        }
        said => said.into(),
    }
}

impl ToSql for Cell {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        match (self, kind) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Whole(value), &Type::INT4) => i32::try_from(*value)?.to_sql(kind, out),
            (Self::Whole(value), _) => value.to_sql_checked(kind, out),
            (Self::Real(value), _) => value.to_sql_checked(kind, out),
            // The server takes no zero byte in a text.
            (Self::Text(value), _) => value.replace('\0', "").to_sql_checked(kind, out),
            (Self::Bytes(value), _) => value.to_sql_checked(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        Ok(match *kind {
            Type::INT4 => Self::Whole(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Whole(i64::from_sql(kind, raw)?),
            Type::FLOAT8 => Self::Real(f64::from_sql(kind, raw)?),
            Type::BYTEA => Self::Bytes(Vec::from_sql(kind, raw)?),
            _ => Self::Text(String::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Fault> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
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
        let prepared = match self.prepared.get(statement) {
            Some(prepared) => prepared.clone(),
            None => {
                let prepared = self.client.prepare(statement).map_err(plain)?;
                self.prepared.insert(statement.to_owned(), prepared.clone());
                prepared
            }
        };
        let values: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let rows = self.client.query(&prepared, &values).map_err(plain)?;
        let cells = |row: &Row| (0..row.len()).map(|column| row.try_get(column).map_err(plain)).collect();
        rows.iter().map(cells).collect()
    }

    fn begin(&mut self, alone: bool) -> Result<(), Fault> {
        self.run("BEGIN", &[])?;
        if alone {
            self.run("SELECT pg_advisory_xact_lock($1)", &[Cell::Whole(ALONE)])?;
        }
        Ok(())
    }

    fn hold(&mut self, study: i64, piece: Piece) -> Result<bool, Fault> {
        let key = [Cell::Whole(study), Cell::Whole(number(piece))];
        let rows = self.run("SELECT pg_try_advisory_lock($1, $2)::int", &key)?;
        Ok(rows == [[Cell::Whole(1)]])
    }

    fn release(&mut self, study: i64, piece: Piece) -> Result<(), Fault> {
        let key = [Cell::Whole(study), Cell::Whole(number(piece))];
        self.run("SELECT pg_advisory_unlock($1, $2)", &key)?;
        Ok(())
    }

    fn held(&mut self, study: i64) -> Result<BTreeSet<usize>, Fault> {
        let rows = self.run(
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
        assert_eq!(address.0.get_password(), Some(&b"p@ss:word"[..]));
        assert_eq!(address.to_string(), "postgres://ann@db.example:6000/studies");
        let told = |text: &str| Address::parse(text).map(|address| address.to_string());
        assert_eq!(
            told("postgresql://localhost").as_deref(),
            Some("postgres://postgres@localhost:5432/postgres")
        );
        assert_eq!(told("postgres://a@[::1]:7/b").as_deref(), Some("postgres://a@[::1]:7/b"));
        assert_eq!(told("postgres://a@b,c:7/d").as_deref(), Some("postgres://a@b:5432,c:7/d"));
        for wrong in ["runs/x.study", "postgres://", "postgres://h:port/d", "postgres://h/d?sslmode=require"]
        {
            assert!(Address::parse(wrong).is_none(), "{wrong}");
        }
    }
}
