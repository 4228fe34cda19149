// Records the instructions of a function that call trampolines.
#pragma once

#include "code_generation.h"
#include "coff.h"
#include "directive.h"
#include "elf.h"
#include "image_group.h"
#include "llvm_compat.h"
#include "names.h"
#include "prefix_data.h"
#include "shim.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/Target/TargetMachine.h"

namespace static_call {

using namespace llvm;

// Marks every call and jump whose destination is a trampoline. The AsmPrinter writes the addresses of marked
// instructions into the site table, and a padding directive keeps each instruction inside one aligned word.
// The pass recognizes trampolines by name, because a module that ThinLTO imported into has only a
// declaration.
//
// The assembler parses each piece of inline assembler with its own state. A directive that changes how a call
// is written (`.option`) must therefore be in the same piece as the call.
class SiteRecorder {
public:
  // Before the module's first function is written. True if anything changed.
  bool beginModule(Module &M) {
    StringRef Prefix = text(names().TrampolinePrefix);
    bool HasTrampolines = any_of(M, [&](const Function &F) { return F.getName().starts_with(Prefix); });
    std::string Triple = tripleOf(M).str();
    Target = HasTrampolines ? static_call_target(Triple.data(), Triple.size()) : nullptr;
    IsCoff = tripleOf(M).isOSBinFormatCOFF();
    Elf.beginModule();
    bool Changed = restoreImage(M);
    Changed |= restorePrefixes(M);
    Changed |= permitCodeGeneration(M);
    return putAnchorsFirst(M) || Changed;
  }

  // When nothing but the AsmPrinter, or a pass that keeps marks, changes the function's calls any more. May
  // be repeated. True if anything changed.
  bool recordFunction(MachineFunction &MF) {
    if (!Target)
      return false;
    if (MF.getName().starts_with(text(names().TrampolinePrefix)))
      return leaveAssembler(MF);
    if (hardensLoads(MF.getFunction()))
      return false;
    if (!callsReach(MF.getTarget().getTargetTriple(), MF.getTarget().getCodeModel()))
      return false;
    Length = 0;
    Coff.beginFunction();
    bool Changed = false;
    for (MachineBasicBlock &MBB : MF)
      for (MachineInstr &MI : make_early_inc_range(MBB.instrs()))
        Changed |= record(MF, MI);
    return Changed;
  }

private:
  // Null where the module has no trampolines.
  const StaticCallTarget *Target = nullptr;
  // Upper bound of the function's length with the padding of its sites. Zero until it is needed.
  uint64_t Length = 0;
  bool IsCoff = false;
  ElfEntries Elf;
  CoffEntries Coff;
  // From opcodes of calls that a no-op follows to those of plain calls.
  DenseMap<unsigned, unsigned> WithoutNop;

  // To avoid an Intel erratum, the assembler may pad branches, even between a label and its instruction. The
  // address in the table would then be wrong. It pads calls only on request.
  static bool mayBePadded(StaticCallSiteKind Kind) {
    return isGiven("x86-align-branch") ||
           (Kind != SiteCall &&
            (isGiven("x86-branches-within-32B-boundaries") || isGiven("x86-align-branch-boundary")));
  }

  // A trampoline consists of its assembler alone. Some of LLVM's options make a pass add instructions to
  // every function. In a trampoline they would destroy arguments or take the place that is patched.
  static bool leaveAssembler(MachineFunction &MF) {
    bool Changed = false;
    for (MachineBasicBlock &MBB : MF)
      for (MachineInstr &MI : make_early_inc_range(MBB.instrs()))
        if (!MI.isInlineAsm() && !MI.isMetaInstruction()) {
          MI.eraseFromParent();
          Changed = true;
        }
    return Changed;
  }

  static bool isTrampoline(const MachineOperand &Operand) {
    StringRef Prefix = text(names().TrampolinePrefix);
    if (Operand.isGlobal())
      return Operand.getOffset() == 0 && Operand.getGlobal()->getName().starts_with(Prefix);
    return Operand.isSymbol() && StringRef(Operand.getSymbolName()).starts_with(Prefix);
  }

