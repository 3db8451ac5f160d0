//! What the C library's allocator is told before anything large is allocated.

/// Bytes from which on a block has pages of its own, that go back to the system with it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: std::ffi::c_int = 64 * 1024;

/// Pictures and what codecs allocate come and go with people. glibc would keep most of it between smaller blocks: with the first large one that is
/// freed it raises the size from which on blocks have pages of their own, up to 32 MiB. To be called once, before threads are started.
pub fn large_blocks_apart() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const M_MMAP_THRESHOLD: std::ffi::c_int = -3;
        unsafe extern "C" {
            fn mallopt(parameter: std::ffi::c_int, value: std::ffi::c_int) -> std::ffi::c_int;
        }
        // SAFETY: a function of glibc that takes two numbers; what it answers says whether it knows them, and nothing depends on that.
        unsafe { mallopt(M_MMAP_THRESHOLD, LARGE) };
    }
}
