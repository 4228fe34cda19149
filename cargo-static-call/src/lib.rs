//! The library behind `cargo static-call` and `static-call-inspect`.
//!
//! | modules | purpose |
//! |---|---|
//! | [`file`], [`budget`], [`progress`] | untrusted files, limits on the work for them, and how far it is |
//! | [`elf`], `parts` | an ELF file as the dynamic linker sees it |
//! | `pe` | a PE file in the same form |
//! | [`tables`] | its keys, records and sites |
//! | [`branches`] | its static branches |
//! | [`constructors`] | whether its constructor is called |
//! | [`notes`], [`code`], [`loads`] | calls that were not lowered |
//! | [`padding`] | the prefixes that align calls |
//! | [`debug`], `walk`, [`answers`], `lines`, [`types`], [`dwarf`] | what debug information says |
//! | [`name`] | readable names |
//! | `compilers` | the compilers that the file names without debug information |
//! | [`report`], [`process`] | reports on a file and on a running process |
//! | [`schema`], [`print`], [`inspect`] | their JSON, their text, and the command |
//! | [`commands`], [`share`] | the command lines; their manual pages and completions |
//! | [`table`], [`terminal`] | columns, colours and the width of a terminal |
//! | [`page`] | a report as a page of HTML |
//! | [`watch`] | what changes in a process |
//! | [`cargo`] | runs cargo with the pass |
//! | [`doctor`], [`permissions`] | checks the installation |
//! | [`setup`], `glibc`, `system` | installs a released archive |

#![deny(unsafe_code)]

pub mod answers;
pub mod branch;
pub mod branches;
pub mod budget;
pub mod cargo;
pub mod code;
pub mod commands;
mod compilers;
pub mod constructors;
pub mod debug;
pub mod doctor;
pub mod dwarf;
pub mod elf;
#[cfg(test)]
mod fabricated;
pub mod file;
mod glibc;
pub mod inspect;
mod lines;
pub mod loads;
pub mod name;
pub mod notes;
pub mod padding;
pub mod page;
mod parts;
mod pe;
pub mod permissions;
pub mod print;
pub mod process;
pub mod progress;
pub mod report;
pub mod schema;
pub mod setup;
pub mod share;
mod system;
pub mod table;
pub mod tables;
pub mod terminal;
pub mod types;
mod walk;
pub mod watch;
