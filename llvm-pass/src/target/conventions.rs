//! LLVM's calling conventions by name: `llvm/IR/CallingConv.h` of LLVM 22, whose numbers bitcode fixes for
//! good.

pub(crate) const C: u32 = 0;
pub(crate) const FAST: u32 = 8;
pub(crate) const COLD: u32 = 9;
pub(crate) const HIPE: u32 = 11;
pub(crate) const ANY_REG: u32 = 13;
pub(crate) const PRESERVE_MOST: u32 = 14;
pub(crate) const PRESERVE_ALL: u32 = 15;
pub(crate) const CXX_FAST_TLS: u32 = 17;
pub(crate) const TAIL: u32 = 18;
pub(crate) const PRESERVE_NONE: u32 = 21;
pub(crate) const X86_FASTCALL: u32 = 65;
pub(crate) const ARM_AAPCS: u32 = 67;
pub(crate) const ARM_AAPCS_VFP: u32 = 68;
pub(crate) const X86_THISCALL: u32 = 70;
pub(crate) const INTEL_OCL_BI: u32 = 77;
pub(crate) const X86_64_SYSV: u32 = 78;
pub(crate) const WIN64: u32 = 79;
pub(crate) const X86_VECTORCALL: u32 = 80;
pub(crate) const X86_INTR: u32 = 83;
pub(crate) const X86_REGCALL: u32 = 92;
pub(crate) const AARCH64_VECTORCALL: u32 = 97;
pub(crate) const AARCH64_SVE_VECTORCALL: u32 = 98;
pub(crate) const RISCV_VECTORCALL: u32 = 110;
