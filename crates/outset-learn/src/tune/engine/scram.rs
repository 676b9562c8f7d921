//! The password exchange SCRAM-SHA-256 (RFC 5802, RFC 7677), in which the password itself never travels.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

const BLOCK: usize = 64;

/// The client's side of an exchange.
pub struct Scram {
    /// The first message without its head.
    first: String,
    nonce: String,
    /// What the server must answer at the end, once that is known.
    signature: Option<String>,
}

impl Scram {
    /// Begins an exchange with a text that was never used before; PostgreSQL takes no notice of the user's name here.
    pub fn new(user: &str, nonce: &str) -> Self {
        Self { first: format!("n={user},r={nonce}"), nonce: nonce.to_owned(), signature: None }
    }

    /// The first message.
    pub fn first(&self) -> String {
        // No binding to a channel of TLS.
        format!("n,,{}", self.first)
    }

    /// The answer to the server's first message; `None` where that is not what it should be.
    pub fn answer(&mut self, server: &str, password: &str) -> Option<String> {
        let field = |name: &str| server.split(',').find_map(|field| field.strip_prefix(name));
        let (nonce, salt) = (field("r=")?, BASE64.decode(field("s=")?).ok()?);
        let rounds: u32 = field("i=")?.parse().ok()?;
        if !nonce.starts_with(&self.nonce) {
            return None;
        }
        let salted = stretched(password.as_bytes(), &salt, rounds);
        let without_proof = format!("c=biws,r={nonce}");
        let all = format!("{},{server},{without_proof}", self.first);
        let key = hmac(&salted, b"Client Key");
        let of_client = hmac(&Sha256::digest(key), all.as_bytes());
        let proof: Vec<u8> = key.iter().zip(of_client).map(|(a, b)| a ^ b).collect();
        let of_server = hmac(&hmac(&salted, b"Server Key"), all.as_bytes());
        self.signature = Some(BASE64.encode(of_server));
        Some(format!("{without_proof},p={}", BASE64.encode(proof)))
    }

    /// Whether the server's last message proves that it knows the password too.
    pub fn is_proved(&self, server: &str) -> bool {
        self.signature.is_some() && server.strip_prefix("v=") == self.signature.as_deref()
    }
}

/// HMAC (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let with = |byte: u8, message: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(block.map(|b| b ^ byte));
        hash.update(message);
        hash.finalize()
    };
    with(0x5c, &with(0x36, message)).into()
}

/// PBKDF2 (RFC 8018) to one block.
fn stretched(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let mut last = hmac(password, &[salt, &[0, 0, 0, 1]].concat());
    let mut sum = last;
    for _ in 1..rounds {
        last = hmac(password, &last);
        sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3.
    #[test]
    fn the_exchange_of_the_standard() {
        let mut scram = Scram::new("user", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert!(scram.answer("r=another,s=AAAA,i=1", "pencil").is_none());
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(
            scram.answer(server, "pencil").unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!scram.is_proved("v=AAAA"));
        assert!(scram.is_proved("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    /// RFC 4231, case 2, and RFC 7914, section 11.
    #[test]
    fn keyed_and_stretched_hashes() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&stretched(b"passwd", b"salt", 1)),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
    }
}
