// SPDX-License-Identifier: Apache-2.0
#include "stages/run.h"

#include "base/error.h"
#include "base/own_file.h"
#include "recipe/run_files.h"
#include "stages/stage_table.h"

namespace selfalign::stages {

namespace {

// A model behind servers that have another name for it now: rows' keys go by
// the one that they had.
class KnownAs final : public generate::Generator {
 public:
  KnownAs(std::string fingerprint, std::unique_ptr<generate::Generator> of)
      : fingerprint_(std::move(fingerprint)), of_(std::move(of)) {}

  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    of_->generate(next, done);
  }
  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>& requests) override {
    return of_->score(requests);
  }
  void check(const generate::Request& request) const override {
    of_->check(request);
  }
  std::string fingerprint() const override { return fingerprint_; }
  int count_tokens(const std::string& text) const override {
    return of_->count_tokens(text);
  }
  std::vector<int> token_ids(const std::string& text) const override {
    return of_->token_ids(text);
  }
  int count_part(const generate::Completion& whole,
                 const std::string& part) const override {
    return of_->count_part(whole, part);
  }
  bool chats_only() const override { return of_->chats_only(); }
  bool scores_together() const override { return of_->scores_together(); }

 private:
  const std::string fingerprint_;
  const std::unique_ptr<generate::Generator> of_;
};

}  // namespace

std::string model_name(const std::string& name,
                       const recipe::ModelOptions& model) {
  return model.role.empty() ? name : name + "." + model.role;
}

generate::Generator& Models::base(recipe::Role role) {
  return open("base", recipe_.model_for(role), "");
}

generate::Generator& Models::tuned(const std::string& folder,
                                   recipe::Role role) {
  const Variant* variant = find_variant(folder);
  SELFALIGN_CHECK(variant != nullptr, folder);
  const std::string result = variant->result(recipe_);
  require_own_path(store_.folder(), result);
  return open(folder, recipe_.model_for(role), store_.folder() + "/" + result);
}

void Models::close() {
  generator_.reset();
  name_.clear();
}

generate::Generator& Models::open(const std::string& name,
                                  const recipe::ModelOptions& model,
                                  const std::string& adapter) {
  const std::string own = model_name(name, model);
  if (generator_ && name_ == own) return *generator_;
  close();
  generator_ = served_.open(name, model, adapter);
  name_ = own;
  check_fingerprint(own);
  recipe::keep_places(recipe_, store_.folder());
  return *generator_;
}

void Models::check_fingerprint(const std::string& name) {
  const std::string key = "fingerprint." + name;
  const std::string found = generator_->fingerprint();
  const auto expected = store_.meta(key);
  if (!expected) return store_.set_meta(key, found);
  // What servers call a model says less than the probe, which was compared.
  const std::string base = name.substr(0, name.find('.'));
  if (*expected == found) return;
  if (expected->starts_with(generate::kRemote) &&
      found.starts_with(generate::kRemote) &&
      expected->ends_with(", chat") == found.ends_with(", chat") &&
      store_.meta("probe." + base)) {
    generator_ = std::make_unique<KnownAs>(*expected, std::move(generator_));
    return;
  }
  throw Error(ErrorKind::kUsage,
              str(store_.folder(), ": expected the ", name,
                  " model this run was begun with, found another (",
                  recipe::fingerprint_difference(*expected, found),
                  "); go on with that model, device and version, or make a run "
                  "of this one: selfalign resume ",
                  store_.folder(), " --fork NEW --recipe RECIPE"));
}

}  // namespace selfalign::stages
