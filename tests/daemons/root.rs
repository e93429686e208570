//! Where other people's programs are.

use std::path::PathBuf;

/// The root that scripts/setup has unpacked.
pub fn root() -> PathBuf {
    let given = std::env::var_os("LINCHPIN_DAEMONS").map(PathBuf::from);
    let root = given.unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
        cache.unwrap_or_else(home).join("linchpin/trees/daemons")
    });
    assert!(root.is_dir(), "{} is not there: run scripts/setup", root.display());
    root
}

/// What Debian calls this machine's libraries.
pub fn multiarch() -> String {
    format!("{}-linux-gnu{}", std::env::consts::ARCH, if cfg!(target_arch = "arm") { "eabihf" } else { "" })
}
