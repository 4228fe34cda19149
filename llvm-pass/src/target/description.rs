//! One architecture, as its own file describes it.

use static_call_abi::{Architecture, TypeCheck};

use super::conventions as cc;
use super::site::{SiteKind, SiteLayout};
use crate::shim::Instruction;

/// An architecture with a backend in the runtime.
#[derive(Debug)]
pub(crate) struct Target {
    /// What the runtime knows too.
    pub(super) architecture: Architecture,
    /// Its names in triples.
    pub(super) names: &'static [&'static str],
    /// Suffixes of environments whose pointers have another size than the runtime's backend reads.
    pub(super) other_pointers: &'static [&'static str],
    /// See [`Target::site_layout`].
    pub(super) site_layout: fn(SiteKind, &str) -> SiteLayout,
    /// The calling conventions that leave a trampoline no register to jump through.
    pub(super) no_register_left: &'static [u32],
    /// See [`Target::needs_indirect_call`].
    pub(super) needs_indirect_call: fn(Instruction, Features<'_>) -> Option<&'static str>,
    /// The calling conventions in which a call can become a nop: the caller removes the arguments, and any
    /// result is in the register that "return zero" clears.
    pub(super) may_be_nop: &'static [u32],
    /// Whether a tail call may be a jump to a trampoline.
    pub(super) has_tail_calls: bool,
    /// See [`Target::thunk`].
    pub(super) thunk: fn(Features<'_>) -> Option<&'static str>,
    /// See [`Target::trampoline_features`].
    pub(super) trampoline_features: &'static str,
    /// See [`Target::symbol_constraint`].
    pub(super) symbol_constraint: &'static str,
    /// See [`Target::jump_to_target`].
    pub(super) jump_to_target: fn(near: bool, offset: i64, thunk: Option<&str>) -> String,
    /// A shorter form for a near key in code at a fixed address.
    pub(super) jump_at_fixed_address: Option<fn(offset: i64, thunk: Option<&str>) -> String>,
    /// See [`Target::jump_in_coff`]. None: no calls are recorded in COFF.
    pub(super) jump_in_coff: Option<JumpInCoff>,
    /// How a trampoline checks its target's type, if it can.
    pub(super) checked: Option<Checked>,
}

/// Makes a trampoline's code in COFF.
pub(super) type JumpInCoff = fn(CoffJump, offset: i64, thunk: Option<&str>) -> String;

/// What differs between trampolines in COFF.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoffJump {
    /// The key is at a constant distance. Otherwise a pointer to it is.
    pub(crate) is_near: bool,
    /// Control Flow Guard checks indirect calls.
    pub(crate) is_guarded: bool,
}

/// Trampolines that check their target's type.
#[derive(Debug)]
pub(super) struct Checked {
    /// The size of each no-op that `-fpatchable-function-entry` puts before a function.
    pub(super) no_op: u32,
    /// As [`Target::jump_to_target`].
    pub(super) jump_to_target: fn(near: bool, offset: i64, thunk: Option<&str>, check: TypeCheck) -> String,
}

/// A function's `target-features`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features<'a>(pub(crate) &'a str);

impl Features<'_> {
    pub(crate) fn has(self, name: &str) -> bool {
        self.0.split(',').any(|feature| feature.strip_prefix('+') == Some(name))
    }

    /// The subset that makes code generation add a thunk.
    pub(crate) fn of_thunks(self) -> String {
        let of_thunks = ["+retpoline", "+lvi-cfi"];
        let is_of_thunks = |feature: &&str| of_thunks.iter().any(|start| feature.starts_with(start));
        self.0.split(',').filter(is_of_thunks).collect::<Vec<_>>().join(",")
    }
}

impl Target {
    /// How a site of this kind must be placed, so that one atomic store can replace it. `instruction` is
    /// LLVM's name for it.
    pub(crate) fn site_layout(&self, kind: SiteKind, instruction: &str) -> SiteLayout {
        (self.site_layout)(kind, instruction)
    }

    /// Whether a call of a trampoline is only correct with what the machine stage adds.
    pub(crate) fn needs_machine_stage(&self) -> bool {
        !self.site_layout(SiteKind::Call, "").after.is_empty()
    }

