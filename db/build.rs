//! A new migration is a change of the program: its text is compiled in.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
