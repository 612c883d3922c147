# SPDX-License-Identifier: Apache-2.0
# How every folder of src/ declares itself: one library, one test program.

# selfalign_library(folder [SOURCES a.cc ...] LINK lib ... [TORCH])
# makes selfalign_<folder> of the sources, or else of all there are but tests and
# what is for tests. TORCH gives it libtorch, its include folders and
# the one precompiled header of per-op ATen headers.
function(selfalign_library folder)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;LINK" ${ARGN})
  if(NOT arg_SOURCES)
    file(GLOB arg_SOURCES CONFIGURE_DEPENDS *.cc */*.cc)
    list(FILTER arg_SOURCES EXCLUDE REGEX "_test[.]cc$|/testing[^/]*$")
  endif()
  add_library(selfalign_${folder} STATIC ${arg_SOURCES})
  selfalign_target(selfalign_${folder})
  target_link_libraries(selfalign_${folder} PUBLIC ${arg_LINK})
  if(arg_TORCH)
    selfalign_use_torch(selfalign_${folder})
  else()
    selfalign_precompile(selfalign_${folder} selfalign_base)
  endif()
  if(SELFALIGN_SANITIZER STREQUAL "address")  # coverage, for the fuzzers
    target_compile_options(selfalign_${folder} PRIVATE
                           -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# selfalign_embed(folder file...) makes each file of the folder a string literal
# for #include "<file>.inc".
function(selfalign_embed folder)
  set(made ${CMAKE_CURRENT_BINARY_DIR}/embedded)
  foreach(file ${ARGN})
    file(READ ${file} text)
    file(CONFIGURE OUTPUT ${made}/${file}.inc @ONLY
         CONTENT "R\"~~(@text@)~~\"\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  endforeach()
  target_include_directories(selfalign_${folder} PRIVATE ${made})
endfunction()

# selfalign_test(folder [SOURCES a_test.cc ...] [LINK lib ...] [TORCH])
# makes the program <folder>_test, of all *_test.cc or those named, and registers every test in it with CTest.
function(selfalign_test folder)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;LINK" ${ARGN})
  if(NOT arg_SOURCES)
    file(GLOB arg_SOURCES CONFIGURE_DEPENDS *_test.cc */*_test.cc)
  endif()
  add_executable(${folder}_test ${arg_SOURCES})
  if(arg_TORCH)
    selfalign_target(${folder}_test)
    selfalign_use_torch(${folder}_test)
  else()
    selfalign_test_target(${folder}_test)
  endif()
  target_link_libraries(${folder}_test PRIVATE selfalign_${folder} ${arg_LINK}
                        GTest::gmock GTest::gtest_main)
  add_test(NAME ${folder} COMMAND ${folder}_test --gtest_brief=1
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${folder} PROPERTIES TIMEOUT 1200)
endfunction()

# Most of the compiler's time goes into these: base holds them for all libraries
# without torch, base_test for all tests. (What holds torch has its own.)
function(selfalign_precompile target owner)
  if(NOT target STREQUAL owner)
    target_precompile_headers(${target} REUSE_FROM ${owner})
    return()
  endif()
  set(headers <nlohmann/json.hpp> <algorithm> <filesystem> <functional> <map>
      <memory> <optional> <set> <string> <vector>)
  if(target MATCHES "_test$")
    list(APPEND headers <gtest/gtest.h> <gmock/gmock.h>)
  endif()
  target_precompile_headers(${target} PRIVATE ${headers})
endfunction()

# A program of tests without torch. Unoptimized: it is built more often than it
# takes time.
function(selfalign_test_target target)
  selfalign_target(${target})
  target_compile_options(${target} PRIVATE -O0)
  selfalign_precompile(${target} base_test)
endfunction()

function(selfalign_target target)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow
                         -Wnon-virtual-dtor -Woverloaded-virtual)
  if(SELFALIGN_SANITIZER)
    selfalign_sanitize(${target})
  endif()
endfunction()

function(selfalign_sanitize target)
  set(flags -fsanitize=thread)
  if(SELFALIGN_SANITIZER STREQUAL "address")
    set(flags -fsanitize=address,undefined -fno-sanitize-recover=undefined)
  endif()
  target_compile_options(${target} PRIVATE -O0 -gline-tables-only ${flags})
  target_link_options(${target} PRIVATE ${flags})
endfunction()
