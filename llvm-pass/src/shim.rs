//! The C++ shim (`cpp/shim.h`), seen from Rust.

use std::ffi::{CStr, c_char, c_int, c_void};

use inkwell::module::Module;
use inkwell::values::{AsValueRef, FunctionValue, GlobalValue};
use llvm_sys::prelude::{LLVMModuleRef, LLVMValueRef};

/// `StaticCallText`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    data: *const c_char,
    length: usize,
}

impl Text {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { data: text.as_ptr().cast(), length: text.len() }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

unsafe extern "C" {
    pub(crate) fn static_call_shim_register(builder: *mut c_void);
    pub(crate) fn static_call_shim_register_machine_stage();
    fn static_call_shim_strip_offsets(
        module: LLVMModuleRef,
        value: LLVMValueRef,
        offset: *mut i64,
    ) -> LLVMValueRef;
    fn static_call_shim_is_thread_local_address(value: LLVMValueRef) -> bool;
    fn static_call_shim_remark(instruction: LLVMValueRef, lowered: bool, message: *const u8, length: usize);
    fn static_call_shim_error(
        module: LLVMModuleRef,
        instruction: LLVMValueRef,
        message: *const u8,
        length: usize,
    );
    fn static_call_shim_location(instruction: LLVMValueRef, buffer: *mut u8, capacity: usize) -> usize;
    fn static_call_shim_copy_abi_attributes(call: LLVMValueRef, function: LLVMValueRef);
    fn static_call_shim_same_abi(call: LLVMValueRef, function: LLVMValueRef) -> bool;
    fn static_call_shim_has_sret(call: LLVMValueRef) -> bool;
    fn static_call_shim_needs_indirect_call(site: LLVMValueRef) -> *const c_char;
    fn static_call_shim_is_must_tail(site: LLVMValueRef) -> bool;
    fn static_call_shim_prevent_tail_call(site: LLVMValueRef);
    fn static_call_shim_retarget(site: LLVMValueRef, callee: LLVMValueRef);
    fn static_call_shim_call_for_invoke(invoke: LLVMValueRef) -> LLVMValueRef;
    fn static_call_shim_is_dso_local(global: LLVMValueRef) -> bool;
    fn static_call_shim_calls_reach(module: LLVMModuleRef) -> bool;
    fn static_call_shim_move_to_front(module: LLVMModuleRef, global: LLVMValueRef);
    fn static_call_shim_set_default_attributes(module: LLVMModuleRef, function: LLVMValueRef);
    fn static_call_shim_append_to_compiler_used(
        module: LLVMModuleRef,
        globals: *const LLVMValueRef,
        count: usize,
    );
    fn static_call_shim_append_to_constructors(
        module: LLVMModuleRef,
        function: LLVMValueRef,
        data: LLVMValueRef,
        priority: c_int,
    );
    fn static_call_shim_append_to_destructors(
        module: LLVMModuleRef,
        function: LLVMValueRef,
        data: LLVMValueRef,
        priority: c_int,
    );
    fn static_call_shim_set_associated(global: LLVMValueRef, with: LLVMValueRef);
}

/// An instruction of the user's code: a call of the intrinsic or a call through its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction(pub(crate) LLVMValueRef);

// SAFETY (of the calls in this file): values come from the module that is being lowered and are
// alive, see the crate's documentation; strings are passed with their length; each function's
// requirement on the kind of value is met as its own comment says.

/// Base and sum of the constant offsets of a pointer.
pub(crate) fn strip_offsets(module: &Module<'_>, pointer: LLVMValueRef) -> (LLVMValueRef, i64) {
    let mut offset = 0;
    // SAFETY: see above; the intrinsic's argument is a pointer.
    let base = unsafe { static_call_shim_strip_offsets(module.as_mut_ptr(), pointer, &raw mut offset) };
    (base, offset)
}

pub(crate) fn is_thread_local_address(value: LLVMValueRef) -> bool {
    // SAFETY: see above; any value may be asked.
    unsafe { static_call_shim_is_thread_local_address(value) }
}

impl Instruction {
    /// Remark that a static call was lowered here.
    pub(crate) fn remark_lowered(self, message: &str) {
        // SAFETY: see above.
        unsafe { static_call_shim_remark(self.0, true, message.as_ptr(), message.len()) }
    }

    /// Remark that a static call stays an indirect call, and why.
    pub(crate) fn remark_missed(self, message: &str) {
        // SAFETY: see above.
        unsafe { static_call_shim_remark(self.0, false, message.as_ptr(), message.len()) }
    }

    /// Compile error at this place.
    pub(crate) fn error(self, module: &Module<'_>, message: &str) {
        // SAFETY: see above.
        unsafe {
            static_call_shim_error(module.as_mut_ptr(), self.0, message.as_ptr(), message.len());
        }
    }

