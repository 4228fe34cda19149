// LLVM's C++ interface, where the versions that we know (18 to 24) differ.
#pragma once

#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PassManager.h"
#include "llvm/TargetParser/Triple.h"

#if LLVM_VERSION_MAJOR < 18 || LLVM_VERSION_MAJOR > 24
#error "static-call knows LLVM 18 to 24"
#endif

// Whether a plugin can add passes to code generation.
#define STATIC_CALL_HAS_CODE_GENERATION_PASSES (LLVM_VERSION_MAJOR >= 21)

// LLVM 23 has this class.
#if LLVM_VERSION_MAJOR < 23
template <typename Pass> struct RequiredPassInfoMixin : llvm::PassInfoMixin<Pass> {
  static bool isRequired() { return true; }
};
#else
using llvm::RequiredPassInfoMixin;
#endif

// A string before LLVM 21.
inline llvm::Triple tripleOf(const llvm::Module &M) { return llvm::Triple(M.getTargetTriple()); }

// A call that goes away leaves no notes for the debugger.
inline void eraseCallInfo(llvm::MachineFunction &MF, const llvm::MachineInstr &Call) {
#if LLVM_VERSION_MAJOR < 20
  if (Call.shouldUpdateCallSiteInfo())
    MF.eraseCallSiteInfo(&Call);
#else
  if (Call.shouldUpdateAdditionalCallInfo())
    MF.eraseAdditionalCallInfo(&Call);
#endif
}
