//! glibc's allocator, told to keep little (mallopt(3), malloc_trim(3)).

/// One arena, and everything of 64 KiB or more straight from the kernel and back: for small processes that
/// live long and are many. No effect with another C library.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets numbers inside the allocator.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 * 1024);
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