    /// `file:line:column`, or the function's name where there is no debug information.
    pub(crate) fn location(self) -> String {
        let mut buffer = [0; 1024];
        // SAFETY: see above; the buffer has the capacity that is named.
        let length = unsafe { static_call_shim_location(self.0, buffer.as_mut_ptr(), buffer.len()) };
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Whether this call and `function` pass arguments alike. The instruction is a call.
    pub(crate) fn same_abi(self, function: FunctionValue<'_>) -> bool {
        // SAFETY: see above.
        unsafe { static_call_shim_same_abi(self.0, function.as_value_ref()) }
    }

    /// Whether the result of this call is returned through memory.
    pub(crate) fn has_sret(self) -> bool {
        // SAFETY: see above.
        unsafe { static_call_shim_has_sret(self.0) }
    }

    /// Gives `function` the attributes of this call that decide how arguments travel.
    pub(crate) fn copy_abi_attributes(self, function: FunctionValue<'_>) {
        // SAFETY: see above; the function has the call's type.
        unsafe { static_call_shim_copy_abi_attributes(self.0, function.as_value_ref()) }
    }

    /// Why this call must stay indirect, if it must.
    pub(crate) fn needs_indirect_call(self) -> Option<&'static str> {
        // SAFETY: see above; the reason is a null pointer or an ASCII constant.
        unsafe {
            let reason = static_call_shim_needs_indirect_call(self.0);
            if reason.is_null() { None } else { CStr::from_ptr(reason).to_str().ok() }
        }
    }

    /// Whether this call has to become a jump.
    pub(crate) fn is_must_tail(self) -> bool {
        // SAFETY: see above.
        unsafe { static_call_shim_is_must_tail(self.0) }
    }

    /// Has this call never become a jump.
    pub(crate) fn prevent_tail_call(self) {
        // SAFETY: see above.
        unsafe { static_call_shim_prevent_tail_call(self.0) }
    }

    /// Makes this call a direct call.
    pub(crate) fn retarget(self, callee: FunctionValue<'_>) {
        // SAFETY: see above; the callee has the call's type.
        unsafe { static_call_shim_retarget(self.0, callee.as_value_ref()) }
    }

    /// Makes a call of this invoke.
    pub(crate) fn call_for_invoke(self) -> Self {
        // SAFETY: see above; the instruction is an invoke.
        Self(unsafe { static_call_shim_call_for_invoke(self.0) })
    }
}

/// Compile error that belongs to no instruction.
pub(crate) fn error(module: &Module<'_>, message: &str) {
    // SAFETY: see above; a null instruction is allowed.
    unsafe {
        static_call_shim_error(module.as_mut_ptr(), std::ptr::null_mut(), message.as_ptr(), message.len());
    }
}

/// Whether code may address the global without a table of the linker's.
pub(crate) fn is_dso_local(global: GlobalValue<'_>) -> bool {
    // SAFETY: see above.
    unsafe { static_call_shim_is_dso_local(global.as_value_ref()) }
}

/// Whether every call of the module is one with a 32-bit displacement.
pub(crate) fn calls_reach(module: &Module<'_>) -> bool {
    // SAFETY: see above.
    unsafe { static_call_shim_calls_reach(module.as_mut_ptr()) }
}

/// Has code generation write this global variable before the module's others.
pub(crate) fn move_to_front(module: &Module<'_>, global: GlobalValue<'_>) {
    // SAFETY: see above; a variable of this module.
    unsafe { static_call_shim_move_to_front(module.as_mut_ptr(), global.as_value_ref()) }
}

/// Gives a function what the module's flags ask of every function: landing pads for indirect branches, say.
pub(crate) fn set_default_attributes(module: &Module<'_>, function: FunctionValue<'_>) {
    // SAFETY: see above; a function of this module.
    unsafe { static_call_shim_set_default_attributes(module.as_mut_ptr(), function.as_value_ref()) }
}

pub(crate) fn append_to_compiler_used(module: &Module<'_>, globals: &[LLVMValueRef]) {
    // SAFETY: see above; the slice has this length.
    unsafe { static_call_shim_append_to_compiler_used(module.as_mut_ptr(), globals.as_ptr(), globals.len()) }
}

/// When an image's constructor and destructor run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AtImage {
    Load,
    Unload,
}

/// Has `function` run when the image is loaded or unloaded, once for each image that keeps `data`.
pub(crate) fn run_at(
    module: &Module<'_>,
    when: AtImage,
    function: FunctionValue<'_>,
    data: GlobalValue<'_>,
    priority: i32,
) {
    let append = match when {
        AtImage::Load => static_call_shim_append_to_constructors,
        AtImage::Unload => static_call_shim_append_to_destructors,
    };
    // SAFETY: see above.
    unsafe {
        append(module.as_mut_ptr(), function.as_value_ref(), data.as_value_ref(), priority);
    }
}

/// Ties a global to another one: the linker keeps or drops them together.
pub(crate) fn set_associated(global: GlobalValue<'_>, with: FunctionValue<'_>) {
    // SAFETY: see above.
    unsafe { static_call_shim_set_associated(global.as_value_ref(), with.as_value_ref()) }
}
