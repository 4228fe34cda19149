// What an image has once: the descriptor, the anchors and what registers it, which link-time optimization
// makes local.
#pragma once

#include "llvm_compat.h"
#include "names.h"
#include "llvm/IR/Comdat.h"
#include "llvm/IR/Module.h"

inline void makeOnePerImage(llvm::GlobalObject &Member) {
  Member.setLinkage(llvm::GlobalValue::LinkOnceODRLinkage);
  Member.setVisibility(llvm::GlobalValue::HiddenVisibility);
}

// On COFF each of them has its own comdat, which goes when it becomes local.
inline bool restoreCoffImage(llvm::Module &M) {
  llvm::SmallVector<std::string> Members = {text(names().Image).str(), text(names().Constructor).str(),
                                            text(names().Destructor).str()};
  for (const StaticCallText &Section : names().Sections)
    Members.push_back((text(names().AnchorPrefix) + text(Section)).str());
  bool Changed = false;
  for (const std::string &Name : Members) {
    auto *Member = llvm::dyn_cast_or_null<llvm::GlobalObject>(M.getNamedValue(Name));
    if (!Member || Member->isDeclaration() || !Member->hasLocalLinkage())
      continue;
    makeOnePerImage(*Member);
    llvm::Comdat *Own = M.getOrInsertComdat(Name);
    Own->setSelectionKind(llvm::Comdat::Any);
    Member->setComdat(Own);
    Changed = true;
  }
  return Changed;
}

// Link-time optimization makes the members of the group local to the merged module. Objects without bitcode
// may have the same group, and the linker must keep only one of them all.
inline bool restoreImage(llvm::Module &M) {
  if (tripleOf(M).isOSBinFormatCOFF())
    return restoreCoffImage(M);
  auto Found = M.getComdatSymbolTable().find(text(names().Image));
  if (Found == M.getComdatSymbolTable().end())
    return false;
  llvm::Comdat &Group = Found->second;
  if (Group.getSelectionKind() == llvm::Comdat::Any)
    return false;
  Group.setSelectionKind(llvm::Comdat::Any);
  for (llvm::GlobalObject &Member : M.global_objects())
    if (Member.getComdat() == &Group)
      makeOnePerImage(Member);
  return true;
}
