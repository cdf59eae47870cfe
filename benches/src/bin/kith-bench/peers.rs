//! PostgreSQL and Redis, from the distribution's packages, on loopback or a socket of their own, with what was changed of their
//! configuration written down. Each runs in a scratch folder and is stopped with its value.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Where Debian puts the server's programs.
const POSTGRES_BIN: &str = "/usr/lib/postgresql/15/bin";
/// PostgreSQL refuses to run as root.
const POSTGRES_USER: &str = "postgres";
/// What differs from the package's defaults.
pub const POSTGRES_SETTINGS: &str =
    "shared_buffers=2GB work_mem=16MB max_wal_size=4GB checkpoint_timeout=30min autovacuum=off listen_addresses=''";

/// Children asked about: half of them are held.
const CHILDREN_FACTOR: &str = "2";

/// A PostgreSQL that holds the same England.
pub struct Postgres {
    folder: PathBuf,
    pub children: u64,
}

fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {shown}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown}: {}\n{said}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program as the user that PostgreSQL runs as.
fn as_postgres(program: &str) -> Command {
    let mut command = Command::new("runuser");
    command.args(["-u", POSTGRES_USER, "--", program]);
    command.current_dir("/");
    command
}

impl Postgres {
    /// Makes a database in `folder`, which is emptied, and loads the presentations and plans of the England.
    pub fn start(folder: &Path, england: &Path) -> Result<Self> {
        if folder.exists() {
            drop(Self { folder: folder.to_owned(), children: 0 });
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        run(Command::new("chown").arg(POSTGRES_USER).arg(folder))?;
        let program = |name: &str| format!("{POSTGRES_BIN}/{name}");
        run(as_postgres(&program("initdb")).args(["-A", "trust", "-D"]).arg(folder.join("data")))?;
        let mut options = format!("-k {}", folder.display());
        for setting in POSTGRES_SETTINGS.split(' ') {
            options.push_str(&format!(" -c {setting}"));
        }
        run(as_postgres(&program("pg_ctl"))
            .args(["-w", "-o", &options, "-l"])
            .arg(folder.join("log"))
            .arg("-D")
            .arg(folder.join("data"))
            .arg("start"))?;
        let mut postgres = Self { folder: folder.to_owned(), children: 0 };
        postgres.load(england)?;
        Ok(postgres)
    }

    fn psql(&self, sql: &str) -> Result<String> {
        let script = self.folder.join("script.sql");
        fs::write(&script, sql)?;
        run(Command::new("psql")
            .args(["-U", POSTGRES_USER, "-q", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h"])
            .arg(&self.folder)
            .args(["-d", "postgres", "-f"])
            .arg(&script))
    }

    /// Children get numbers without gaps, so that the generator can draw one: PostgreSQL's key is an integer too.
    fn load(&mut self, england: &Path) -> Result<()> {
        let mut sql = String::from(
            "CREATE UNLOGGED TABLE raw_seen(organisation text, site text, encounter_id text, version int, nhs_number bigint, \
             date_of_birth date, arrived_at timestamptz, care_setting text, complaint text, outcome text, outcome_at \
             timestamptz);\n",
        );
        for entry in fs::read_dir(england.join("presentations"))? {
            let path = entry?.path();
            let code = path.file_stem().and_then(|stem| stem.to_str()).context("a file without a name")?;
            sql.push_str(&format!(
                "ALTER TABLE raw_seen ALTER organisation SET DEFAULT '{code}';\n\\copy raw_seen(site, encounter_id, version, \
                 nhs_number, date_of_birth, arrived_at, care_setting, complaint, outcome, outcome_at) from '{}' csv header\n",
                path.display()
            ));
        }
        sql.push_str(
            "CREATE TABLE child AS SELECT (row_number() over (order by nhs_number))::int AS id, nhs_number FROM (SELECT DISTINCT \
             nhs_number FROM raw_seen) n;\n\
             CREATE TABLE presentation AS SELECT c.id AS child, organisation, site, arrived_at, care_setting, complaint, outcome \
             FROM raw_seen r JOIN child c USING (nhs_number);\n\
             CREATE INDEX ON presentation(child);\n\
             CREATE TABLE plan AS SELECT id AS child, 'child protection plan'::text AS kind, 'E06000001'::text AS authority, \
             date '2026-01-10' AS start, NULL::date AS ends FROM child WHERE id % 16 = 0;\n\
             CREATE INDEX ON plan(child);\n\
             CREATE TABLE feed AS SELECT DISTINCT organisation, now() AS heard_at FROM raw_seen;\n\
             CREATE TABLE audit(id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT now(), organisation text, user_id \
             text, user_name text, user_role text, child int, request uuid, disclosed text);\n\
             DROP TABLE raw_seen; VACUUM ANALYZE; CHECKPOINT;\n",
        );
        self.psql(&sql)?;
        self.children = self.psql("SELECT count(*) FROM child")?.trim().parse()?;
        Ok(())
    }

    /// Transactions a second of the same question with an audit row, as one prepared statement.
    pub fn questions_per_second(&self, clients: u32, seconds: f64, reply_bytes: u64, synchronous: bool) -> Result<f64> {
        let script = self.folder.join("question.sql");
        fs::write(
            &script,
            format!(
                "\\set child random(1, {} * {CHILDREN_FACTOR})\n\
                 WITH entry AS (INSERT INTO audit(organisation, user_id, user_name, user_role, child, request, disclosed) VALUES \
                 ('R1H', 'n1', 'A Nurse', 'Triage nurse', :child, gen_random_uuid(), 'answered') RETURNING id) \
                 SELECT rpad(concat_ws('|', (SELECT id FROM entry), \
                 (SELECT string_agg(concat_ws(',', kind, authority, start, ends), ';') FROM plan WHERE child = :child), \
                 (SELECT string_agg(concat_ws(',', organisation, site, arrived_at, care_setting, complaint, outcome), ';') FROM \
                 presentation WHERE child = :child AND arrived_at > now() - interval '90 days'), \
                 (SELECT count(*) FROM feed WHERE heard_at < now() - interval '26 hours')), {reply_bytes});\n",
                self.children
            ),
        )?;
        let value = if synchronous { "on" } else { "off" };
        self.psql(&format!("TRUNCATE audit; ALTER SYSTEM SET synchronous_commit = {value}; SELECT pg_reload_conf();"))?;
        let seconds = seconds.ceil().max(1.0).to_string();
        let printed = run(Command::new("pgbench")
            .args([
                "-U",
                POSTGRES_USER,
                "-n",
                "-M",
                "prepared",
                "-j",
                "2",
                "-c",
                &clients.to_string(),
                "-T",
                &seconds,
                "-h",
            ])
            .arg(&self.folder)
            .arg("-f")
            .arg(&script)
            .arg("postgres"))?;
        let line = printed.lines().find_map(|line| line.strip_prefix("tps = ")).context("pgbench prints no tps")?;
        line.split(' ').next().unwrap_or_default().parse().context("pgbench prints no number")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.join("data");
        // Nothing more can be done when it does not stop.
        drop(run(as_postgres(&format!("{POSTGRES_BIN}/pg_ctl")).args(["-m", "fast", "-D"]).arg(data).arg("stop")));
    }
}

/// A Redis without persistence.
pub struct Redis {
    child: Child,
    port: u16,
}

/// What differs from the package's defaults.
pub const REDIS_SETTINGS: &str = "--save '' --appendonly no, cleartext on loopback";

impl Redis {
    pub fn start(port: u16) -> Result<Self> {
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("failed to start redis-server")?;
        let redis = Self { child, port };
        for _ in 0..100 {
            if redis.benchmark("set", 1, 1, 1, 16).is_ok() {
                return Ok(redis);
            }
            thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("redis-server was not ready in time")
    }

    /// Requests a second, as redis-benchmark counts them.
    pub fn benchmark(&self, test: &str, connections: u32, pipeline: u32, requests: u64, bytes: u64) -> Result<f64> {
        let printed = run(Command::new("redis-benchmark").args([
            "-p",
            &self.port.to_string(),
            "-t",
            test,
            "-c",
            &connections.to_string(),
            "-P",
            &pipeline.to_string(),
            "-n",
            &requests.to_string(),
            "-d",
            &bytes.to_string(),
            "-r",
            "100000",
            "--csv",
        ]))?;
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
