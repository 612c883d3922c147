// SPDX-License-Identifier: Apache-2.0
// A model for other programs: the base with an adapter merged in as an HF
// folder or a GGUF file, or the adapter itself as PEFT resolves it; each with
// the tokenizer, the prompt that it was trained under as a chat template, a
// Modelfile for ollama, a card and a manifest. The folder appears whole or not
// at all.
#pragma once

#include "export/model_parts.h"
#include "export/model_tensors.h"

namespace selfalign::exports {

// `delta`: of the adapter, null without one. Error kUsage for a folder that is
// there, a type that the form does not have, an adapter's base that PEFT could
// not find; kInput for what is wrong in a file, or has no place in another
// form; kDamaged where an adapter of a run is not what the run made.
ModelReport export_model(const ModelOptions& options, const Delta* delta);

// A model whose weights were all tuned, as an HF folder that others tune, serve
// and export: options' base, type and folder alone are asked for. A folder that
// a stopped command left is made anew.
void write_tuned_model(const ModelOptions& options, const Delta& tuned);
// Errors that write_tuned_model would end with, told before there is anything
// to lose.
void check_tuned_model(const ModelOptions& options);

}  // namespace selfalign::exports
