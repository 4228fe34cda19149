// The whole C++ part, compiled for the LLVM whose headers are included. No symbol but the table is visible
// outside, because the plugin has one such part for each LLVM.
#include "machine_stage.cpp"
#include "plugin.cpp"
#include "shim.cpp"

extern "C" {
// static_call_shim_22, say: the build script defines the name.
extern const StaticCallShim STATIC_CALL_SHIM;
const StaticCallShim STATIC_CALL_SHIM = {
    static_call_shim_register,
    static_call_shim_register_machine_stage,
    static_call_shim_has_machine_stage,
    static_call_shim_strip_offsets,
    static_call_shim_is_thread_local_address,
    static_call_shim_remark,
    static_call_shim_error,
    static_call_shim_location,
    static_call_shim_copy_abi_attributes,
    static_call_shim_same_abi,
    static_call_shim_has_sret,
    static_call_shim_hardens_loads,
    static_call_shim_returns_with_care,
    static_call_shim_is_must_tail,
    static_call_shim_prevent_tail_call,
    static_call_shim_retarget,
    static_call_shim_type_check,
    static_call_shim_drop_type_check,
    static_call_shim_replace_type,
    static_call_shim_call_for_invoke,
    static_call_shim_is_dso_local,
    static_call_shim_calls_reach,
    static_call_shim_allocates_across_functions,
    static_call_shim_move_to_front,
    static_call_shim_set_default_attributes,
    static_call_shim_append_to_compiler_used,
    static_call_shim_append_to_constructors,
    static_call_shim_append_to_destructors,
    static_call_shim_set_prefix_data,
    static_call_shim_set_associated,
};
}
