// The plugin's passes over a module, and their places in LLVM's pipelines.
#include "image_group.h"
#include "llvm_compat.h"
#include "prefix_data.h"
#include "shim.h"
#include "names.h"

#include "llvm/IR/PassManager.h"
#include "llvm/Passes/PassBuilder.h"

using namespace llvm;

namespace {

// Required: at -O0 too, where a static call would otherwise stay indirect.
struct LowerStaticCalls : RequiredPassInfoMixin<LowerStaticCalls> {
  PreservedAnalyses run(Module &M, ModuleAnalysisManager &) {
    return static_call_lower_module(wrap(&M)) ? PreservedAnalyses::none() : PreservedAnalyses::all();
  }
};

// The linker's link-time optimization may follow rustc's (-Clinker-plugin-lto). It would merge two modules,
// each with a local image.
struct RestoreImage : RequiredPassInfoMixin<RestoreImage> {
  PreservedAnalyses run(Module &M, ModuleAnalysisManager &) {
    bool Changed = restoreImage(M);
    return hidePrefixes(M) || Changed ? PreservedAnalyses::none() : PreservedAnalyses::all();
  }
};

} // namespace

extern "C" void static_call_shim_register(void *Builder) {
  PassBuilder &PB = *static_cast<PassBuilder *>(Builder);
  static_call_shim_register_machine_stage();
  // At the start of every pipeline, even at -O0, and so before any inlining.
  PB.registerPipelineStartEPCallback(
      [](ModulePassManager &MPM, OptimizationLevel) { MPM.addPass(LowerStaticCalls()); });
  PB.registerFullLinkTimeOptimizationLastEPCallback(
      [](ModulePassManager &MPM, OptimizationLevel) { MPM.addPass(RestoreImage()); });
  // opt -passes=static-call
  PB.registerPipelineParsingCallback(
      [](StringRef Name, ModulePassManager &MPM, ArrayRef<PassBuilder::PipelineElement>) {
        if (Name != text(names().Pass))
          return false;
        MPM.addPass(LowerStaticCalls());
        return true;
      });
}
