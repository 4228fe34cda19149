// The names that the Rust side provides, as LLVM's C++ interface takes them.
#pragma once

#include "shim.h"
#include "llvm/ADT/StringRef.h"

inline llvm::StringRef text(StaticCallText Text) { return llvm::StringRef(Text.Data, Text.Length); }

inline const StaticCallNames &names() { return *static_call_names(); }
