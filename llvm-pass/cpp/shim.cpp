#include "shim.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/InitializePasses.h"
#include "llvm/PassRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Target/RegisterTargetPassConfigCallback.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Local.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"
#include <mutex>

using namespace llvm;

namespace {

StringRef text(StaticCallText Text) { return StringRef(Text.Data, Text.Length); }

// In the large code model a call is no direct call; in the medium one it is, but x86's keeps data out of reach.
// (An entry of the site table is eight bytes long in both: `Site` in runtime/abi, which knows those with the lower
// half in front.) POWER's code models are only about data.
bool callsReach(const Triple &Target, CodeModel::Model Model) {
  if (Target.isPPC64() && Target.isLittleEndian())
    return true;
  if (Model == CodeModel::Medium)
    return !Target.isX86() && Target.isLittleEndian();
  return Model != CodeModel::Large;
}

// Whether an option of LLVM's own was given.
bool isGiven(StringRef Name) {
  auto &Options = cl::getRegisteredOptions();
  auto Option = Options.find(Name);
  return Option != Options.end() && Option->second->getNumOccurrences() != 0;
}

// ---- IR stage ----------------------------------------------------------------------------------

struct LowerStaticCalls : PassInfoMixin<LowerStaticCalls> {
  PreservedAnalyses run(Module &M, ModuleAnalysisManager &) {
    return static_call_lower_module(wrap(&M)) ? PreservedAnalyses::none()
                                              : PreservedAnalyses::all();
  }
  // At -O0 too: without the pass a static call would stay an indirect one.
  static bool isRequired() { return true; }
};

// Link-time optimization makes local what it has merged into one module. But objects without
// bitcode may come with the same group, and of all of them the linker shall keep one.
bool restoreImage(Module &M) {
  auto Found = M.getComdatSymbolTable().find(text(static_call_image()));
  if (Found == M.getComdatSymbolTable().end())
    return false;
  Comdat &Group = Found->second;
  if (Group.getSelectionKind() == Comdat::Any)
    return false;
  Group.setSelectionKind(Comdat::Any);
  for (GlobalObject &Member : M.global_objects())
    if (Member.getComdat() == &Group) {
      Member.setLinkage(GlobalValue::LinkOnceODRLinkage);
      Member.setVisibility(GlobalValue::HiddenVisibility);
    }
  return true;
}

// rustc's link-time optimization may be followed by the linker's (-Clinker-plugin-lto), which would merge two local images
// into one module.
struct RestoreImage : PassInfoMixin<RestoreImage> {
  PreservedAnalyses run(Module &M, ModuleAnalysisManager &) {
    return restoreImage(M) ? PreservedAnalyses::none() : PreservedAnalyses::all();
  }
  static bool isRequired() { return true; }
};

// ---- Machine stage -----------------------------------------------------------------------------

// Marks every call and jump whose destination is a trampoline; the AsmPrinter then writes its
// address into the site table, and a padding directive keeps the instruction inside one aligned
// word. It looks at names, since ThinLTO leaves an importing module a bare declaration.
//
// The assembler reads each piece of text with a state of its own: a directive that is to change how the call
// is written (`.option`) has to stand in one text with it.
class RecordStaticCallSites : public MachineFunctionPass {
public:
  static char ID;
  RecordStaticCallSites() : MachineFunctionPass(ID) {}

  StringRef getPassName() const override { return "Record static call sites"; }

  bool doInitialization(Module &M) override {
    StringRef Prefix = text(static_call_trampoline_prefix());
    HasTrampolines = M.getTargetTriple().isOSBinFormatELF() &&
                     any_of(M, [&](const Function &F) { return F.getName().starts_with(Prefix); });
    SectionsAreNamed = false;
    bool Changed = restoreImage(M);
    Changed |= permitCodeGeneration(M);
    return putAnchorsFirst(M) || Changed;
  }

  void getAnalysisUsage(AnalysisUsage &AU) const override {
    AU.setPreservesAll();
    MachineFunctionPass::getAnalysisUsage(AU);
  }

