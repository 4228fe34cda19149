//! What `cargo static-call` and `static-call-inspect` consist of.
//!
//! | module | what |
//! |---|---|
//! | [`elf`] | an ELF file as the dynamic linker sees it |
//! | [`tables`] | its keys, records and sites |
//! | [`code`], [`loads`] | what was not lowered |
//! | [`padding`] | what aligns the calls |
//! | [`dwarf`], [`debug`], [`types`], [`name`] | lines, types and names for people |
//! | [`report`], [`text`], [`inspect`] | a file for programs and for people |
//! | [`process`] | a running process |
//! | [`cargo`] | cargo with the pass |
//! | [`doctor`], [`permissions`] | is all there? |

#![deny(unsafe_code)]

pub mod cargo;
pub mod code;
pub mod debug;
pub mod doctor;
pub mod dwarf;
pub mod elf;
pub mod inspect;
pub mod loads;
pub mod name;
pub mod padding;
pub mod permissions;
pub mod process;
pub mod report;
pub mod tables;
pub mod text;
pub mod types;