  // The callee need not be the first operand: a conditional call has its condition there. Opcodes that all
  // targets share (patch points, XRay's sleds) stand for several instructions.
  static bool callsTrampoline(const MachineInstr &MI) {
    return MI.isCall() && isTargetSpecificOpcode(MI.getOpcode()) && any_of(MI.operands(), isTrampoline);
  }

  // On Arm, calls in Thumb functions are something else, and so is a jump after `mov lr, pc`.
  static bool isOneWordOfCode(const MachineFunction &MF, const MachineInstr &MI) {
    if (!MF.getTarget().getTargetTriple().isARM())
      return true;
    const TargetSubtargetInfo &Subtarget = MF.getSubtarget();
    return Subtarget.getInstrInfo()->getInstSizeInBytes(MI) == 4 && !Subtarget.checkFeatures("+thumb-mode");
  }

  bool layout(const MachineFunction &MF, const MachineInstr &MI, StaticCallSiteLayout &Layout) const {
    StringRef Name = MF.getSubtarget().getInstrInfo()->getName(MI.getOpcode());
    return static_call_site_layout(Target, kind(MI), Name.data(), &Layout);
  }

  // The code generator chose short branches before this stage adds padding, which must not move their targets
  // out of reach.
  uint64_t length(const MachineFunction &MF) const {
    const TargetInstrInfo *TII = MF.getSubtarget().getInstrInfo();
    uint64_t Length = 0;
    for (const MachineBasicBlock &MBB : MF) {
      Length += MBB.getAlignment().value() - 1;
      for (const MachineInstr &MI : MBB) {
        Length += TII->getInstSizeInBytes(MI);
        StaticCallSiteLayout Layout;
        if (callsTrampoline(MI) && layout(MF, MI, Layout))
          Length += Layout.MaxBytes;
      }
    }
    return Length;
  }

  static StaticCallSiteKind kind(const MachineInstr &MI) {
    if (!MI.isReturn())
      return SiteCall;
    // Branch folding merges a tail call with a conditional branch around it. Such an instruction may fall
    // through.
    return MI.isBarrier() ? SiteJump : SiteConditionalJump;
  }

  // POWER's calls of trampolines are wrong without the instruction that this stage adds after them. So the
  // constructor there holds a directive that fails, and this stage removes it.
  static bool permitCodeGeneration(Module &M) {
    Function *Constructor = M.getFunction(text(names().Constructor));
    if (!Constructor)
      return false;
    bool Changed = false;
    for (Instruction &I : make_early_inc_range(instructions(*Constructor)))
      // Link-time optimization may have inlined the runtime, with its own assembler.
      if (auto *Call = dyn_cast<CallInst>(&I)) {
        auto *Assembler = dyn_cast<InlineAsm>(Call->getCalledOperand());
        if (!Assembler || Assembler->getAsmString() != text(names().Refusal))
          continue;
        Call->eraseFromParent();
        Changed = true;
      }
    return Changed;
  }

  // The IR stage put the anchors first, but merging modules changes the order of data.
  static bool putAnchorsFirst(Module &M) {
    bool Changed = false;
    auto Position = M.global_begin();
    for (const StaticCallText &Section : names().Sections) {
      GlobalVariable *Anchor = M.getNamedGlobal((text(names().AnchorPrefix) + text(Section)).str());
      if (!Anchor)
        continue;
      if (Position != M.global_end() && &*Position == Anchor) {
        ++Position;
        continue;
      }
      M.removeGlobalVariable(Anchor);
      M.insertGlobalVariable(Position, Anchor);
      Changed = true;
    }
    return Changed;
  }

