//! PostgreSQL from the distribution's packages, on a socket of its own in a scratch folder, with the same England in it. The same
//! people are asked about as of Kith.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::run;

/// Where Debian puts the server's programs.
const POSTGRES_BIN: &str = "/usr/lib/postgresql/15/bin";
/// PostgreSQL refuses to run as root.
const POSTGRES_USER: &str = "postgres";
/// What differs from the package's defaults.
const POSTGRES_SETTINGS: &str = "shared_buffers=2GB work_mem=16MB max_wal_size=4GB checkpoint_timeout=30min autovacuum=off max_connections=200 listen_addresses=''";

/// What differs from what the server was built with, or speaks of the disk.
const IN_FORCE: &str = "SELECT name || '=' || current_setting(name) FROM pg_settings WHERE (source NOT IN ('default', 'override', \
'client') AND name !~ '^(lc_|log_|Time|Date|default_text|application)') OR name IN ('fsync', 'synchronous_commit', 'full_page_writes', \
'wal_sync_method', 'shared_buffers', 'wal_buffers') ORDER BY name";

/// The files as they come.
const TABLES: &str = "\
CREATE UNLOGGED TABLE raw_seen(organisation text, site text, encounter_id text, version int, nhs_number bigint, date_of_birth \
date, arrived_at timestamptz, care_setting text, complaint text, outcome text, outcome_at timestamptz);
CREATE UNLOGGED TABLE raw_access(organisation text, nhs_number bigint, at timestamptz, user_id text, user_name text, role text);
CREATE UNLOGGED TABLE raw_plan(authority text, nhs_number bigint, date_of_birth date, kind text, start date, ends date, \
reference text, family text, remark text);
CREATE UNLOGGED TABLE raw_asked(nhs_number bigint);
";

/// Children get numbers: those who are asked about every `stride`-th one, so that the generator can draw them and they stand
/// among all the others; the others get those between. Nobody has a number below nought: so many more are asked about.
const NUMBERS: &str = "\
CREATE TABLE child AS WITH held AS (SELECT nhs_number FROM raw_seen UNION SELECT nhs_number FROM raw_plan), \
asked AS (SELECT DISTINCT nhs_number FROM raw_asked JOIN held USING (nhs_number)), \
of AS (SELECT greatest(2, (SELECT count(*) FROM held) / greatest(1, (SELECT count(*) FROM asked))) AS stride) \
SELECT (row_number() OVER (ORDER BY nhs_number) * stride)::int AS id, nhs_number, true AS asked FROM asked, of \
UNION ALL SELECT (n + (n - 1) / (stride - 1))::int, nhs_number, false FROM (SELECT row_number() OVER (ORDER BY nhs_number) AS n, \
nhs_number FROM held WHERE nhs_number NOT IN (SELECT nhs_number FROM asked)) others, of;
";

/// What is asked, with the indexes that the question needs.
const RECORDS: &str = "\
CREATE TABLE presentation AS SELECT DISTINCT ON (organisation, encounter_id) c.id AS child, organisation, site, arrived_at, \
care_setting, complaint, outcome FROM raw_seen r JOIN child c USING (nhs_number) ORDER BY organisation, encounter_id, version DESC;
CREATE TABLE plan AS SELECT c.id AS child, authority, kind, start, ends FROM raw_plan r JOIN child c USING (nhs_number) WHERE \
remark IS NULL OR remark <> 'withdrawn';
CREATE TABLE access AS SELECT c.id AS child, organisation, user_name, role, at FROM raw_access r JOIN child c USING (nhs_number);
CREATE TABLE feed AS SELECT DISTINCT organisation, now() AS heard_at FROM raw_seen;
CREATE TABLE audit(id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT now(), organisation text, user_id text, \
user_name text, user_role text, child int, request uuid, disclosed text);
DROP TABLE raw_seen, raw_plan, raw_access, raw_asked;
CREATE INDEX ON presentation(child);
CREATE INDEX ON plan(child);
CREATE INDEX ON access(child);
VACUUM ANALYZE;
CHECKPOINT;
";

/// The question, as one statement that also writes the audit row.
const QUESTION: &str = "\
WITH entry AS (INSERT INTO audit(organisation, user_id, user_name, user_role, child, request, disclosed) VALUES ('R1H', 'n1', \
'A Nurse', 'Triage nurse', :child, gen_random_uuid(), 'answered') RETURNING id) \
SELECT rpad(concat_ws('|', (SELECT id FROM entry), \
(SELECT string_agg(concat_ws(',', kind, authority, start, ends), ';') FROM plan WHERE child = :child), \
(SELECT string_agg(concat_ws(',', organisation, site, arrived_at, care_setting, complaint, outcome), ';') FROM presentation \
WHERE child = :child), \
(SELECT string_agg(concat_ws(',', organisation, user_name, role, at), ';') FROM (SELECT * FROM access WHERE child = :child \
ORDER BY at DESC LIMIT 25) latest), \
(SELECT count(*) FROM feed WHERE heard_at < now() - interval '26 hours')), ";

/// A PostgreSQL that holds the same England.
pub struct Postgres {
    folder: PathBuf,
    /// People asked about, and the distance of their numbers.
    asked: u64,
    stride: u64,
}

/// A program as the user that PostgreSQL runs as.
fn as_postgres(program: &str) -> Command {
    let mut command = Command::new("runuser");
    command.args(["-u", POSTGRES_USER, "--", program]);
    command.current_dir("/");
    command
}

