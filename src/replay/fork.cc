// SPDX-License-Identifier: Apache-2.0
#include "replay/fork.h"

#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "stages/pipeline.h"
#include "store/checks.h"

namespace selfalign::replay {
namespace {

namespace fs = std::filesystem;
using store::Reader;
using store::Store;

constexpr char kOf[] = "fork.of";
constexpr char kFrom[] = "fork.from";

}  // namespace

std::unique_ptr<Store> open_fork(const recipe::Recipe& recipe,
                                 const std::string& of,
                                 const std::string& from_stage) {
  const auto other = Reader::open(of);
  store::require_sealed(*other);
  if (!from_stage.empty()) {
    ReplayWorkbench(*other, nullptr).redo_from(from_stage);
  }
  const std::string source = fs::canonical(of).string();
  if (fs::weakly_canonical(recipe.run_folder) == source) {
    throw Error(ErrorKind::kUsage,
                recipe.run_folder +
                    ": expected a folder for the new run, found the run it is "
                    "to be forked from; name another");
  }
  auto store = stages::open_run(recipe);
  const auto known = store->meta(kOf);
  if (known ? *known != source || store->meta(kFrom) != from_stage
            : !store->stages().empty()) {
    throw Error(
        ErrorKind::kUsage,
        str(recipe.run_folder, ": expected a new folder or this fork, found ",
            known ? "a fork of " + *known : std::string("another run"),
            "; name another folder, or go on with that one: selfalign resume ",
            recipe.run_folder));
  }
  store->transaction([&] {
    store->set_meta(kOf, source);
    store->set_meta(kFrom, from_stage);
  });
  return store;
}

Inheritance::Inheritance(Store& store, stages::Workbench& rest)
    : store_(store), rest_(rest) {
  const auto of = store.meta(kOf);
  if (!of) return;
  if (!fs::exists(*of + "/run.db")) {
    log_warning(str(*of,
                    ": expected the run this one is a fork of, found "
                    "none; what it made is made anew"));
    return;
  }
  of_ = Reader::open(*of);
  store::require_sealed(*of_);
  bench_ = std::make_unique<ReplayWorkbench>(*of_, &rest);
  const std::string from = store.meta(kFrom).value_or("");
  if (!from.empty()) bench_->redo_from(from);
  store.set_annotation_source(of_.get());
}

Inheritance::~Inheritance() {
  if (!bench_) return;
  store_.set_annotation_source(nullptr);
  log_info(str("taken over from ", of_->folder(), ": ",
               bench_->num_completions(), " completions, ",
               bench_->num_adapters(), " adapters"));
}

}  // namespace selfalign::replay
