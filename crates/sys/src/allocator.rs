//! glibc's allocator, told to keep little (mallopt(3), malloc_trim(3)).

/// How much the allocator keeps of what is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Almost nothing: for processes that are many.
    Nothing,
    /// The buffers of a connection at work: to fetch hundreds of kilobytes from the kernel for every read, page by
    /// page, takes longer than to fill them. [`trim`] gives them back when the work is done.
    Buffers,
}

/// One arena, and large blocks straight from the kernel and back: for processes that live long. No effect with another
/// C library.
pub fn keep_little(keep: Keep) {
    let (direct, free) = match keep {
        Keep::Nothing => (64 << 10, 64 << 10),
        Keep::Buffers => (512 << 10, 2 << 20),
    };
    #[cfg(target_env = "gnu")]
    // SAFETY: sets numbers inside the allocator.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, direct);
        libc::mallopt(libc::M_TRIM_THRESHOLD, free);
        libc::mallopt(libc::M_TOP_PAD, 16 * 1024);
    }
}

/// Gives back to the kernel what is free. Walks the heap: after a burst, not in a loop.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: releases only pages that hold no allocation.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives back what is free when it is dropped: for work that needs large buffers.
#[derive(Debug, Default)]
pub struct TrimBehind(());

impl Drop for TrimBehind {
    fn drop(&mut self) {
        trim();
    }
}