  bool runOnMachineFunction(MachineFunction &MF) override {
    if (!HasTrampolines)
      return false;
    if (!callsReach(MF.getTarget().getTargetTriple(), MF.getTarget().getCodeModel()))
      return false;
    Length = 0;
    bool Changed = false;
    for (MachineBasicBlock &MBB : MF)
      for (MachineInstr &MI : make_early_inc_range(MBB.instrs()))
        Changed |= record(MF, MI);
    return Changed;
  }

private:
  bool HasTrampolines = false;
  // Of the function with the padding of its sites, at the most; zero as long as nobody asked.
  uint64_t Length = 0;
  bool SectionsAreNamed = false;
  // Opcodes of calls with a no-op behind them, and those without.
  DenseMap<unsigned, unsigned> WithoutNop;

  // Against an erratum of Intel's, the assembler may pad branches, also between a label and its
  // instruction; then the address in the table would be wrong. Calls are padded only on request.
  static bool mayBePadded(StaticCallSiteKind Kind) {
    return isGiven("x86-align-branch") ||
           (Kind != SiteCall && (isGiven("x86-branches-within-32B-boundaries") ||
                                 isGiven("x86-align-branch-boundary")));
  }

  static bool isTrampoline(const MachineOperand &Operand) {
    StringRef Prefix = text(static_call_trampoline_prefix());
    if (Operand.isGlobal())
      return Operand.getOffset() == 0 && Operand.getGlobal()->getName().starts_with(Prefix);
    return Operand.isSymbol() && StringRef(Operand.getSymbolName()).starts_with(Prefix);
  }

  // A conditional call may have its condition before the function. What every target has (patch points, XRay's
  // sleds) is more than one instruction.
  static bool callsTrampoline(const MachineInstr &MI) {
    return MI.isCall() && isTargetSpecificOpcode(MI.getOpcode()) &&
           any_of(MI.operands(), isTrampoline);
  }

  // Arm has calls that are not: in Thumb functions, and where `mov lr, pc` stands before a jump.
  static bool isOneWordOfCode(const MachineFunction &MF, const MachineInstr &MI) {
    if (!MF.getTarget().getTargetTriple().isARM())
      return true;
    const TargetSubtargetInfo &Subtarget = MF.getSubtarget();
    return Subtarget.getInstrInfo()->getInstSizeInBytes(MI) == 4 &&
           !Subtarget.checkFeatures("+thumb-mode");
  }

  static bool layout(const MachineFunction &MF, const MachineInstr &MI,
                     StaticCallSiteLayout &Layout) {
    const std::string &Triple = MF.getTarget().getTargetTriple().str();
    StringRef Name = MF.getSubtarget().getInstrInfo()->getName(MI.getOpcode());
    return static_call_site_layout(Triple.data(), Triple.size(), kind(MI), Name.data(), &Layout);
  }

  // Where branches are short, they were chosen before there was any padding, which must not put their targets out
  // of reach.
  static uint64_t length(const MachineFunction &MF) {
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
    // A tail call that branch folding merged with a conditional branch falls through.
    return MI.isBarrier() ? SiteJump : SiteConditionalJump;
  }

  // On POWER, where a call of a trampoline needs what this stage writes behind it, the constructor holds assembler
  // that no assembler takes.
  static bool permitCodeGeneration(Module &M) {
    Function *Constructor = M.getFunction(text(static_call_constructor()));
    if (!Constructor)
      return false;
    bool Changed = false;
    for (Instruction &I : make_early_inc_range(instructions(*Constructor)))
      // Link-time optimization may have put the runtime in there, with assembler of its own.
      if (auto *Call = dyn_cast<CallInst>(&I)) {
        auto *Assembler = dyn_cast<InlineAsm>(Call->getCalledOperand());
        if (!Assembler || Assembler->getAsmString() != text(static_call_refusal()))
          continue;
        Call->eraseFromParent();
        Changed = true;
      }
    return Changed;
  }