    /// Whether a tail call may be a jump to a trampoline.
    pub(crate) const fn has_tail_calls(&self) -> bool {
        self.has_tail_calls
    }

    /// The unit in which memory is protected, and in which the linkers lay out segments by default.
    pub(crate) fn page_size(&self) -> u32 {
        self.architecture.page_size.try_into().expect("a small number")
    }

    /// Alignment of a trampoline. It aligns the first instruction as well, because the prefix has eight or
    /// sixteen bytes.
    pub(crate) const fn trampoline_alignment(&self) -> u32 {
        8
    }

    /// Whether this calling convention leaves a trampoline no register.
    pub(crate) fn leaves_no_register(&self, convention: u32) -> bool {
        self.no_register_left.contains(&convention)
    }

    /// Why this call, in a function with these features, cannot go through a trampoline, whatever its
    /// convention.
    pub(crate) fn needs_indirect_call(
        &self,
        site: Instruction,
        caller: Features<'_>,
    ) -> Option<&'static str> {
        (self.needs_indirect_call)(site, caller)
    }

    /// The function that indirect jumps must go through in a function with these features.
    pub(crate) fn thunk(&self, features: Features<'_>) -> Option<&'static str> {
        (self.thunk)(features)
    }

    /// The `target-features` of a trampoline that needs no thunk, whatever its callers have. Empty: the
    /// module's.
    pub(crate) const fn trampoline_features(&self) -> &'static str {
        self.trampoline_features
    }

    /// The constraint for a symbol as an operand of assembler, even one whose address the code does not know.
    pub(crate) const fn symbol_constraint(&self) -> &'static str {
        self.symbol_constraint
    }

    /// A trampoline's code: it jumps to the target of the key that is `offset` bytes into `$0`.
    ///
    /// The runtime knows the first instruction. A jump may replace it while threads are about to execute it
    /// or have just done so. The code changes no register that has an argument or that the caller expects
    /// back. The whole word with the first instruction belongs to the trampoline.
    ///
    /// A `near` key is at a constant distance. Otherwise the address comes from the GOT, and the linker
    /// simplifies the access if it can.
    pub(crate) fn jump_to_target(
        &self,
        near: bool,
        is_movable: bool,
        offset: i64,
        thunk: Option<&str>,
        check: Option<TypeCheck>,
    ) -> String {
        match (self.jump_at_fixed_address, check.zip(self.checked.as_ref())) {
            (_, Some((check, checked))) => (checked.jump_to_target)(near, offset, thunk, check),
            (Some(jump), None) if near && !is_movable => jump(offset, thunk),
            _ => (self.jump_to_target)(near, offset, thunk),
        }
    }

    /// Whether calls are recorded in COFF.
    pub(crate) const fn is_known_in_coff(&self) -> bool {
        self.jump_in_coff.is_some()
    }

    /// The same as [`Target::jump_to_target`] in COFF. For a key that is not near, `$0` is the pointer.
    pub(crate) fn jump_in_coff(&self, jump: CoffJump, offset: i64, thunk: Option<&str>) -> String {
        self.jump_in_coff.expect("the format asked")(jump, offset, thunk)
    }

    /// What a trampoline checks in place of a call that expects `hash` before its target, with this number of
    /// patchable no-ops between both. None if no trampoline can: on other architectures, and for conventions
    /// that may use the registers of the check.
    pub(crate) fn type_check(&self, convention: u32, hash: u32, no_ops: u32) -> Option<TypeCheck> {
        /// AArch64's LDUR reaches no farther.
        const FARTHEST: u32 = 256;
        let before = no_ops.checked_mul(self.checked.as_ref()?.no_op)?;
        let distance = before.checked_add(size_of::<u32>() as u32)?;
        let is_plain = [cc::C, cc::FAST, cc::COLD].contains(&convention);
        (is_plain && distance <= FARTHEST).then_some(TypeCheck { distance, hash })
    }

    /// Whether a call in this convention can become a nop.
    pub(crate) fn may_be_nop(&self, convention: u32) -> bool {
        self.may_be_nop.contains(&convention)
    }
}
