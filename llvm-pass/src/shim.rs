//! The C++ shim (`cpp/shim.h`), seen from Rust.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use inkwell::module::Module;
use inkwell::values::{AsValueRef, FunctionValue, GlobalValue, StructValue};
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

/// Declares the functions as the fields of `Shim`, and as functions that call those of the chosen one.
macro_rules! functions {
    ($($visible:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        /// `StaticCallShim` of `cpp/shim.h`: the functions as they were compiled for one LLVM.
        #[repr(C)]
        #[derive(Debug)]
        pub(crate) struct Shim {
            $($name: unsafe extern "C" fn($($argument: $type),*) $(-> $result)?,)*
        }
        $($visible unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            // SAFETY: the caller's promise, which is the same for each LLVM.
            unsafe { (chosen().$name)($($argument),*) }
        })*
    };
}

// In the order of `cpp/shim.h`, which the build script checks.
functions! {
    pub(crate) fn static_call_shim_register(builder: *mut c_void);
    pub(crate) fn static_call_shim_register_machine_stage();
    fn static_call_shim_has_machine_stage(module: LLVMModuleRef) -> bool;
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
    fn static_call_shim_hardens_loads(site: LLVMValueRef) -> bool;
    fn static_call_shim_returns_with_care(site: LLVMValueRef) -> bool;
    fn static_call_shim_is_must_tail(site: LLVMValueRef) -> bool;
    fn static_call_shim_prevent_tail_call(site: LLVMValueRef);
    fn static_call_shim_retarget(site: LLVMValueRef, callee: LLVMValueRef);
    fn static_call_shim_type_check(site: LLVMValueRef, hash: *mut u32) -> bool;
    fn static_call_shim_drop_type_check(site: LLVMValueRef) -> LLVMValueRef;
    fn static_call_shim_replace_type(function: LLVMValueRef, hash: u32) -> bool;
    fn static_call_shim_call_for_invoke(invoke: LLVMValueRef) -> LLVMValueRef;
    fn static_call_shim_is_dso_local(global: LLVMValueRef) -> bool;
    fn static_call_shim_calls_reach(module: LLVMModuleRef) -> bool;
    fn static_call_shim_allocates_across_functions() -> bool;
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
    fn static_call_shim_set_prefix_data(function: LLVMValueRef, data: LLVMValueRef);
    fn static_call_shim_set_associated(global: LLVMValueRef, with: LLVMValueRef);
}

// From the build script: `FACTS`, and `for_llvm`, which has the shim of a major version.
include!(concat!(env!("OUT_DIR"), "/shims.rs"));

static CHOSEN: OnceLock<&'static Shim> = OnceLock::new();

/// The shim of this process's LLVM.
fn chosen() -> &'static Shim {
    CHOSEN.get().expect("the host was examined before it got any of our functions")
}

/// Chooses the shim of a major version of LLVM, which is this process's. False if there is none.
pub(crate) fn choose(llvm_major: c_uint) -> bool {
    let Some(shim) = for_llvm(llvm_major) else { return false };
    // A process has one LLVM, so whatever was chosen before is the same.
    CHOSEN.get_or_init(|| shim);
    true
}

/// The versions of LLVM that have a shim, as `19, 22`.
pub(crate) fn llvms() -> &'static str {
    // `static_call_abi::pass_llvms` and `pass_version` look for the whole text in the plugin's file.
    let facts = std::hint::black_box(FACTS);
    static_call_abi::pass_llvms(facts.as_bytes()).expect("the build script lists them")
}

/// An instruction of the user's code: a call of the intrinsic or a call through its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction(pub(crate) LLVMValueRef);

/// Base and sum of the constant offsets of a pointer.
pub(crate) fn strip_offsets(module: &Module<'_>, pointer: LLVMValueRef) -> (LLVMValueRef, i64) {
    let mut offset = 0;
    // SAFETY: the module and the value are alive, and the intrinsic's argument is a pointer.
    let base = unsafe { static_call_shim_strip_offsets(module.as_mut_ptr(), pointer, &raw mut offset) };
    (base, offset)
}

pub(crate) fn is_thread_local_address(value: LLVMValueRef) -> bool {
    // SAFETY: the value is alive, and may be of any kind.
    unsafe { static_call_shim_is_thread_local_address(value) }
}

