//! Link arguments. They live here, not in `.cargo/config.toml`, because build systems that vendor
//! crates (Buildroot's cargo infrastructure) overwrite that file.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/arch/link.ld");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");

    // A linker called directly (rust-lld, ld.lld, ld) takes its own options; a compiler driver
    // (gcc, clang, cc: rustc's default) takes the driver's, the last of which undoes rustc's -pie.
    let linker = env::var("RUSTC_LINKER").unwrap_or_default();
    let name = linker.rsplit('/').next().unwrap_or("");
    let direct = name.contains("lld") || name == "ld" || name.ends_with("-ld");
    let script = format!("-T{}/src/arch/link.ld", env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let plain =
        ["-static", "--no-pie", "--no-dynamic-linker", "--no-eh-frame-hdr", "--build-id=none", "-znorelro", &script];
    let args: Vec<String> = if direct {
        plain.map(String::from).to_vec()
    } else {
        let driver = ["-nostartfiles", "-nostdlib", "-static", "-no-pie"].map(String::from);
        driver.into_iter().chain(plain[3..].iter().map(|arg| format!("-Wl,{arg}"))).collect()
    };
    for arg in args {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
}
