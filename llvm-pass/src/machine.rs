//! What a module is compiled for.

use inkwell::module::Module;

use crate::format::{self, Format};
use crate::module;
use crate::target::{self, Target};

/// An architecture, and an object format in which calls are recorded in its code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) target: &'static Target,
    pub(crate) format: &'static dyn Format,
}

impl Machine {
    /// That of an LLVM triple. On any other, the intrinsic becomes a load of the key.
    pub(crate) fn from_triple(triple: &str) -> Option<Self> {
        let (target, format) = (target::from_triple(triple)?, format::of(triple)?);
        format.has_sites(target).then_some(Self { target, format })
    }

    /// The one that a module is compiled for.
    pub(crate) fn of(module: &Module<'_>) -> Option<Self> {
        Self::from_triple(&module::triple(module))
    }
}
