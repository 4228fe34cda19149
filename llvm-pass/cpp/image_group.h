// The comdat group of the image descriptor, which link-time optimization makes local.
#pragma once

#include "names.h"
#include "llvm/IR/Comdat.h"
#include "llvm/IR/Module.h"

// Link-time optimization makes the members of the group local to the merged module. Objects without bitcode
// may have the same group, and the linker must keep only one of them all.
inline bool restoreImage(llvm::Module &M) {
  auto Found = M.getComdatSymbolTable().find(text(names().Image));
  if (Found == M.getComdatSymbolTable().end())
    return false;
  llvm::Comdat &Group = Found->second;
  if (Group.getSelectionKind() == llvm::Comdat::Any)
    return false;
  Group.setSelectionKind(llvm::Comdat::Any);
  for (llvm::GlobalObject &Member : M.global_objects())
    if (Member.getComdat() == &Group) {
      Member.setLinkage(llvm::GlobalValue::LinkOnceODRLinkage);
      Member.setVisibility(llvm::GlobalValue::HiddenVisibility);
    }
  return true;
}