impl Instruction {
    /// Remark that a static call was lowered here.
    pub(crate) fn remark_lowered(self, message: &str) {
        // SAFETY: the instruction is alive, and the message has this length.
        unsafe { static_call_shim_remark(self.0, true, message.as_ptr(), message.len()) }
    }

    /// Remark that a static call stays an indirect call, and why.
    pub(crate) fn remark_missed(self, message: &str) {
        // SAFETY: the instruction is alive, and the message has this length.
        unsafe { static_call_shim_remark(self.0, false, message.as_ptr(), message.len()) }
    }

    /// Compile error at this place.
    pub(crate) fn error(self, module: &Module<'_>, message: &str) {
        // SAFETY: the instruction is alive, and the message has this length.
        unsafe {
            static_call_shim_error(module.as_mut_ptr(), self.0, message.as_ptr(), message.len());
        }
    }

    /// `file:line:column`, or the function's name if there is no debug information.
    pub(crate) fn location(self) -> String {
        let mut buffer = [0; 1024];
        // SAFETY: the instruction is alive, and the buffer has this capacity.
        let length = unsafe { static_call_shim_location(self.0, buffer.as_mut_ptr(), buffer.len()) };
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Whether this call and `function` pass arguments the same way.
    pub(crate) fn same_abi(self, function: FunctionValue<'_>) -> bool {
        // SAFETY: the instruction is a call, and alive.
        unsafe { static_call_shim_same_abi(self.0, function.as_value_ref()) }
    }

    /// Whether the result of this call is returned through memory.
    pub(crate) fn has_sret(self) -> bool {
        // SAFETY: the instruction is a call, and alive.
        unsafe { static_call_shim_has_sret(self.0) }
    }

    /// Gives `function` the attributes of this call that decide how arguments are passed.
    pub(crate) fn copy_abi_attributes(self, function: FunctionValue<'_>) {
        // SAFETY: the call and the function are alive, and have the same type.
        unsafe { static_call_shim_copy_abi_attributes(self.0, function.as_value_ref()) }
    }

    /// Whether the function that this call is in hardens its loads against speculation.
    pub(crate) fn hardens_loads(self) -> bool {
        // SAFETY: the instruction is a call, and alive.
        unsafe { static_call_shim_hardens_loads(self.0) }
    }

    /// Whether the function that this call is in must not end with a plain return.
    pub(crate) fn returns_with_care(self) -> bool {
        // SAFETY: the instruction is a call, and alive.
        unsafe { static_call_shim_returns_with_care(self.0) }
    }

    /// Whether this call must become a jump.
    pub(crate) fn is_must_tail(self) -> bool {
        // SAFETY: the instruction is a call, and alive.
        unsafe { static_call_shim_is_must_tail(self.0) }
    }

    /// Keeps this call from becoming a jump.
    pub(crate) fn prevent_tail_call(self) {
        // SAFETY: the instruction is a call, and alive.
        unsafe { static_call_shim_prevent_tail_call(self.0) }
    }

    /// Makes this call a direct call.
    pub(crate) fn retarget(self, callee: FunctionValue<'_>) {
        // SAFETY: the call and the callee are alive, and have the same type.
        unsafe { static_call_shim_retarget(self.0, callee.as_value_ref()) }
    }

    /// The hash that this call expects before its target, if a trampoline can check it instead.
    pub(crate) fn expected_type(self) -> Option<u32> {
        let mut hash = 0;
        // SAFETY: the instruction is a call, and alive; the number outlives the function.
        let has_one = unsafe { static_call_shim_type_check(self.0, &raw mut hash) };
        has_one.then_some(hash)
    }

    /// Replaces this call, which has a hash, by one that expects none.
    pub(crate) fn without_type_check(self) -> Self {
        // SAFETY: the instruction is a call with such a bundle, and alive. It is gone afterwards.
        Self(unsafe { static_call_shim_drop_type_check(self.0) })
    }

    /// Turns this invoke into a call.
    pub(crate) fn call_for_invoke(self) -> Self {
        // SAFETY: the instruction is an invoke, and alive.
        Self(unsafe { static_call_shim_call_for_invoke(self.0) })
    }
}

/// Compile error that belongs to no instruction.
pub(crate) fn error(module: &Module<'_>, message: &str) {
    // SAFETY: the module is alive, the message has this length, and the instruction may be null.
    unsafe {
        static_call_shim_error(module.as_mut_ptr(), std::ptr::null_mut(), message.as_ptr(), message.len());
    }
}

/// Whether the machine stage sees what becomes of the module.
pub(crate) fn has_machine_stage(module: &Module<'_>) -> bool {
    // SAFETY: the module is alive.
    unsafe { static_call_shim_has_machine_stage(module.as_mut_ptr()) }
}

/// Whether code may address the global without the GOT.
pub(crate) fn is_dso_local(global: GlobalValue<'_>) -> bool {
    // SAFETY: a global of the module, alive.
    unsafe { static_call_shim_is_dso_local(global.as_value_ref()) }
}

/// Whether calls in the module's code model are direct and reach the tables.
pub(crate) fn calls_reach(module: &Module<'_>) -> bool {
    // SAFETY: the module is alive.
    unsafe { static_call_shim_calls_reach(module.as_mut_ptr()) }
}

/// Whether code generation allocates registers across functions.
pub(crate) fn allocates_across_functions() -> bool {
    // SAFETY: the function only reads LLVM's options.
    unsafe { static_call_shim_allocates_across_functions() }
}

/// Moves this global variable before the module's others, in which order code generation writes them.
pub(crate) fn move_to_front(module: &Module<'_>, global: GlobalValue<'_>) {
    // SAFETY: a variable of this module, alive.
    unsafe { static_call_shim_move_to_front(module.as_mut_ptr(), global.as_value_ref()) }
}

/// Gives a function the attributes that the module's flags ask of every function, such as landing pads.
pub(crate) fn set_default_attributes(module: &Module<'_>, function: FunctionValue<'_>) {
    // SAFETY: a function of this module, alive.
    unsafe { static_call_shim_set_default_attributes(module.as_mut_ptr(), function.as_value_ref()) }
}

pub(crate) fn append_to_compiler_used(module: &Module<'_>, globals: &[LLVMValueRef]) {
    // SAFETY: the module and the globals are alive, and the slice has this length.
    unsafe { static_call_shim_append_to_compiler_used(module.as_mut_ptr(), globals.as_ptr(), globals.len()) }
}

/// When an image's constructor and destructor run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AtImage {
    Load,
    Unload,
}

