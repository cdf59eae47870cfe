//! What a crash leaves behind: nothing. The memory of this process holds the key that cosigns, and a core file would put it
//! on a disk in the open. Never relies on the unit file or the shell that started it.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// From here on no core file is written, and no other process of the same user can read this one's memory.
///
/// # Errors
/// When the system does not allow it.
pub(crate) fn forbid() -> io::Result<()> {
    // The limit stops a file; a program that the kernel pipes core files to is stopped by the second alone.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        // A sandbox may not let a process set its limits, and have set this one itself.
        if getrlimit(Resource::Core).current != none.current {
            return Err(error.into());
        }
    }
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
