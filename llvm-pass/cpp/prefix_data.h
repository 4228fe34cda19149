// The trampolines' prefix data, hidden where LLVM would crash over it.
//
// With LLD's --lto-partitions, LLVM writes a merged module in parts. LLVM 22 crashes where a function has
// prefix data and its body is in another part, because `CloneModule` leaves the data on the declaration.
// Metadata stays with the body. So metadata holds the data from the end of full link-time optimization until
// code generation.
#pragma once

#include "names.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Metadata.h"
#include "llvm/IR/Module.h"
#include <dlfcn.h>

constexpr char PrefixKind[] = "static-call-prefix";

// Whether this compiler may write a module in parts. rustc does not, and it may hand bitcode to a linker
// without the pass, which would lose the hidden data. The symbol is a function that the C++ part of rustc
// calls in the Rust part.
inline bool mayWriteParts() { return dlsym(RTLD_DEFAULT, "LLVMRustStringWriteImpl") == nullptr; }

// Prefix data: a signature, perhaps with a type check before it, and the distance to the record.
inline llvm::Constant *prefixData(llvm::Function &F, llvm::SmallVector<llvm::Constant *, 4> Parts) {
  llvm::Constant *Record = Parts.back();
  llvm::Type *Word = F.getParent()->getDataLayout().getIntPtrType(F.getContext());
  llvm::Constant *Distance = llvm::ConstantExpr::getSub(llvm::ConstantExpr::getPtrToInt(Record, Word),
                                                        llvm::ConstantExpr::getPtrToInt(&F, Word));
  llvm::Type *Number = Parts.front()->getType();
  if (Word != Number)
    Distance = llvm::ConstantExpr::getTrunc(Distance, Number);
  Parts.back() = Distance;
  return llvm::ConstantStruct::getAnon(Parts);
}

// The record, which is the first operand of the difference in prefix data.
inline llvm::Constant *recordOf(llvm::Constant *Distance) {
  while (!llvm::isa<llvm::GlobalValue>(Distance))
    Distance = llvm::cast<llvm::Constant>(Distance->getOperand(0));
  return Distance;
}

// The metadata holds the parts, because LLVM drops an expression that only metadata uses.
inline bool hidePrefixes(llvm::Module &M) {
  bool Changed = false;
  if (!mayWriteParts())
    return Changed;
  for (llvm::Function &F : M)
    if (F.getName().starts_with(text(names().TrampolinePrefix)) && F.hasPrefixData()) {
      auto *Data = llvm::cast<llvm::ConstantStruct>(F.getPrefixData());
      llvm::SmallVector<llvm::Metadata *, 4> Parts;
      for (unsigned Index = 0, Last = Data->getNumOperands() - 1; Index <= Last; ++Index) {
        llvm::Constant *Part = Data->getOperand(Index);
        Parts.push_back(llvm::ConstantAsMetadata::get(Index == Last ? recordOf(Part) : Part));
      }
      F.setMetadata(PrefixKind, llvm::MDNode::get(M.getContext(), Parts));
      F.setPrefixData(nullptr);
      Changed = true;
    }
  return Changed;
}

inline bool restorePrefixes(llvm::Module &M) {
  bool Changed = false;
  for (llvm::Function &F : M)
    if (llvm::MDNode *Parts = F.getMetadata(PrefixKind)) {
      llvm::SmallVector<llvm::Constant *, 4> Values;
      for (const llvm::MDOperand &Part : Parts->operands())
        Values.push_back(llvm::cast<llvm::ConstantAsMetadata>(Part)->getValue());
      F.setPrefixData(prefixData(F, std::move(Values)));
      F.setMetadata(PrefixKind, nullptr);
      Changed = true;
    }
  return Changed;
}
