//! Tells the tests whether this machine has python3, in which their stand-ins for a node's daemons are written.

fn main() {
    println!("cargo:rustc-check-cfg=cfg(has_python)");
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo:rerun-if-changed=build.rs");
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|directory| directory.join("python3").exists()) {
        println!("cargo:rustc-cfg=has_python");
    }
}
