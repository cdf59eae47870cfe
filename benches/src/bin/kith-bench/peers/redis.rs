//! Redis from the distribution's package, without persistence, on loopback.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::run;
use crate::programs::child;

/// Requests of one call of redis-benchmark that only fills in keys, for each of them: every key is drawn, but for one in a million.
const FILLING: u64 = 14;
/// What is printed of the configuration.
const SHOWN: [&str; 8] =
    ["save", "appendonly", "appendfsync", "maxmemory", "maxmemory-policy", "io-threads", "hz", "tcp-keepalive"];

/// A Redis without persistence.
pub struct Redis {
    child: Child,
    port: u16,
    /// Keys, each of which holds a value: as many as there are people whom Kith is asked about.
    keys: u64,
}

/// What differs from the package's defaults.
const REDIS_SETTINGS: &str = "--save '' --appendonly no, cleartext on loopback";

impl Redis {
    pub fn start(port: u16, keys: u64) -> Result<Self> {
        let child = child("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("failed to start redis-server")?;
        let redis = Self { child, port, keys };
        for _ in 0..100 {
            // redis-benchmark itself may spin for ever where nobody listens yet.
            if redis.answers().is_ok_and(|it_does| it_does) {
                return Ok(redis);
            }
            thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("redis-server was not ready in time")
    }

    fn answers(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut said = [0; 7];
        stream.read_exact(&mut said)?;
        Ok(said == *b"+PONG\r\n")
    }

    /// What is in force of the configuration.
    pub fn settings(&self) -> Result<String> {
        let mut found = vec![REDIS_SETTINGS.to_owned()];
        for name in SHOWN {
            let port = self.port.to_string();
            let said = run(child("redis-cli").args(["-p", &port, "CONFIG", "GET", name]))?;
            let value = said.lines().nth(1).unwrap_or_default();
            found.push(format!("{name}={}", if value.is_empty() { "''" } else { value }));
        }
        Ok(found.join(", "))
    }

    /// Gives every key a value of so many bytes.
    pub fn fill(&self, bytes: u64) -> Result<()> {
        self.benchmark("set", 8, 16, FILLING * self.keys, bytes).map(drop)
    }

    /// Reads a second over about so many seconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of requests")]
    pub fn reads_per_second(&self, (connections, pipeline): (u32, u32), seconds: f64) -> Result<f64> {
        let rough = self.benchmark("get", connections, pipeline, 100_000, 16)?;
        self.benchmark("get", connections, pipeline, (rough * seconds) as u64, 16)
    }

    /// Requests a second, as redis-benchmark counts them.
    fn benchmark(&self, test: &str, connections: u32, pipeline: u32, requests: u64, bytes: u64) -> Result<f64> {
        let numbers = [
            ("-p", u64::from(self.port)),
            ("-c", u64::from(connections)),
            ("-P", u64::from(pipeline)),
            ("-n", requests),
            ("-d", bytes),
            ("-r", self.keys),
        ];
        let mut command = child("redis-benchmark");
        command.args(["-t", test, "--csv"]);
        for (option, number) in numbers {
            command.args([option, &number.to_string()]);
        }
        let printed = run(&mut command)?;
        let line = printed.lines().last().context("redis-benchmark prints nothing")?;
        let cell = line.split(',').nth(1).context("redis-benchmark prints no number")?;
        cell.trim_matches('"').parse().context("redis-benchmark prints no number")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
