//! How the programs are linked.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") == "linux" && target("ARCH") == "x86_64" {
        // Code has huge pages of its own then, to which `sys::memory` moves it. The file is no larger for it.
        for programs in ["bins", "benches"] {
            println!("cargo::rustc-link-arg-{programs}=-Wl,-z,max-page-size=2097152");
        }
    }
}
