// How ELF files have the entries of the site table.
#pragma once

#include "directive.h"
#include "names.h"

#include "llvm/CodeGen/MachineInstr.h"
#include "llvm/IR/Metadata.h"

namespace static_call {

class ElfEntries {
public:
  void beginModule() { SectionsAreNamed = false; }

  // Before the first entry of the module.
  void begin(llvm::MachineFunction &MF, llvm::MachineInstr &MI) {
    if (!SectionsAreNamed)
      insertDirective(MF, *MI.getParent(), MI.getIterator(), nameSections());
    SectionsAreNamed = true;
  }

  // The AsmPrinter writes the addresses of marked instructions into the site table.
  static llvm::MDNode *mark(const llvm::MachineFunction &MF) {
    llvm::LLVMContext &Context = MF.getFunction().getContext();
    return llvm::MDNode::get(Context, llvm::MDString::get(Context, text(names().SitesSection)));
  }

private:
  bool SectionsAreNamed = false;

  // Linkers place our sections in the order in which they first find them. This module's first entry of the
  // site table comes before any data, and the anchors may be in another module. So this names each section
  // once, empty and, unlike all others of its name, never garbage-collected.
  static std::string nameSections() {
    std::string Directives;
    // The number only distinguishes this section from others of its name.
    for (const StaticCallText &Section : names().Sections)
      Directives +=
          (".pushsection " + text(Section) + ",\"awR\",%progbits,unique,1000000\n\t" + ".popsection\n\t")
              .str();
    return Directives;
  }
};

} // namespace static_call
