# find_package(StaticCall) gives the target StaticCall::static_call: the header, the pass and the runtime.
#
#   find_package(StaticCall 0.1 REQUIRED)
#   target_link_libraries(app PRIVATE StaticCall::static_call)
#
# StaticCall::static_call_shared has the runtime as a shared library instead of a static one.
#
# The pass is loaded into clang 22. Other compilers are warned about once, and their static calls go through pointers;
# with StaticCall_REQUIRE_PASS set before find_package() that is an error.
#
# A target with the property INTERPROCEDURAL_OPTIMIZATION is linked by LLD with the pass, since the linker makes its code.

cmake_policy(VERSION 3.18...4.0) # find_package() gives its caller's back.

set(StaticCall_LLVM 22)
get_filename_component(StaticCall_PREFIX "${CMAKE_CURRENT_LIST_DIR}" REALPATH) # /lib may be a link to /usr/lib.
get_filename_component(StaticCall_PREFIX "${StaticCall_PREFIX}/../../.." ABSOLUTE)
set(StaticCall_PASS "${StaticCall_PREFIX}/lib/static-call/libstatic_call_pass.so")

function(_StaticCall_warn_once about message)
  get_property(warned GLOBAL PROPERTY StaticCall_WARNED_${about})
  if(NOT warned)
    message(WARNING "static-call: ${message}")
    set_property(GLOBAL PROPERTY StaticCall_WARNED_${about} TRUE)
  endif()
endfunction()

# What cannot be lowered? Each find_package() looks again: it may know more languages, or require the pass.
function(_StaticCall_check)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" config)
  set(others "")
  set(flags "")
  foreach(language IN ITEMS C CXX)
    set(id "${CMAKE_${language}_COMPILER_ID}")
    set(version "${CMAKE_${language}_COMPILER_VERSION}")
    if(NOT CMAKE_${language}_COMPILER)
      continue()
    elseif(id STREQUAL "Clang" AND version MATCHES "^${StaticCall_LLVM}\\.")
      string(APPEND flags " ${CMAKE_${language}_FLAGS} ${CMAKE_${language}_FLAGS_${config}}")
    else()
      list(APPEND others "${language} (${id} ${version})")
    endif()
  endforeach()

  if(others)
    list(JOIN others " and " others)
    set(message "the compiler of ${others} cannot load the pass, which needs clang ${StaticCall_LLVM}: its static calls \
go through pointers. Configure with a clang ${StaticCall_LLVM} to make them direct.")
    if(StaticCall_REQUIRE_PASS)
      message(FATAL_ERROR "static-call: ${message}")
    endif()
    _StaticCall_warn_once(COMPILER "${message}")
  endif()
  if(flags MATCHES " -flto" AND NOT "${CMAKE_EXE_LINKER_FLAGS}${CMAKE_SHARED_LINKER_FLAGS}" MATCHES "load-pass-plugin")
    _StaticCall_warn_once(LTO "with -flto among the compiler's flags the linker makes the code, and without the pass: \
static calls stay on their trampolines. Set CMAKE_INTERPROCEDURAL_OPTIMIZATION instead, or link with LLD \
${StaticCall_LLVM} and its flag --load-pass-plugin=${StaticCall_PASS}.")
  endif()
endfunction()
_StaticCall_check()

# The pass's hash is among the flags: so another pass has all compiled anew, here and in compilation caches.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${StaticCall_PASS}")

function(_StaticCall_add_targets)
  # The flags are conditional, since languages may be enabled and properties set later.
  math(EXPR next "${StaticCall_LLVM} + 1")
  file(SHA256 "${StaticCall_PASS}" hash)
  string(SUBSTRING ${hash} 0 16 hash)
  set(compile "-fpass-plugin=${StaticCall_PASS}" "-DSTATIC_CALL_PASS=0x${hash}")
  set(link "-fuse-ld=lld" "LINKER:--load-pass-plugin=${StaticCall_PASS}")
  set(is_optimized "$<TARGET_PROPERTY:INTERPROCEDURAL_OPTIMIZATION>")
  set(is_config_optimized "$<TARGET_PROPERTY:INTERPROCEDURAL_OPTIMIZATION_$<UPPER_CASE:$<CONFIG>>>")
  set(is_optimized "$<BOOL:$<IF:$<STREQUAL:${is_config_optimized},>,${is_optimized},${is_config_optimized}>>")

  add_library(StaticCall::pass INTERFACE IMPORTED GLOBAL)
  set_target_properties(StaticCall::pass PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${StaticCall_PREFIX}/include")
  foreach(language IN ITEMS C CXX)
    set(version "$<${language}_COMPILER_VERSION>")
    set(has_pass "$<${language}_COMPILER_ID:Clang>")
    string(APPEND has_pass ",$<VERSION_GREATER_EQUAL:${version},${StaticCall_LLVM}>,$<VERSION_LESS:${version},${next}>")
    set_property(TARGET StaticCall::pass APPEND PROPERTY INTERFACE_COMPILE_OPTIONS
      "$<$<AND:$<COMPILE_LANGUAGE:${language}>,${has_pass}>:${compile}>")
    set_property(TARGET StaticCall::pass APPEND PROPERTY INTERFACE_LINK_OPTIONS
      "$<$<AND:$<LINK_LANGUAGE:${language}>,${has_pass},${is_optimized}>:${link}>")
  endforeach()

  add_library(StaticCall::static_call STATIC IMPORTED GLOBAL)
  set_target_properties(StaticCall::static_call PROPERTIES
    IMPORTED_LOCATION "${StaticCall_PREFIX}/lib/libstatic_call.a"
    INTERFACE_LINK_LIBRARIES StaticCall::pass)
  add_library(StaticCall::static_call_shared SHARED IMPORTED GLOBAL)
  set_target_properties(StaticCall::static_call_shared PROPERTIES
    IMPORTED_LOCATION "${StaticCall_PREFIX}/lib/libstatic_call.so"
    INTERFACE_LINK_LIBRARIES StaticCall::pass)
endfunction()
if(NOT TARGET StaticCall::static_call)
  _StaticCall_add_targets()
endif()