  // Where modules were merged, data has another order than the one that the IR stage made.
  static bool putAnchorsFirst(Module &M) {
    bool Changed = false;
    auto Position = M.global_begin();
    for (size_t Index = 0;; ++Index) {
      StringRef Name = text(static_call_section(Index));
      if (Name.empty())
        return Changed;
      GlobalVariable *Anchor = M.getNamedGlobal((text(static_call_anchor_prefix()) + Name).str());
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
  }

  static MachineInstr &insertDirective(MachineFunction &MF, MachineBasicBlock &Block,
                                       MachineBasicBlock::iterator Before,
                                       const std::string &Directive) {
    const TargetInstrInfo *TII = MF.getSubtarget().getInstrInfo();
    return *BuildMI(Block, Before, DebugLoc(), TII->get(TargetOpcode::INLINEASM))
                .addExternalSymbol(MF.createExternalSymbolName(Directive))
                .addImm(InlineAsm::Extra_HasSideEffects);
  }

  // Writes a call as text. What it leaves in registers stays known to the passes behind us.
  static MachineInstr &insertAssembler(MachineFunction &MF, MachineInstr &Call, StringRef Text) {
    const MachineOperand &Destination = *find_if(Call.operands(), isTrampoline);
    InlineAsm::Flag Symbol(InlineAsm::Kind::Imm, 1);
    MachineInstrBuilder Assembler =
        BuildMI(*Call.getParent(), Call.getIterator(), Call.getDebugLoc(),
                MF.getSubtarget().getInstrInfo()->get(TargetOpcode::INLINEASM))
            .addExternalSymbol(MF.createExternalSymbolName(Text))
            .addImm(InlineAsm::Extra_HasSideEffects)
            .addImm(Symbol)
            .add(Destination);
    // Not what the call leaves alone: assembler says what it changes, and behind a jump that does not matter.
    for (const MachineOperand &Operand : Call.operands())
      if (Operand.isReg() && Operand.isImplicit())
        Assembler.add(Operand);
    if (Call.shouldUpdateAdditionalCallInfo())
      MF.eraseAdditionalCallInfo(&Call);
    Call.eraseFromParent();
    return *Assembler;
  }

  // A call with a no-op behind it, for the linker (POWER), becomes the call alone.
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

  // Linkers place our sections in the order in which they first find them. This module's first
  // entry of the site table comes before any data, and the anchors may be another module's: so
  // here is a section of each name, empty and, unlike all others of its name, never garbage.
  static std::string nameSections() {
    std::string Directives;
    for (size_t Index = 0;; ++Index) {
      StringRef Name = text(static_call_section(Index));
      if (Name.empty())
        return Directives;
      // The number only tells this section from others of its name.
      Directives += (".pushsection " + Name + ",\"awR\",%progbits,unique,1000000\n\t" +
                     ".popsection\n\t")
                        .str();
    }
  }

  bool record(MachineFunction &MF, MachineInstr &MI) {
    if (!callsTrampoline(MI) || MI.getPCSections() || !isOneWordOfCode(MF, MI))
      return false;
    StaticCallSiteLayout Layout;
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
    if (Layout.Behind.Length != 0) {
      removeNop(*MF.getSubtarget().getInstrInfo(), MI);
      insertDirective(MF, *MI.getParent(), MI.getIterator(), text(Layout.Before).str());
      insertDirective(MF, *MI.getParent(), std::next(MI.getIterator()), text(Layout.Behind).str());
    }
    if (!SectionsAreNamed)
      insertDirective(MF, *MI.getParent(), MI.getIterator(), nameSections());
    SectionsAreNamed = true;
    bool IsPair = Layout.OnlyPairs &&
                  MF.getSubtarget().getInstrInfo()->getInstSizeInBytes(MI) > 4;
    if (Layout.Log2Align != 0 && IsPair == Layout.OnlyPairs)
      insertDirective(MF, *MI.getParent(), MI.getIterator(),
                      ".p2align " + std::to_string(Layout.Log2Align) + "," + text(Layout.Padding).str() +
                          "," + std::to_string(Layout.MaxBytes));
    StringRef Assembler = text(Layout.Assembler);
    MachineInstr &Site = Assembler.empty() ? MI : insertAssembler(MF, MI, Assembler);
    LLVMContext &Context = MF.getFunction().getContext();
    MDNode *Mark =
        MDNode::get(Context, MDString::get(Context, text(static_call_sites_section())));
    Site.setPCSections(MF, Mark);
    // What will be a pair loses the mark: an empty text before it keeps one.
    if (IsPair)
      insertDirective(MF, *MI.getParent(), MI.getIterator(), "").setPCSections(MF, Mark);
    return true;
  }
};

char RecordStaticCallSites::ID = 0;

void registerMachineStage() {
  static std::once_flag Once;
  std::call_once(Once, [] {
    // Known by name from here on; its identity is no public symbol.
    initializeMachineOutlinerPass(*PassRegistry::getPassRegistry());
    PassRegistry::getPassRegistry()->registerPass(
        *new PassInfo("Record static call sites", "record-static-call-sites",
                      &RecordStaticCallSites::ID,
                      []() -> Pass * { return new RecordStaticCallSites(); }, false, false),
        true);
    // Never destroyed: the list that it is in may be gone before us when the process exits.
    new RegisterTargetPassConfigCallback(
        [](TargetMachine &Machine, PassManagerBase &, TargetPassConfig *Config) {
          // After it nothing moves, merges or splits instructions, on any target, but for the outliner: that one
          // keeps a call's mark with the call, but may make a call a jump, which has none yet.
          // On POWER it adds instructions, which the last of the target's own passes has to count: it sees to it
          // that conditional branches reach. Those behind this one leave calls alone there.
          bool Adds = Machine.getTargetTriple().isPPC64();
          Config->insertPass(Adds ? &PatchableFunctionID : &StackMapLivenessID,
                             &RecordStaticCallSites::ID);
          if (const PassInfo *Outliner =
                  PassRegistry::getPassRegistry()->getPassInfo(StringRef("machine-outliner")))
            Config->insertPass(Outliner->getTypeInfo(), &RecordStaticCallSites::ID);
        });
  });
}

// ---- Attributes that decide how arguments travel ------------------------------------------------

// The list that LLVM's verifier holds a `musttail` call against.
constexpr Attribute::AttrKind AbiAttributes[] = {
    Attribute::StructRet, Attribute::ByVal,      Attribute::InAlloca,    Attribute::InReg,
    Attribute::ByRef,     Attribute::SwiftSelf,  Attribute::SwiftAsync,  Attribute::SwiftError,
    Attribute::Nest,      Attribute::Preallocated, Attribute::StackAlignment};
// They matter to the caller and the callee, but two sites may well differ in them.
constexpr Attribute::AttrKind ExtensionAttributes[] = {Attribute::ZExt, Attribute::SExt};

AttrBuilder abiAttributes(LLVMContext &Context, AttributeList Attributes, unsigned Argument) {
  AttrBuilder Kept(Context);
  for (Attribute::AttrKind Kind : AbiAttributes)
    if (Attribute Found = Attributes.getParamAttr(Argument, Kind); Found.isValid())
      Kept.addAttribute(Found);
  if (Kept.contains(Attribute::ByVal) || Kept.contains(Attribute::ByRef))
    if (Attribute Align = Attributes.getParamAttr(Argument, Attribute::Alignment); Align.isValid())
      Kept.addAttribute(Align);
  return Kept;
}

AttributeList abiAttributes(const CallBase &Call) {
  LLVMContext &Context = Call.getContext();
  AttributeList From = Call.getAttributes();
  SmallVector<AttributeSet, 8> Parameters;
  for (unsigned I = 0; I != Call.getFunctionType()->getNumParams(); ++I) {
    AttrBuilder Kept = abiAttributes(Context, From, I);
    for (Attribute::AttrKind Kind : ExtensionAttributes)
      if (From.hasParamAttr(I, Kind))
        Kept.addAttribute(Kind);
    Parameters.push_back(AttributeSet::get(Context, Kept));
  }
  AttrBuilder Return(Context);
  for (Attribute::AttrKind Kind : ExtensionAttributes)
    if (From.hasRetAttr(Kind))
      Return.addAttribute(Kind);
  if (From.hasRetAttr(Attribute::InReg))
    Return.addAttribute(Attribute::InReg);
  return AttributeList::get(Context, AttributeSet(), AttributeSet::get(Context, Return),
                            Parameters);
}

} // namespace

extern "C" {

void static_call_shim_register(void *Builder) {
  PassBuilder &PB = *static_cast<PassBuilder *>(Builder);
  registerMachineStage();
  // At the start of every pipeline, -O0 included: before the first inlining.
  PB.registerPipelineStartEPCallback(
      [](ModulePassManager &MPM, OptimizationLevel) { MPM.addPass(LowerStaticCalls()); });
  PB.registerFullLinkTimeOptimizationLastEPCallback(
      [](ModulePassManager &MPM, OptimizationLevel) { MPM.addPass(RestoreImage()); });
  // opt -passes=static-call
  PB.registerPipelineParsingCallback([](StringRef Name, ModulePassManager &MPM,
                                        ArrayRef<PassBuilder::PipelineElement>) {
    if (Name != text(static_call_pass_name()))
      return false;
    MPM.addPass(LowerStaticCalls());
    return true;
  });
}

void static_call_shim_register_machine_stage(void) { registerMachineStage(); }

LLVMValueRef static_call_shim_strip_offsets(LLVMModuleRef M, LLVMValueRef V, int64_t *Offset) {
  const DataLayout &Layout = unwrap(M)->getDataLayout();
  Value *Pointer = unwrap(V);
  APInt Sum(Layout.getIndexTypeSizeInBits(Pointer->getType()), 0);
  Value *Base = Pointer->stripAndAccumulateConstantOffsets(Layout, Sum, /*AllowNonInbounds=*/true);
  *Offset = Sum.getSExtValue();
  return wrap(Base);
}

bool static_call_shim_is_thread_local_address(LLVMValueRef V) {
  auto *Call = dyn_cast<IntrinsicInst>(unwrap(V));
  return Call && Call->getIntrinsicID() == Intrinsic::threadlocal_address;
}

void static_call_shim_remark(LLVMValueRef Instruction, bool Lowered, const char *Message,
                             size_t Length) {
  auto *I = unwrap<llvm::Instruction>(Instruction);
  LLVMContext &Context = I->getContext();
  StringRef Name = text(static_call_pass_name());
  // The front end decides which passes' remarks it prints.
  if (Lowered) {
    OptimizationRemark Remark(Name.data(), "Lowered", I);
    Context.diagnose(Remark << StringRef(Message, Length));
  } else {
    OptimizationRemarkMissed Remark(Name.data(), "NotLowered", I);
    Context.diagnose(Remark << StringRef(Message, Length));
  }
}

void static_call_shim_error(LLVMModuleRef M, LLVMValueRef Instruction, const char *Message,
                            size_t Length) {
  StringRef Text(Message, Length);
  LLVMContext &Context = unwrap(M)->getContext();
  if (auto *I = Instruction ? dyn_cast<llvm::Instruction>(unwrap(Instruction)) : nullptr)
    Context.diagnose(DiagnosticInfoUnsupported(*I->getFunction(), Text, I->getDebugLoc()));
  else
    Context.emitError(Text);
}

size_t static_call_shim_location(LLVMValueRef Instruction, char *Buffer, size_t Capacity) {
  auto *I = unwrap<llvm::Instruction>(Instruction);
  std::string Place;
  if (const DebugLoc &Loc = I->getDebugLoc()) {
    const DILocation *L = Loc.get();
    Place = (L->getFilename() + ":" + Twine(L->getLine()) + ":" + Twine(L->getColumn())).str();
  } else {
    Place = ("function " + I->getFunction()->getName()).str();
  }
  size_t Length = std::min(Place.size(), Capacity);
  std::copy_n(Place.begin(), Length, Buffer);
  return Length;
}

void static_call_shim_copy_abi_attributes(LLVMValueRef Call, LLVMValueRef Function) {
  unwrap<llvm::Function>(Function)->setAttributes(abiAttributes(*unwrap<CallBase>(Call)));
}

bool static_call_shim_same_abi(LLVMValueRef Call, LLVMValueRef Function) {
  const auto &CB = *unwrap<CallBase>(Call);
  const auto &F = *unwrap<llvm::Function>(Function);
  if (CB.getCallingConv() != F.getCallingConv() || CB.getFunctionType() != F.getFunctionType())
    return false;
  for (unsigned I = 0; I != F.arg_size(); ++I)
    if (abiAttributes(F.getContext(), CB.getAttributes(), I) !=
        abiAttributes(F.getContext(), F.getAttributes(), I))
      return false;
  return CB.getAttributes().hasRetAttr(Attribute::InReg) ==
         F.getAttributes().hasRetAttr(Attribute::InReg);
}

bool static_call_shim_has_sret(LLVMValueRef Call) {
  return unwrap<CallBase>(Call)->hasStructRetAttr();
}

const char *static_call_shim_needs_indirect_call(LLVMValueRef Site) {
  const auto &Call = *unwrap<CallBase>(Site);
  for (unsigned I = 0; I != Call.getNumOperandBundles(); ++I)
    switch (Call.getOperandBundleAt(I).getTagID()) {
    case LLVMContext::OB_kcfi:
    case LLVMContext::OB_ptrauth:
      return "the function pointer is to be checked at every call";
    }
  CallingConv::ID Convention = Call.getCallingConv();
  if (Call.getFunctionType()->isVarArg() &&
      is_contained({CallingConv::Fast, CallingConv::Cold, CallingConv::Intel_OCL_BI}, Convention))
    return "no function of its calling convention may be variadic";
  if (Call.hasFnAttr("no_caller_saved_registers"))
    return "its function saves all registers, which leaves a trampoline none";
  // Of a direct call, code generation asks the callee.
  for (Attribute Each : Call.getAttributes().getFnAttrs())
    if (Each.isStringAttribute() && (Each.getKindAsString().starts_with("aarch64_") ||
                                     Each.getKindAsString() == "cmse_nonsecure_call"))
      return "its caller prepares it in a way of its own (AArch64's streaming mode and ZA, Armv8-M's security)";
  // A trampoline is taken for all of the function.
  if (isGiven("enable-ipra"))
    return "registers are allocated across functions";
  return nullptr;
}

bool static_call_shim_is_must_tail(LLVMValueRef Site) {
  auto *Call = dyn_cast<CallInst>(unwrap(Site));
  return Call && Call->isMustTailCall();
}

void static_call_shim_prevent_tail_call(LLVMValueRef Site) {
  if (auto *Call = dyn_cast<CallInst>(unwrap(Site)))
    Call->setTailCallKind(CallInst::TCK_NoTail);
}

void static_call_shim_retarget(LLVMValueRef Site, LLVMValueRef Callee) {
  auto *Call = unwrap<CallBase>(Site);
  Call->setCalledFunction(unwrap<Function>(Callee));
  // A trampoline stays what it is; the wish was for the function behind it.
  Call->removeFnAttr(Attribute::AlwaysInline);
  // Both speak of the functions that an indirect call may reach.
  Call->setMetadata(LLVMContext::MD_callees, nullptr);
  Call->setMetadata(LLVMContext::MD_prof, nullptr);
}

LLVMValueRef static_call_shim_call_for_invoke(LLVMValueRef Invoke) {
  return wrap(changeToCall(unwrap<InvokeInst>(Invoke)));
}

bool static_call_shim_is_dso_local(LLVMValueRef Global) {
  return unwrap<GlobalValue>(Global)->isDSOLocal();
}

bool static_call_shim_calls_reach(LLVMModuleRef M) {
  return callsReach(unwrap(M)->getTargetTriple(),
                    unwrap(M)->getCodeModel().value_or(CodeModel::Small));
}

void static_call_shim_move_to_front(LLVMModuleRef M, LLVMValueRef Global) {
  auto *Variable = unwrap<GlobalVariable>(Global);
  unwrap(M)->removeGlobalVariable(Variable);
  unwrap(M)->insertGlobalVariable(unwrap(M)->global_begin(), Variable);
}

void static_call_shim_set_default_attributes(LLVMModuleRef M, LLVMValueRef Function) {
  auto *F = unwrap<llvm::Function>(Function);
  llvm::Function *Example = llvm::Function::createWithDefaultAttr(
      F->getFunctionType(), GlobalValue::ExternalLinkage, F->getAddressSpace(), "", unwrap(M));
  F->addFnAttrs(AttrBuilder(F->getContext(), Example->getAttributes().getFnAttrs()));
  Example->eraseFromParent();
}

void static_call_shim_append_to_compiler_used(LLVMModuleRef M, const LLVMValueRef *Globals,
                                              size_t Count) {
  SmallVector<GlobalValue *, 8> Values;
  for (LLVMValueRef Global : ArrayRef(Globals, Count))
    Values.push_back(unwrap<GlobalValue>(Global));
  appendToCompilerUsed(*unwrap(M), Values);
}

void static_call_shim_append_to_constructors(LLVMModuleRef M, LLVMValueRef F, LLVMValueRef Data,
                                             int Priority) {
  appendToGlobalCtors(*unwrap(M), unwrap<Function>(F), Priority, unwrap<Constant>(Data));
}

void static_call_shim_append_to_destructors(LLVMModuleRef M, LLVMValueRef F, LLVMValueRef Data,
                                            int Priority) {
  appendToGlobalDtors(*unwrap(M), unwrap<Function>(F), Priority, unwrap<Constant>(Data));
}

void static_call_shim_set_associated(LLVMValueRef Global, LLVMValueRef With) {
  auto *Object = unwrap<GlobalObject>(Global);
  Object->setMetadata(LLVMContext::MD_associated,
                      MDNode::get(Object->getContext(),
                                  ValueAsMetadata::get(unwrap(With))));
}
}
