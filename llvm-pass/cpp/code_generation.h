// What the code generator will do to a module or function, as far as both stages ask.
#pragma once

#include "llvm_compat.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/TargetParser/Triple.h"

// Whether calls are direct and reach the tables. In the large code model they are not direct. In the medium
// one they are, but x86's medium model keeps data out of reach. POWER's code models are only about data.
//
// In both models an entry of the site table is eight bytes long. `Site` in runtime/abi reads its lower half,
// which comes first only in little-endian order.
inline bool callsReach(const llvm::Triple &Target, llvm::CodeModel::Model Model) {
  if (Target.isPPC64() && Target.isLittleEndian())
    return true;
  if (Model == llvm::CodeModel::Medium)
    return !Target.isX86() && Target.isLittleEndian();
  return Model != llvm::CodeModel::Large;
}

// Whether an option of LLVM's own was given.
inline bool isGiven(llvm::StringRef Name) {
  auto &Options = llvm::cl::getRegisteredOptions();
  auto Option = Options.find(Name);
  return Option != Options.end() && Option->second->getNumOccurrences() != 0;
}

// Whether a function is compiled with speculative load hardening. After a call, such code checks that the
// callee has returned, and a no-op does not return. It also hardens the pointer of an indirect call, which a
// trampoline does not.
inline bool hardensLoads(const llvm::Function &F) {
  return F.hasFnAttribute(llvm::Attribute::SpeculativeLoadHardening) ||
         isGiven("x86-speculative-load-hardening");
}

// Whether a function must not end with a plain return: its returns go through a thunk, avoid a speculative
// load of the address, or clear registers first. The runtime would replace a jump with a plain return, except
// on AArch64, where it jumps to a function instead.
inline bool returnsWithCare(const llvm::Function &F) {
  if (tripleOf(*F.getParent()).isAArch64())
    return false;
  llvm::Attribute Cleared = F.getFnAttribute("zero-call-used-regs");
  bool Clears = Cleared.isValid() && Cleared.getValueAsString() != "skip";
  llvm::SmallVector<llvm::StringRef> Features;
  F.getFnAttribute("target-features").getValueAsString().split(Features, ',');
  return Clears || F.hasFnAttribute(llvm::Attribute::FnRetThunkExtern) ||
         llvm::is_contained(Features, "+lvi-cfi");
}
