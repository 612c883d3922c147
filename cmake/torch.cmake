# SPDX-License-Identifier: Apache-2.0
# libtorch, declared by hand: torch's own CMake package insists on a CUDA
# toolkit. SELFALIGN_TORCH names the folder that holds include/ and lib/ of a
# torch wheel (2.11 to 2.15); `dev` sets it.
set(SELFALIGN_TORCH "${CMAKE_SOURCE_DIR}/.deps/torch/torch" CACHE PATH
    "folder of an unpacked torch wheel: include/ and lib/")
set(SELFALIGN_TORCH_RUNTIME "" CACHE STRING
    "folders with libcudart and libcupti, which libtorch_cpu.so needs")

set(_v "nothing")
foreach(_file torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(EXISTS "${SELFALIGN_TORCH}/include/${_file}")
    file(STRINGS "${SELFALIGN_TORCH}/include/${_file}" _v
         REGEX "define TORCH_VERSION_M(AJOR|INOR) ")
    string(REGEX REPLACE "[^0-9;]" "" _v "${_v}")
    string(REPLACE ";" "." _v "${_v}")
    break()
  endif()
endforeach()
set(SELFALIGN_TORCH_VERSION "${_v}")
if(NOT _v MATCHES "^[0-9]+[.][0-9]+$" OR _v VERSION_LESS 2.11 OR
   _v VERSION_GREATER 2.15)
  message(FATAL_ERROR "SELFALIGN_TORCH=${SELFALIGN_TORCH}: expected include/ "
          "and lib/ of torch 2.11 to 2.15, found ${_v}; point it at such a "
          "folder, or unset it and run ./dev setup")
endif()
message(STATUS "torch ${SELFALIGN_TORCH_VERSION} in ${SELFALIGN_TORCH}")

foreach(lib c10 torch_cpu)
  add_library(${lib} SHARED IMPORTED)
  set_target_properties(${lib} PROPERTIES
    IMPORTED_LOCATION ${SELFALIGN_TORCH}/lib/lib${lib}.so)
endforeach()

add_library(selfalign_torch INTERFACE)
target_include_directories(selfalign_torch SYSTEM INTERFACE
  ${SELFALIGN_TORCH}/include ${SELFALIGN_TORCH}/include/torch/csrc/api/include)
target_link_libraries(selfalign_torch INTERFACE torch_cpu c10)
target_link_options(selfalign_torch INTERFACE
  "LINKER:--allow-shlib-undefined" "LINKER:--disable-new-dtags")

# One precompiled header serves every target that uses torch.
add_library(selfalign_pch STATIC ${CMAKE_SOURCE_DIR}/src/model/aten.cc)
selfalign_target(selfalign_pch)
target_link_libraries(selfalign_pch PUBLIC selfalign_torch)
target_precompile_headers(selfalign_pch PRIVATE ${CMAKE_SOURCE_DIR}/src/model/aten.h)

function(selfalign_use_torch target)
  target_link_libraries(${target} PUBLIC selfalign_torch)
  set_target_properties(${target} PROPERTIES
    BUILD_RPATH "${SELFALIGN_TORCH}/lib;${SELFALIGN_TORCH_RUNTIME}")
  target_precompile_headers(${target} REUSE_FROM selfalign_pch)
endfunction()
