//! A new migration is a change of the program: its text is compiled in.

#![expect(clippy::print_stdout, reason = "so a build script speaks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
