//! A small file system of its own under a test's directory: ext4 on a loop file, or a tmpfs. Unmounted again whatever
//! happens. Where mounting is not allowed, says so loudly and gives none: the test is then skipped, never passed silently.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::wait::until;

/// A mounted file system.
pub struct Mount {
    image: Option<PathBuf>,
    at: PathBuf,
    mounted: bool,
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or_else(|| format!("{program} {arguments:?}: {said}"))
}

/// Says that a test could not run here; `None` so that it ends.
fn skipped<T>(test: &str, why: &str) -> Option<T> {
    println!("SKIPPED, NOT PASSED: {test}: {why}");
    None
}

impl Mount {
    /// A new ext4 of so many mebibytes.
    pub fn ext4(test: &str, dir: &Path, mebibytes: u64) -> Option<Self> {
        let (image, at) = (dir.join("disk.img"), dir.join("disk"));
        std::fs::create_dir_all(&at).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(mebibytes << 20).unwrap();
        let mut mount = Self { image: Some(image.clone()), at, mounted: false };
        let made = run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]).and_then(|()| mount.mount());
        match made.and_then(|()| run("xfs_io", &["-V"])) {
            Ok(()) => Some(mount),
            Err(why) => skipped(test, &why),
        }
    }

    /// A new tmpfs of so many mebibytes.
    pub fn tmpfs(test: &str, at: &Path, mebibytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={mebibytes}m");
        match run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", at.to_str().unwrap()]) {
            Ok(()) => Some(Self { image: None, at: at.to_owned(), mounted: true }),
            Err(why) => skipped(test, &why),
        }
    }

    /// Mounts the image.
    pub fn mount(&mut self) -> Result<(), String> {
        let image = self.image.as_ref().ok_or("only an image can be mounted again")?;
        run("mount", &["-o", "loop", image.to_str().unwrap(), self.at.to_str().unwrap()])?;
        self.mounted = true;
        Ok(())
    }

    /// The power goes: nothing more reaches the disk. With `flush` the file system's own journal still does.
    pub fn cut(&self, flush: bool) {
        let order = if flush { "shutdown -f" } else { "shutdown" };
        run("xfs_io", &["-x", "-c", order, self.at.to_str().unwrap()]).unwrap();
    }

    /// Unmounts it; files of a killed process or of an ending thread may stay open for a moment.
    pub fn unmount(&mut self) {
        until("the file system is no longer in use", || run("umount", &[self.at.to_str().unwrap()]).ok());
        self.mounted = false;
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted
            && let Err(why) = run("umount", &["-l", self.at.to_str().unwrap()])
        {
            println!("{} stays mounted: {why}", self.at.display());
        }
    }
}
