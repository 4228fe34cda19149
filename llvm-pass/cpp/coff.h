// How COFF files have the entries of the site table, and where Windows lets code be padded.
#pragma once

#include "directive.h"
#include "names.h"
#include "shim.h"

#include "llvm/CodeGen/MachineInstr.h"
#include "llvm/MC/MCSectionCOFF.h"
#include "llvm/MC/MCSymbol.h"

namespace static_call {

// LLVM's AsmPrinter has no section for marked instructions here, and crashes. So an entry is assembler.
class CoffEntries {
public:
  void beginFunction() { Count = 0; }

  // Aligns an instruction and writes its entry. False if it cannot have one.
  bool record(llvm::MachineFunction &MF, llvm::MachineInstr &MI, const StaticCallSiteLayout &Layout,
              StaticCallSiteKind Kind) {
    std::string Comdat;
    if (!comdat(MF, Comdat))
      return false;
    bool EndsEpilogue = Kind != SiteCall && MF.hasWinCFI();
    // The unwinder knows no such epilogue, and LLVM writes none.
    if (EndsEpilogue && Kind == SiteConditionalJump)
      return false;
    std::string Label = name(MF, "site");
    std::string Align = ".p2align " + std::to_string(Layout.Log2Align);
    std::string Padding = Align + "," + text(Layout.Padding).str() + "," + std::to_string(Layout.MaxBytes);
    llvm::DebugLoc Location = MI.getDebugLoc();
    if (EndsEpilogue) {
      insertDirective(MF, *MI.getParent(), epilogue(MF, MI), padBefore(name(MF, "epilogue"), Label, Align));
      Padding.clear();
      Location = llvm::DebugLoc();
    } else {
      Padding += "\n\t";
    }
    insertDirective(MF, *MI.getParent(), MI.getIterator(),
                    Padding + Label + ":\n\t.pushsection " + escaped(text(names().CoffSitesSection)) +
                        ",\"dw\"" + Comdat + "\n\t.p2align 2\n\t.long " + Label + "-.\n\t.popsection",
                    Location);
    ++Count;
    return true;
  }

private:
  unsigned Count = 0;

  std::string name(const llvm::MachineFunction &MF, llvm::StringRef Kind) const {
    return (".Lstatic_call_" + Kind + "_" + llvm::Twine(MF.getFunctionNumber()) + "_" + llvm::Twine(Count))
        .str();
  }

  // LLVM's inline assembler gives the dollar sign a meaning.
  static std::string escaped(llvm::StringRef Text) {
    std::string Escaped;
    for (char C : Text)
      Escaped += C == '$' ? std::string("$$") : std::string(1, C);
    return Escaped;
  }

  // The entry belongs to the function's comdat, so that the linker takes both or neither. False if assembler
  // cannot name that.
  static bool comdat(const llvm::MachineFunction &MF, std::string &Text) {
    const auto *Section = static_cast<const llvm::MCSectionCOFF *>(MF.getSection());
    const llvm::MCSymbol *Symbol = Section ? Section->getCOMDATSymbol() : nullptr;
    if (!Symbol)
      return Section != nullptr;
    if (Symbol->getName().find_first_of("\"\\\n") != llvm::StringRef::npos)
      return false;
    Text = ",associative,\"" + escaped(Symbol->getName()) + "\"";
    return true;
  }

  // Windows' unwinder recognizes an epilogue by its instructions, of which the last is a jump without a
  // prefix: "x64 exception handling" in Microsoft's documentation, "Epilog code". So the padding comes before
  // the epilogue. Its length is known when it is assembled. As few no-ops as will do: none if the jump lies
  // in one word anyway.
  static std::string padBefore(const std::string &Epilogue, const std::string &Jump,
                               const std::string &Align) {
    // Five bytes from the offset 4 of a word on, or from a higher one, would be in two words.
    std::string Length = "(" + Jump + "-" + Epilogue + ")";
    return Align + "\n\t.fill ((" + Length + ">>2)&1)*((8-(" + Length + "&7))&7),1,0x90\n" + Epilogue + ":";
  }

  // Where the epilogue before a jump begins.
  static llvm::MachineBasicBlock::iterator epilogue(const llvm::MachineFunction &MF,
                                                    llvm::MachineInstr &Jump) {
    const llvm::TargetInstrInfo *TII = MF.getSubtarget().getInstrInfo();
    llvm::MachineBasicBlock::iterator Begin = Jump.getIterator();
    while (Begin != Jump.getParent()->begin()) {
      llvm::MachineBasicBlock::iterator Before = std::prev(Begin);
      llvm::StringRef Name = TII->getName(Before->getOpcode());
      if (!Before->isMetaInstruction() && !Name.starts_with("SEH_") &&
          !Before->getFlag(llvm::MachineInstr::FrameDestroy))
        break;
      Begin = Before;
      // What restores registers before this belongs to the function's body.
      if (Name == "SEH_BeginEpilogue")
        break;
    }
    return Begin;
  }
};

} // namespace static_call
