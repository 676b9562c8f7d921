//! The size of the pages that the system gives memory in.

/// Says whether this process may get its memory in pages of some megabytes from now on, where the system has such: they make
/// large tables quicker to read, but a process that needs little takes up to half as much again, by chance.
///
/// The programs that this one starts begin with the same.
pub fn allow_huge(allowed: bool) {
    #[cfg(target_os = "linux")]
    // SAFETY: the call sets a flag of this process and reads none of its memory; an older system refuses it, which changes
    // nothing.
    unsafe {
        let none: libc::c_ulong = 0;
        libc::prctl(libc::PR_SET_THP_DISABLE, libc::c_ulong::from(!allowed), none, none, none);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = allowed;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn the_system_is_told() {
        let told = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            status.lines().find_map(|line| line.strip_prefix("THP_enabled:").map(|told| told.trim() == "1"))
        };
        super::allow_huge(false);
        let without = told();
        super::allow_huge(true);
        // Systems before Linux 5.0 do not show it.
        assert!([None, Some(false)].contains(&without));
        assert!([None, Some(true)].contains(&told()));
    }
}
