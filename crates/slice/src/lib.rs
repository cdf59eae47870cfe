//! How long a thread may run on before the kernel looks again who is next. A thread with a short slice takes the processor from
//! one with a longer slice as soon as it has something to do: who answers need not wait for a turn of who works behind the answers,
//! which on a kernel without preemption is a millisecond and more. It never changes how much of a processor anybody gets.
//!
//! From Linux 6.12 on (`sched_setattr(2)`: `sched_runtime` of a thread without a real-time policy is its slice); a kernel before
//! that takes the call and does nothing. Elsewhere it is an error of the kind `Unsupported`.

#[cfg(target_os = "linux")]
mod call;

use std::io;
use std::time::Duration;

/// Gives the calling thread slices of this length, which the kernel keeps between 0.1 and 100 ms; of nought, the usual one. Its policy
/// and its nice value stay as they are. Threads that it starts have the usual length, and a nice value below nought does not pass to them.
///
/// # Errors
/// What the kernel says, or a filter of system calls before it; `Unsupported` of a thread whose policy is neither the usual one nor
/// batch, which has no slices of this kind.
#[cfg(target_os = "linux")]
pub fn set(slice: Duration) -> io::Result<()> {
    let mut attributes = call::of_this_thread()?;
    if !policies_with_slices().contains(&attributes.sched_policy) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    attributes.sched_runtime = u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX);
    // Threads that this one starts are not meant: they have slices of the usual length.
    attributes.sched_flags |= RESET_ON_FORK;
    call::set_of_this_thread(&attributes)
}

/// Gives the calling thread slices of this length.
///
/// # Errors
/// Always: this is known of Linux alone.
#[cfg(not(target_os = "linux"))]
pub fn set(_slice: Duration) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What the thread starts has none of this.
#[cfg(target_os = "linux")]
const RESET_ON_FORK: u64 = libc::SCHED_FLAG_RESET_ON_FORK.cast_unsigned() as u64;

/// The usual one, and that of work nobody waits for.
#[cfg(target_os = "linux")]
fn policies_with_slices() -> [u32; 2] {
    [libc::SCHED_OTHER, libc::SCHED_BATCH].map(i32::cast_unsigned)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn nanoseconds() -> u64 {
        call::of_this_thread().expect("every thread has attributes").sched_runtime
    }

    /// Whether the kernel knows slices: 6.12 and later.
    fn knows_slices() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux says which it is");
        let mut numbers = release.split(['.', '-']).map_while(|word| word.trim().parse::<u32>().ok());
        (numbers.next(), numbers.next()) >= (Some(6), Some(12))
    }

    #[test]
    fn a_thread_has_the_slice_it_asked_for_and_no_other_has() {
        let before = nanoseconds();
        let own = std::thread::spawn(|| {
            set(Duration::from_micros(300)).unwrap();
            nanoseconds()
        });
        let own = own.join().unwrap();
        if knows_slices() {
            assert_eq!(own, 300_000);
        }
        assert_eq!(nanoseconds(), before);
    }

    #[test]
    fn what_a_thread_starts_has_the_usual_slice() {
        let usual = nanoseconds();
        let started = std::thread::spawn(|| {
            set(Duration::from_micros(100)).unwrap();
            std::thread::spawn(nanoseconds).join().unwrap()
        });
        assert_eq!(started.join().unwrap(), usual);
    }

    #[test]
    fn what_else_the_thread_has_stays() {
        let (before, after) = std::thread::spawn(|| {
            let before = call::of_this_thread().unwrap();
            set(Duration::from_micros(100)).unwrap();
            (before, call::of_this_thread().unwrap())
        })
        .join()
        .unwrap();
        let kept = |a: &libc::sched_attr| (a.sched_policy, a.sched_nice, a.sched_priority);
        assert_eq!(kept(&before), kept(&after));
    }

    #[test]
    fn the_kernel_says_no_to_attributes_it_cannot_take() {
        let mut attributes = call::of_this_thread().unwrap();
        attributes.sched_policy = 77;
        assert_eq!(call::set_of_this_thread(&attributes).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
