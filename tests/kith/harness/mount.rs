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
    /// File systems that it was mounted over.
    beneath: u32,
}

/// A file system in which writes hang.
pub struct Frozen(PathBuf);

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

/// A new ext4 on a file.
fn format(image: &Path, mebibytes: u64) -> Result<(), String> {
    let file = std::fs::File::create(image).map_err(|error| error.to_string())?;
    file.set_len(mebibytes << 20).map_err(|error| error.to_string())?;
    run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()])
}

impl Mount {
    /// A new ext4 of so many mebibytes.
    pub fn ext4(test: &str, dir: &Path, mebibytes: u64) -> Option<Self> {
        let (image, at) = (dir.join("disk.img"), dir.join("disk"));
        std::fs::create_dir_all(&at).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(mebibytes << 20).unwrap();
        let mut mount = Self { image: Some(image.clone()), at, mounted: false, beneath: 0 };
        let made = run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]).and_then(|()| mount.mount());
        match made.and_then(|()| run("xfs_io", &["-V"])) {
            Ok(()) => Some(mount),
            Err(why) => skipped(test, &why),
        }
    }

    /// A new ext4 on this image at this place, without anything in it. Its disk can be filled, frozen, stopped and replaced.
    pub fn disk(test: &str, image: &Path, at: &Path, mebibytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Self { image: Some(image.to_owned()), at: at.to_owned(), mounted: false, beneath: 0 };
        match format(image, mebibytes).and_then(|()| mount.mount()).and_then(|()| run("fsfreeze", &["--version"])) {
            Ok(()) => {
                std::fs::remove_dir(at.join("lost+found")).unwrap();
                Some(mount)
            }
            Err(why) => skipped(test, &why),
        }
    }

    /// Where it is mounted.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Takes every byte that is left; the file that does is given back.
    pub fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let path = self.at.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for block in [1 << 16, 4096, 1] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
        path
    }

    /// Writes and syncs hang for as long as the value lives.
    pub fn freeze(&self) -> Frozen {
        run("fsfreeze", &["--freeze", self.at.to_str().unwrap()]).unwrap();
        Frozen(self.at.clone())
    }

    /// The file system finds itself damaged: it takes no write any more, and can be read.
    pub fn abort(&self) {
        run("mount", &["-o", "remount,abort", self.at.to_str().unwrap()]).unwrap();
    }

    /// Mounts it anew as it stands, for writing or for reading alone: not while anybody has a file of it open for writing.
    pub fn remount(&self, writable: bool) {
        let how = if writable { "remount,rw" } else { "remount,ro" };
        until("nobody writes to the file system", || run("mount", &["-o", how, self.at.to_str().unwrap()]).ok());
    }

    /// Another disk in its place, with the files of the old one, which its users keep until they let go of it. Mounted over
    /// the old one with everything in it, so that nobody finds the place empty meanwhile.
    pub fn replace(&mut self) {
        let old = self.image.clone().unwrap();
        let (image, staged) = (old.with_extension("new.img"), old.with_extension("staged"));
        format(&image, std::fs::metadata(&old).unwrap().len() >> 20).unwrap();
        std::fs::create_dir_all(&staged).unwrap();
        let (at, staged) = (self.at.to_str().unwrap(), staged.to_str().unwrap());
        run("mount", &["-o", "loop", image.to_str().unwrap(), staged]).unwrap();
        std::fs::remove_dir(Path::new(staged).join("lost+found")).unwrap();
        run("cp", &["-a", &format!("{at}/."), staged]).unwrap();
        run("mount", &["--bind", staged, at]).unwrap();
        run("umount", &[staged]).unwrap();
        self.image = Some(image);
        self.beneath += 1;
    }

    /// A new tmpfs of so many mebibytes.
    pub fn tmpfs(test: &str, at: &Path, mebibytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={mebibytes}m");
        match run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", at.to_str().unwrap()]) {
            Ok(()) => Some(Self { image: None, at: at.to_owned(), mounted: true, beneath: 0 }),
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

impl Drop for Frozen {
    /// Also when a test fails: whoever hangs in a frozen file system cannot even be killed.
    fn drop(&mut self) {
        if let Err(why) = run("fsfreeze", &["--unfreeze", self.0.to_str().unwrap_or_default()]) {
            println!("{} stays frozen: {why}", self.0.display());
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for _ in 0..=self.beneath {
            if self.mounted
                && let Err(why) = run("umount", &["-l", self.at.to_str().unwrap_or_default()])
            {
                println!("{} stays mounted: {why}", self.at.display());
            }
        }
    }
}