impl Postgres {
    /// Makes a database in `folder`, which is emptied, and loads the presentations and plans of the England; these people
    /// will be asked about.
    pub fn start(folder: &Path, england: &Path, people: &[u64]) -> Result<Self> {
        if folder.exists() {
            // Stops what an earlier run left, and removes it.
            drop(Self { folder: folder.to_owned(), asked: 0, stride: 0 });
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
        let mut postgres = Self { folder: folder.to_owned(), asked: 0, stride: 0 };
        postgres.load(england, people)?;
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

    /// What is in force of the configuration, beside the defaults.
    pub fn settings(&self) -> Result<String> {
        let said = self.psql(IN_FORCE)?;
        Ok(said.lines().collect::<Vec<_>>().join(", "))
    }

    fn load(&mut self, england: &Path, people: &[u64]) -> Result<()> {
        let mut sql = String::from(TABLES);
        let seen = "site, encounter_id, version, nhs_number, date_of_birth, arrived_at, care_setting, complaint, outcome, \
                    outcome_at";
        let access = "nhs_number, at, user_id, user_name, role";
        for (folder, table, columns) in [("presentations", "seen", seen), ("accesses", "access", access)] {
            for (code, path) in files(&england.join(folder))? {
                sql.push_str(&format!(
                    "ALTER TABLE raw_{table} ALTER organisation SET DEFAULT '{code}';\n\\copy raw_{table}({columns}) from \
                     '{}' csv header\n",
                    path.display()
                ));
            }
        }
        for (code, path) in files(&england.join("plans"))? {
            // Before the columns' names comes a line of the format's own.
            sql.push_str(&format!(
                "ALTER TABLE raw_plan ALTER authority SET DEFAULT '{code}';\n\\copy raw_plan(nhs_number, date_of_birth, kind, \
                 start, ends, reference, family, remark) from program 'tail -n +2 \"{}\"' csv header\n",
                path.display()
            ));
        }
        let asked = self.folder.join("asked");
        fs::write(&asked, people.iter().map(|number| format!("{number}\n")).collect::<String>())?;
        sql.push_str(&format!("\\copy raw_asked from '{}'\n{NUMBERS}{RECORDS}", asked.display()));
        self.psql(&sql)?;
        let counted = self.psql("SELECT count(*), coalesce(min(id), 0) FROM child WHERE asked")?;
        let (asked, stride) = counted.trim().split_once('|').context("psql printed no two numbers")?;
        (self.asked, self.stride) = (asked.parse()?, stride.parse()?);
        ensure!(self.asked > 0, "none of the people asked about is held");
        println!("PostgreSQL is asked about {asked} people who are held, the same as Kith, and as many who are not");
        Ok(())
    }

    /// Transactions a second of the same question with an audit row, as one prepared statement.
    pub fn questions_per_second(&self, clients: u32, seconds: f64, reply_bytes: u64, synchronous: bool) -> Result<f64> {
        let script = self.folder.join("question.sql");
        let text = format!("{}{QUESTION}{reply_bytes});\n", draw(self.asked, self.stride));
        fs::write(&script, text)?;
        let value = if synchronous { "on" } else { "off" };
        self.psql(&format!("TRUNCATE audit; ALTER SYSTEM SET synchronous_commit = {value}; SELECT pg_reload_conf();"))?;
        // Of a new connection, which sees what was loaded anew.
        let in_force = || Ok(self.psql("SHOW synchronous_commit")?.trim() == value);
        ensure!(is_soon(in_force)?, "synchronous_commit is not {value}");
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
        let failed = printed.lines().find_map(|line| line.strip_prefix("number of failed transactions: "));
        ensure!(failed.is_some_and(|count| count.starts_with("0 ")), "pgbench: transactions failed");
        let line = printed.lines().find_map(|line| line.strip_prefix("tps = ")).context("pgbench prints no tps")?;
        line.split(' ').next().unwrap_or_default().parse().context("pgbench prints no number")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.join("data");
        // Nothing more can be done when it does not stop.
        drop(run(as_postgres(&format!("{POSTGRES_BIN}/pg_ctl")).args(["-m", "fast", "-D"]).arg(data).arg("stop")));
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Whether something becomes true: the server takes its configuration anew when it is told to, a moment later.
fn is_soon(mut holds: impl FnMut() -> Result<bool>) -> Result<bool> {
    for _ in 0..50 {
        if holds()? {
            return Ok(true);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(false)
}

/// Draws a child for pgbench: half of those drawn are held.
fn draw(asked: u64, stride: u64) -> String {
    format!("\\set child random(1, {asked}) * {stride} * (2 * random(0, 1) - 1)\n")
}

/// The files of a folder with the code that each is named after.
fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let code = path.file_stem().and_then(|stem| stem.to_str()).context("a file without a name")?;
        found.push((code.to_owned(), path.clone()));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_becomes_true_is_said_so() {
        let mut looks = 0;
        let third = || {
            looks += 1;
            Ok(looks == 3)
        };
        assert!(is_soon(third).unwrap());
        assert!(!is_soon(|| Ok(false)).unwrap());
    }

    #[test]
    fn children_who_are_not_held_have_numbers_below_nought() {
        assert_eq!(draw(200, 17), "\\set child random(1, 200) * 17 * (2 * random(0, 1) - 1)\n");
        assert!(NUMBERS.contains("* stride)::int AS id"), "every one asked about has a multiple of the stride");
    }
}
