//! The wrapper as cargo sees it: run over fake compilers that print what they were given.

mod cache;
mod flags;
mod forwarding;
mod real_rustc;
mod unavailable;
mod world;
