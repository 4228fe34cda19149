# find_package(StaticCall) gives the target StaticCall::static_call: the header, the pass and the runtime.
#
#   find_package(StaticCall REQUIRED)
#   target_link_libraries(app PRIVATE StaticCall::static_call)
#
# The pass is loaded into clang 22. Any other compiler is warned about once, and its static calls go through
# pointers; with StaticCall_REQUIRE_PASS set before find_package() that is an error.

include_guard(GLOBAL)

get_filename_component(StaticCall_PREFIX "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(StaticCall_PASS "${StaticCall_PREFIX}/lib/static-call/libstatic_call_pass.so")
set(StaticCall_LLVM 22)

add_library(StaticCall::static_call STATIC IMPORTED GLOBAL)
set_target_properties(StaticCall::static_call PROPERTIES
  IMPORTED_LOCATION "${StaticCall_PREFIX}/lib/libstatic_call.a"
  INTERFACE_INCLUDE_DIRECTORIES "${StaticCall_PREFIX}/include")

foreach(language IN ITEMS C CXX)
  if(NOT CMAKE_${language}_COMPILER)
    continue()
  endif()
  if(CMAKE_${language}_COMPILER_ID STREQUAL "Clang"
      AND CMAKE_${language}_COMPILER_VERSION MATCHES "^${StaticCall_LLVM}\\.")
    set_property(TARGET StaticCall::static_call APPEND PROPERTY INTERFACE_COMPILE_OPTIONS
      "$<$<COMPILE_LANGUAGE:${language}>:-fpass-plugin=${StaticCall_PASS}>")
  else()
    set(message "static-call: ${CMAKE_${language}_COMPILER_ID} ${CMAKE_${language}_COMPILER_VERSION} cannot load \
the pass, which needs clang ${StaticCall_LLVM}: static calls in ${language} go through pointers. Configure with \
a clang ${StaticCall_LLVM} to make them direct.")
    if(StaticCall_REQUIRE_PASS)
      message(FATAL_ERROR "${message}")
    endif()
    message(WARNING "${message}")
  endif()
endforeach()