/// Runs before the program's own constructors (65535 by default), which may already call and update keys.
/// Priorities 0 to 100 belong to the implementation.
const PRIORITY: c_int = 101;

/// Makes `function` run when the image is loaded or unloaded: once for each image that keeps `data`, or once
/// for each object.
pub(crate) fn run_at(
    module: &Module<'_>,
    when: AtImage,
    function: FunctionValue<'_>,
    data: Option<GlobalValue<'_>>,
) {
    let append = match when {
        AtImage::Load => static_call_shim_append_to_constructors,
        AtImage::Unload => static_call_shim_append_to_destructors,
    };
    let data = data.map_or(std::ptr::null_mut(), |data| data.as_value_ref());
    // SAFETY: the module, the function and the data are alive, or there are no data.
    unsafe {
        append(module.as_mut_ptr(), function.as_value_ref(), data, PRIORITY);
    }
}

/// Sets what precedes a function's code.
pub(crate) fn set_prefix_data(function: FunctionValue<'_>, data: StructValue<'_>) {
    // SAFETY: the function is alive, and the data is a constant.
    unsafe { static_call_shim_set_prefix_data(function.as_value_ref(), data.as_value_ref()) }
}

/// Gives a function that has the hash of a type another one. False if it has none.
pub(crate) fn replace_type(function: FunctionValue<'_>, hash: u32) -> bool {
    // SAFETY: the function is alive.
    unsafe { static_call_shim_replace_type(function.as_value_ref(), hash) }
}

/// Associates a global with a function: the linker keeps or drops them together.
pub(crate) fn set_associated(global: GlobalValue<'_>, with: FunctionValue<'_>) {
    // SAFETY: both are alive.
    unsafe { static_call_shim_set_associated(global.as_value_ref(), with.as_value_ref()) }
}
