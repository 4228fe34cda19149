//! Runs the wrapper as cargo does, with fake compilers that print their arguments.

mod cache;
mod flags;
mod forwarding;
mod long;
mod real_rustc;
mod unavailable;
mod world;