  // Writes a call as text. Later passes still see which registers it defines.
  static MachineInstr &insertAssembler(MachineFunction &MF, MachineInstr &Call, StringRef Text) {
    const MachineOperand &Destination = *find_if(Call.operands(), isTrampoline);
    InlineAsm::Flag Symbol(InlineAsm::Kind::Imm, 1);
    MachineInstrBuilder Assembler = BuildMI(*Call.getParent(), Call.getIterator(), Call.getDebugLoc(),
                                            MF.getSubtarget().getInstrInfo()->get(TargetOpcode::INLINEASM))
                                        .addExternalSymbol(MF.createExternalSymbolName(Text))
                                        .addImm(InlineAsm::Extra_HasSideEffects)
                                        .addImm(Symbol)
                                        .add(Destination);
    // The mask of preserved registers is left out: inline assembler lists what it changes, and nothing
    // follows a jump.
    for (const MachineOperand &Operand : Call.operands())
      if (Operand.isReg() && Operand.isImplicit())
        Assembler.add(Operand);
    eraseCallInfo(MF, Call);
    Call.eraseFromParent();
    return *Assembler;
  }

  // Makes a call that includes a no-op for the linker (POWER) a plain call.
  void removeNop(const TargetInstrInfo &TII, MachineInstr &Call) {
    auto [Found, IsNew] = WithoutNop.try_emplace(Call.getOpcode(), Call.getOpcode());
    std::string Name = TII.getName(Call.getOpcode()).str();
    if (size_t Nop = Name.find("_NOP"); IsNew && Nop != std::string::npos) {
      Name.erase(Nop, 4);
      unsigned Opcode = 0;
      while (Opcode != TII.getNumOpcodes() && TII.getName(Opcode) != Name)
        ++Opcode;
      if (Opcode == TII.getNumOpcodes())
        report_fatal_error("static-call: no instruction is named " + Twine(Name));
      Found->second = Opcode;
    }
    Call.setDesc(TII.get(Found->second));
  }

  bool record(MachineFunction &MF, MachineInstr &MI) {
    if (!callsTrampoline(MI) || MI.getPCSections() || !isOneWordOfCode(MF, MI))
      return false;
    StaticCallSiteLayout Layout;
    if (kind(MI) != SiteCall && returnsWithCare(MF.getFunction()))
      return false;
    if (mayBePadded(kind(MI)) || !layout(MF, MI, Layout))
      return false;
    if (Layout.MaxFunction != 0 && Length == 0)
      Length = length(MF);
    if (Layout.MaxFunction != 0 && Length > Layout.MaxFunction)
      return false;
    if (Layout.Skip != 0) {
      MI.getOperand(0).setOffset(Layout.Skip);
      return true;
    }
    if (Layout.After.Length != 0) {
      removeNop(*MF.getSubtarget().getInstrInfo(), MI);
      insertDirective(MF, *MI.getParent(), MI.getIterator(), text(Layout.Before).str());
      insertDirective(MF, *MI.getParent(), std::next(MI.getIterator()), text(Layout.After).str());
    }
    if (IsCoff)
      return Coff.record(MF, MI, Layout, kind(MI));
    Elf.begin(MF, MI);
    bool IsPair = Layout.OnlyPairs && MF.getSubtarget().getInstrInfo()->getInstSizeInBytes(MI) > 4;
    if (Layout.Log2Align != 0 && IsPair == Layout.OnlyPairs) {
      std::string Padding = text(Layout.Padding).str();
      std::string Directive;
      for (uint32_t I = 0; I != Layout.Prefixes; ++I)
        Directive += ".byte " + Padding + "\n\t";
      Directive += ".p2align " + std::to_string(Layout.Log2Align) + "," + Padding + "," +
                   std::to_string(Layout.MaxBytes);
      // A prefix starts the instruction, so debuggers and probes that are set on its line belong there.
      insertDirective(MF, *MI.getParent(), MI.getIterator(), Directive,
                      Padding.empty() ? DebugLoc() : MI.getDebugLoc());
    }
    StringRef Assembler = text(Layout.Assembler);
    MachineInstr &Site = Assembler.empty() ? MI : insertAssembler(MF, MI, Assembler);
    MDNode *Mark = ElfEntries::mark(MF);
    Site.setPCSections(MF, Mark);
    // The pass that makes this instruction a pair drops its mark. An empty text before it keeps one.
    if (IsPair)
      insertDirective(MF, *MI.getParent(), MI.getIterator(), "").setPCSections(MF, Mark);
    return true;
  }
};

} // namespace static_call
