//! The machine that the generator runs on, as far as Linux tells. It never names it: no host name, no address.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Where the generator ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor.
    pub cpu: String,
    /// Cores that may be used.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Version of the kernel.
    pub kernel: String,
    /// Whether it is a virtual machine.
    pub virtual_machine: bool,
    /// Disks: name, and what is known of them.
    pub disks: BTreeMap<String, String>,
    /// Load average over the minute before the run: what else the machine was doing.
    pub load_before: f64,
}

impl Machine {
    /// This machine, now.
    #[must_use]
    pub fn here() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let model = field("model name");
        let memory = read("/proc/meminfo");
        let total =
            memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
        let load = read("/proc/loadavg");
        Self {
            cpu: if model.is_empty() { std::env::consts::ARCH.to_owned() } else { model },
            cores: std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1)),
            memory_bytes: total.unwrap_or(0_u64) * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            virtual_machine: field("flags").split_whitespace().any(|flag| flag == "hypervisor"),
            disks: disks(Path::new("/sys/block")),
            load_before: load.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0),
        }
    }

    /// In one line.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { cpu, cores, memory_bytes, kernel, virtual_machine, disks, load_before } = self;
        let place = if *virtual_machine { "virtual machine" } else { "machine" };
        let disks: Vec<String> = disks.iter().map(|(name, what)| format!("{name} {what}")).collect();
        let gib = *memory_bytes as f64 / f64::from(1 << 30);
        format!(
            "{cpu}, {cores} cores, {gib:.1} GiB, {place}, Linux {kernel}; disks: {}; load before {load_before:.2}",
            if disks.is_empty() { "unknown".to_owned() } else { disks.join(", ") }
        )
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Disks with a size, without memory and loop devices.
fn disks(block: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(block).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default().trim().to_owned();
        let sectors: u64 = text("size").parse().unwrap_or(0);
        if sectors == 0 || ["loop", "ram", "zram", "dm-", "sr"].iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let kind = if text("queue/rotational") == "1" { "rotating or unknown" } else { "solid state or virtual" };
        let gb = sectors as f64 * 512.0 / 1e9;
        let words = format!("{} {gb:.0} GB, {kind}, write cache: {}", text("device/model"), text("queue/write_cache"));
        found.insert(name, words.trim().to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let here = Machine::here();
        assert!(here.cores >= 1 && here.memory_bytes > 1 << 20 && !here.kernel.is_empty());
        assert!(here.words().contains("GiB"));
    }
}
