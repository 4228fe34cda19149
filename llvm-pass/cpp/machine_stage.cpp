// The machine stage: has sites recorded where code generation is over.
//
// On most targets that is in the AsmPrinter, which tells its handlers before it writes a function. So every
// way to generate code is covered, whichever pass manager it uses.
//
// On two targets it is a pass, which needs an LLVM where a plugin can add one, and the old pass manager. On
// POWER the stage adds instructions, which the passes behind it must count. On LoongArch a pass that follows
// makes one call two instructions, and the stage writes some of them itself.
#include "llvm_compat.h"
#include "shim.h"
#include "site_recorder.h"

#include "llvm/CodeGen/AsmPrinter.h"
#include "llvm/CodeGen/AsmPrinterHandler.h"
#include "llvm/MC/MCStreamer.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Target/TargetMachine.h"
#include <cstring>
#include <map>
#include <mutex>
#include <type_traits>

#if STATIC_CALL_HAS_CODE_GENERATION_PASSES
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/InitializePasses.h"
#include "llvm/PassRegistry.h"
#include "llvm/Target/RegisterTargetPassConfigCallback.h"
#endif

using namespace llvm;
using static_call::SiteRecorder;

namespace {

bool needsPass(const Triple &Target) { return Target.isPPC64() || Target.isLoongArch(); }

// ---- As a handler of the AsmPrinter --------------------------------------------------------------

class RecordingHandler : public AsmPrinterHandler {
public:
  void beginModule(Module *M) override { Recorder.beginModule(*M); }
  void endModule() override {}
  // The AsmPrinter writes the function after this. It has the function from its pass manager, to change.
  void beginFunction(const MachineFunction *MF) override {
    Recorder.recordFunction(const_cast<MachineFunction &>(*MF));
  }
  void endFunction(const MachineFunction *) override {}
#if LLVM_VERSION_MAJOR < 19
  void setSymbolSize(const MCSymbol *, uint64_t) override {}
  void beginInstruction(const MachineInstr *) override {}
  void endInstruction() override {}
#endif

private:
  SiteRecorder Recorder;
};

// The targets as they were. Never destroyed, because threads may still generate code when the process exits.
struct OriginalTargets {
  std::mutex Lock;
  std::map<const Target *, Target> Targets;
};
OriginalTargets &originals() {
  static auto *Singleton = new OriginalTargets;
  return *Singleton;
}

AsmPrinter *createPrinter(TargetMachine &Machine, std::unique_ptr<MCStreamer> &&Streamer) {
  const Target *Original = [&] {
    std::lock_guard<std::mutex> Guard(originals().Lock);
    return &originals().Targets.at(&Machine.getTarget());
  }();
  AsmPrinter *Printer = Original->createAsmPrinter(Machine, std::move(Streamer));
  if (!Printer || needsPass(Machine.getTargetTriple()))
    return Printer;
  auto Handler = std::make_unique<RecordingHandler>();
#if LLVM_VERSION_MAJOR < 19
  Printer->addAsmPrinterHandler(
      {std::move(Handler), "static-call", "Static calls", "static-call", "Static calls"});
#else
  Printer->addAsmPrinterHandler(std::move(Handler));
#endif
  return Printer;
}

// Whether this function, or none, makes a target's AsmPrinter. There is only a function that sets it.
bool hasPrinter(const Target &T, AsmPrinter *(*Create)(TargetMachine &, std::unique_ptr<MCStreamer> &&)) {
  static_assert(std::is_trivially_copyable_v<Target>);
  Target Copy;
  std::memcpy(&Copy, &T, sizeof Copy);
  TargetRegistry::RegisterAsmPrinter(Copy, Create);
  return std::memcmp(&Copy, &T, sizeof Copy) == 0;
}

// A program may initialize LLVM's targets again, or more of them. So this is done each time, but changes only
// what is not ours, because other threads may be using the targets. Another plugin's function may be there,
// and call ours, so the first original is kept.
void watchPrinters() {
  std::lock_guard<std::mutex> Guard(originals().Lock);
  for (const Target &T : TargetRegistry::targets()) {
    if (hasPrinter(T, nullptr) || hasPrinter(T, createPrinter))
      continue;
    originals().Targets.try_emplace(&T, T);
    TargetRegistry::RegisterAsmPrinter(const_cast<Target &>(T), createPrinter);
  }
}

// ---- As a pass -----------------------------------------------------------------------------------

#if STATIC_CALL_HAS_CODE_GENERATION_PASSES
class RecordStaticCallSites : public MachineFunctionPass {
public:
  static char ID;
  RecordStaticCallSites() : MachineFunctionPass(ID) {}

  StringRef getPassName() const override { return "Record static call sites"; }

  void getAnalysisUsage(AnalysisUsage &AU) const override {
    AU.setPreservesAll();
    MachineFunctionPass::getAnalysisUsage(AU);
  }

  bool doInitialization(Module &M) override { return Recorder.beginModule(M); }
  bool runOnMachineFunction(MachineFunction &MF) override { return Recorder.recordFunction(MF); }

private:
  SiteRecorder Recorder;
};

char RecordStaticCallSites::ID = 0;

void addPass() {
  // Makes the outliner known by name below. Its ID is not a public symbol.
  initializeMachineOutlinerPass(*PassRegistry::getPassRegistry());
  PassRegistry::getPassRegistry()->registerPass(
      *new PassInfo(
          "Record static call sites", "record-static-call-sites", &RecordStaticCallSites::ID,
          []() -> Pass * { return new RecordStaticCallSites(); }, false, false),
      true);
  // Never destroyed, because LLVM may destroy the list that it is in before us when the process exits.
  new RegisterTargetPassConfigCallback(
      [](TargetMachine &Machine, PassManagerBase &, TargetPassConfig *Config) {
        const Triple &Target = Machine.getTargetTriple();
        if (!needsPass(Target))
          return;
        // After StackMapLiveness nothing moves, merges or splits instructions on these targets. The last of
        // POWER's own passes has to count what this stage adds, because it makes conditional branches reach
        // their targets. No pass between the two changes calls.
        Config->insertPass(Target.isPPC64() ? &PatchableFunctionID : &StackMapLivenessID,
                           &RecordStaticCallSites::ID);
        // The outliner keeps a call's mark with the call, but may turn a call into a jump without one.
        if (const PassInfo *Outliner =
                PassRegistry::getPassRegistry()->getPassInfo(StringRef("machine-outliner")))
          Config->insertPass(Outliner->getTypeInfo(), &RecordStaticCallSites::ID);
      });
}
#endif

} // namespace

extern "C" void static_call_shim_register_machine_stage(void) {
  watchPrinters();
#if STATIC_CALL_HAS_CODE_GENERATION_PASSES
  static std::once_flag Once;
  std::call_once(Once, addPass);
#endif
}

extern "C" bool static_call_shim_has_machine_stage(LLVMModuleRef M) {
  return STATIC_CALL_HAS_CODE_GENERATION_PASSES || !needsPass(tripleOf(*unwrap(M)));
}
