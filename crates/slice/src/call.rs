//! The two system calls, which no library of ours wraps: the only unsafe code in this project. Nothing here outlives its call, and
//! nothing is shared between threads, so that there is no order of theirs to be argued about.

#![expect(unsafe_code, reason = "a system call that no library wraps; what it relies on is said at each")]

use std::io;

use libc::{c_long, sched_attr};

/// The thread that calls. Every argument is as wide as a register: C's `syscall` takes them so, and a filter may look at all of it.
const THIS_THREAD: c_long = 0;
const NO_FLAGS: c_long = 0;

/// The length of the structure, which also stands in its first field: a kernel that knows fewer or more fields goes by it.
#[expect(clippy::cast_possible_truncation, reason = "56 bytes or fewer")]
const LENGTH: u32 = size_of::<sched_attr>() as u32;

/// Attributes of the calling thread.
pub fn of_this_thread() -> io::Result<sched_attr> {
    let mut attributes = sched_attr {
        size: LENGTH,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: sched_getattr(2) takes a thread id, a pointer, the number of bytes it may write there, and flags. The pointer is to a
    // live value of this frame that nobody else refers to, the number is that value's size, and the kernel keeps no pointer beyond
    // the call. It consists of integers alone, so that any bytes are a valid value.
    let said = unsafe {
        libc::syscall(libc::SYS_sched_getattr, THIS_THREAD, &raw mut attributes, size_of::<sched_attr>(), NO_FLAGS)
    };
    result(said)?;
    Ok(attributes)
}

/// Sets attributes of the calling thread.
pub fn set_of_this_thread(attributes: &sched_attr) -> io::Result<()> {
    let mut attributes = sched_attr { size: LENGTH, ..*attributes };
    // SAFETY: sched_setattr(2) takes a thread id, a pointer from which it reads as many bytes as the structure's first field says,
    // and flags. The pointer is to a live value of this frame that nobody else refers to, that field holds its size, and the kernel
    // writes nothing there but that field, where it knows another length. It changes how this thread is scheduled and no memory.
    let said = unsafe { libc::syscall(libc::SYS_sched_setattr, THIS_THREAD, &raw mut attributes, NO_FLAGS) };
    result(said)
}

/// Minus one is an error, and `errno` says which.
fn result(said: c_long) -> io::Result<()> {
    if said == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
