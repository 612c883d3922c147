// SPDX-License-Identifier: Apache-2.0
#include "cli/subjects.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/joined.h"
#include "cli/assistant.h"
#include "cli/run_folder.h"
#include "cli/sampling_flags.h"
#include "cli/unused_options.h"
#include "eval/forms.h"
#include "eval/items.h"
#include "eval/published_answers.h"
#include "formats/peft.h"
#include "recipe/chat.h"
#include "recipe/run_files.h"
#include "stages/held_out.h"
#include "stages/stage_table.h"
#include "text/words.h"

namespace selfalign::cli {
namespace {

namespace fs = std::filesystem;

// What is known before the subjects are listed.
struct World {
  recipe::ModelOptions model;
  recipe::Prompts prompts;
  recipe::Recipe recipe;  // how the run samples; else the defaults
};

// `variant`: a name of stages::variants(), for the decoding of its stage.
generate::Sampling sampling_of(const World& world, const std::string& variant) {
  generate::Sampling sampling = stages::variant_sampling(world.recipe, variant);
  return sampling;
}

// What is named after a folder, whose name is any bytes, is named in UTF-8, as
// results.json has to.
PlannedSubject subject_of(const std::string& bytes, const std::string& title,
                          const recipe::ModelOptions& model,
                          const std::string& adapter) {
  const std::string name = text::fix_utf8(bytes);
  PlannedSubject planned;
  planned.subject.name = name;
  planned.subject.title = title;
  planned.info = {name, title, model.place(), adapter, ""};
  planned.model = model;
  planned.adapter = adapter;
  return planned;
}

void speak(const World& world, const std::string& form, eval::Subject& out) {
  const bool verbose = form == "final" || form == "verbose";
  const generate::Sampling sampling =
      sampling_of(world, verbose ? "verbose" : "engraved");
  if (form == "none") {
    out.form = eval::chat_form(stages::plain_prompt(), sampling);
  } else {
    out.form =
        eval::chat_form(recipe::chat_form(world.prompts, form), sampling);
  }
}

void speak_as_trained(const World& world, const AssistantChoice& choice,
                      eval::Subject& out) {
  const Assistant assistant = assistant_of(choice);
  const bool verbose = assistant.form == "final" || assistant.form == "verbose";
  out.form = eval::chat_form(
      assistant.prompt, sampling_of(world, verbose ? "verbose" : "engraved"));
}

std::string description_of(const std::string& variant) {
  return stages::find_variant(variant)->description;
}

void add_base(const World& world, std::vector<PlannedSubject>& out) {
  out.push_back(subject_of("base", description_of("base"), world.model, ""));
  speak(world, "none", out.back().subject);
  out.push_back(subject_of("short", description_of("short"), world.model, ""));
  speak(world, "engraved", out.back().subject);
  out.push_back(
      subject_of("prompted", description_of("prompted"), world.model, ""));
  out.back().subject.form =
      eval::prompted_form(world.prompts, sampling_of(world, "prompted"));
}

void add_tunings(const World& world, const std::string& run,
                 const std::string& prompts, std::vector<PlannedSubject>& out) {
  auto adapters = adapters_of_run(run);
  std::reverse(adapters.begin(), adapters.end());  // as they were made
  for (const auto& [name, adapter] : adapters) {
    out.push_back(subject_of(name, description_of(name), world.model, adapter));
    speak_as_trained(world, {adapter, "auto", prompts, run},
                     out.back().subject);
  }
}

// A model's own name, which may be "org/model", as a file can have it.
std::string flat_name(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

// "http://host/v1#name" is "name", a path its last part.
std::string short_name(const std::string& path) {
  const size_t mark = path.rfind('#');
  if (mark != std::string::npos) return flat_name(path.substr(mark + 1));
  return (fs::path(path) / "").lexically_normal().parent_path().stem();
}

void add_model(const SubjectFlags& flags, const World& world,
               const std::string& path, std::vector<PlannedSubject>& out) {
  recipe::ModelOptions model = world.model;
  const recipe::ModelOptions given = flags.compute.model_at(path);
  model.path = path;
  model.servers.clear();
  model.api = given.api;
  model.price = given.price;
  out.push_back(subject_of(short_name(path), path, model, ""));
  if (flags.form == "auto" && formats::is_tuned_model(path)) {
    speak_as_trained(world, {"", "auto", flags.prompts, "", path},
                     out.back().subject);
    return;
  }
  speak(world, flags.form == "auto" ? "none" : flags.form, out.back().subject);
}

void add_adapter(const SubjectFlags& flags, const World& world,
                 const std::string& named, std::vector<PlannedSubject>& out) {
  const size_t mark = named.find('=');
  const std::string folder =
      mark == std::string::npos ? named : named.substr(mark + 1);
  const std::string name =
      mark == std::string::npos ? short_name(folder) : named.substr(0, mark);
  if (!formats::is_tuned_model(folder) &&
      !fs::exists(fs::path(folder) / "adapter_config.json")) {
    throw Error(ErrorKind::kInput,
                str("--adapter ", named,
                    ": expected a PEFT folder with adapter_config.json, found "
                    "none; give FOLDER or NAME=FOLDER"));
  }
  out.push_back(subject_of(name, folder, world.model, folder));
  if (flags.form == "auto") {
    speak_as_trained(world, {folder, "auto", flags.prompts, ""},
                     out.back().subject);
  } else {
    speak(world, flags.form, out.back().subject);
  }
}

void add_answers(const std::string& named, std::vector<PlannedSubject>& out) {
  const size_t mark = named.find('=');
  const std::string path =
      mark == std::string::npos ? named : named.substr(mark + 1);
  auto published = std::make_shared<const eval::PublishedAnswers>(
      eval::read_published_answers(path));
  std::string name = named.substr(0, mark);
  if (mark == std::string::npos) {
    name = published->model.empty() ? fs::path(path).stem().string()
                                    : flat_name(published->model);
  }
  PlannedSubject planned = subject_of(name, "published answers", {}, "");
  planned.info.model = path;
  planned.info.fingerprint = "answers " + published->digest;
  planned.subject.published = std::move(published);
  out.push_back(std::move(planned));
}

World world_of(const SubjectFlags& flags) {
  World world;
  world.model = flags.compute.model;
  world.recipe = recipe::default_recipe();
  world.recipe.comparison.decoding = flags.decoding.own ? "own" : "one";
  if (flags.run.empty()) {
    world.prompts = recipe::load_prompts(find_prompts(flags.prompts, ""));
    if (!flags.models.empty()) {
      world.model = flags.compute.model_at(flags.models[0]);
    }
    return world;
  }
  const recipe::Recipe recipe = recipe_of_run(flags.run);
  world.model =
      flags.compute.over(recipe.model_for(recipe::Role::kEvaluate), *flags.app);
  world.prompts = flags.prompts.empty() ? recipe::run_prompts(recipe)
                                        : recipe::load_prompts(flags.prompts);
  world.recipe.align = recipe.align;
  world.recipe.verbose = recipe.verbose;
  world.recipe.comparison.sampling = recipe.comparison.sampling;
  return world;
}

void check_names(const std::vector<PlannedSubject>& all) {
  std::set<std::string> names;
  for (const PlannedSubject& one : all) {
    eval::require_name("subjects", one.info.name);
    if (names.insert(one.info.name).second) continue;
    throw Error(
        ErrorKind::kUsage,
        str("subjects: expected names that differ, found '", one.info.name,
            "' twice; name an adapter with NAME=FOLDER, answers with "
            "NAME=FILE"));
  }
}

// Those that have a model.
void add_models(const SubjectFlags& flags, std::vector<PlannedSubject>& all) {
  const World world = world_of(flags);
  add_base(world, all);
  if (!flags.run.empty()) add_tunings(world, flags.run, flags.prompts, all);
  for (size_t i = flags.run.empty() ? 1 : 0; i < flags.models.size(); ++i) {
    add_model(flags, world, flags.models[i], all);
  }
  for (const std::string& adapter : flags.adapters) {
    add_adapter(flags, world, adapter, all);
  }
}

// Options that would have no effect.
void check_flags(const SubjectFlags& flags) {
  const bool no_model = flags.run.empty() && flags.models.empty();
  if (no_model && flags.answers.empty()) {
    throw Error(ErrorKind::kUsage,
                "evaluate: expected a run folder, --model or --answers, found "
                "none of them");
  }
  if (no_model && !flags.adapters.empty()) {
    throw Error(ErrorKind::kUsage,
                str("--adapter ", flags.adapters[0],
                    ": expected a model that it is put into, found published "
                    "answers alone; add --model or a run"));
  }
  if (no_model) {
    refuse_given(
        *flags.app,
        {"--form", "--decoding", "--temperature", "--top-p", "--max-tokens",
         "--repetition-penalty", "--prompts", "--slots", "--max-context"},
        "with published answers alone");
  }
  // Of what is not named here the form is known: base, short, prompted, ...
  const size_t num_named = flags.models.size() + (flags.run.empty() ? 0 : 1);
  if (num_named < 2 && flags.adapters.empty()) {
    refuse_given(*flags.app, {"--form"},
                 "without an adapter or a model beside the base");
  }
  if (flags.decoding.own && flags.decoding.given.any()) {
    throw Error(ErrorKind::kUsage,
                "--decoding own: expected each subject's own sampling, found "
                "--temperature or the like, which is for all; leave out one of "
                "them");
  }
}

// The same of those that are of some models alone.
void check_use(const SubjectFlags& flags,
               const std::vector<PlannedSubject>& all) {
  std::vector<std::string> paths;
  for (const PlannedSubject& one : all) {
    if (one.subject.published) continue;
    const std::vector<std::string> places = one.model.addresses();
    paths.insert(paths.end(), places.begin(), places.end());
  }
  flags.compute.check_use(*flags.app, paths);
}

std::vector<PlannedSubject> chosen(std::vector<PlannedSubject> all,
                                   const std::vector<std::string>& names) {
  if (names.empty()) return all;
  std::vector<PlannedSubject> out;
  for (const std::string& name : names) {
    const auto found = std::find_if(
        all.begin(), all.end(),
        [&](const PlannedSubject& one) { return one.info.name == name; });
    if (found != all.end()) {
      out.push_back(*found);
      continue;
    }
    const std::string known = joined(
        all, ", ", [](const PlannedSubject& one) { return one.info.name; });
    throw Error(ErrorKind::kUsage, str("--subjects: expected some of ", known,
                                       ", found '", name, "'"));
  }
  return out;
}

}  // namespace

void SubjectFlags::add(CLI::App& command) {
  app = &command;
  command.add_option("run", run, "run folder: its models are asked");
  command.add_option(
      "--model", models,
      "HF folder, GGUF file or http://HOST:PORT/v1#NAME, instead of a run or "
      "beside its models");
  command.add_option("--adapter", adapters,
                     "NAME=FOLDER of a PEFT adapter of the base model");
  command.add_option("--answers", answers,
                     "NAME=FILE of answers that others published, as FastChat "
                     "writes them; put beside those of models");
  command
      .add_option("--subjects", subjects,
                  "ask these alone: base, prompted, engraved, verbose, tuned "
                  "or a name given here")
      ->delimiter(',');
  std::vector<std::string> forms = recipe::chat_forms();
  forms.emplace_back("auto");
  command
      .add_option("--form", form,
                  "short prompt of adapters, and of models beside the base; "
                  "auto: what an adapter was trained with, none for a model")
      ->check(CLI::IsMember(forms))
      ->capture_default_str();
  command.add_option("--prompts", prompts,
                     "folder of prompts; else the run's own, or prompts/");
  command
      .add_option(
          "--decoding",
          [this](const std::vector<std::string>& given) {
            decoding.own = given.at(0) == "own";
            return true;
          },
          "one: all subjects alike; own: each as its stage samples, "
          "which is then a part of what differs")
      ->check(CLI::IsMember({"one", "own"}))
      ->default_str("one");
  add_sampling(command, decoding.given,
               "what a benchmark publishes, or 0.7, or the run's own");
  command.add_flag("--allow-command", allow_command,
                   "run the command that has the run's servers load a model");
  compute.add_compute(command);
  compute.add_engine(command);
  compute.add_api(command);
  compute.add_price(command);
}

std::vector<PlannedSubject> plan_subjects(const SubjectFlags& flags) {
  check_flags(flags);
  std::vector<PlannedSubject> published;
  for (const std::string& named : flags.answers) add_answers(named, published);
  std::vector<PlannedSubject> all;
  if (!flags.run.empty() || !flags.models.empty()) add_models(flags, all);
  all.insert(all.end(), published.begin(), published.end());
  check_names(all);
  check_use(flags, all);
  return chosen(std::move(all), flags.subjects);
}

OpenModel::OpenModel(const std::string& run, bool allow_command)
    : allow_command_(allow_command) {
  if (run.empty()) return;
  recipe_ = recipe_of_run(run);
  store_ = store::Reader::open(run);
}

// Whether the run's servers answer for it.
bool OpenModel::is_of_run(const recipe::ModelOptions& model) const {
  if (!recipe_ || !model.is_served()) return false;
  const recipe::ModelOptions own = recipe_->model_for(recipe::Role::kEvaluate);
  return model.path == own.path && model.servers == own.servers;
}

void OpenModel::check(const std::vector<PlannedSubject>& subjects) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const PlannedSubject& planned : subjects) {
    if (planned.subject.published) continue;
    if (!seen.insert({planned.model.place(), planned.adapter}).second) continue;
    if (is_of_run(planned.model) && !recipe_->serve.reload.empty()) {
      // That starts them, with each adapter, when its turn comes.
      require_allowed(reload_of(*recipe_), *recipe_, allow_command_);
    } else {
      workbench_.check_model(planned.model, planned.adapter, false);
    }
  }
}

bool OpenModel::open(PlannedSubject& planned) {
  if (planned.subject.published) return false;
  const std::string name = planned.model.place() + "\n" + planned.adapter;
  const bool is_new = !generator_ || name_ != name;
  if (is_new) {
    generator_.reset();
    generator_ = open_generator(planned);
    name_ = name;
  }
  planned.subject.generator = generator_.get();
  planned.info.fingerprint = generator_->fingerprint();
  return is_new;
}

// The models of a run are held against its base where servers answer.
std::unique_ptr<generate::Generator> OpenModel::open_generator(
    const PlannedSubject& planned) {
  if (!is_of_run(planned.model)) {
    return workbench_.open_generator(planned.model, planned.adapter);
  }
  if (!served_) served_.emplace(*recipe_, workbench_, store_.get(), nullptr);
  return served_->open(planned.adapter.empty() ? "base" : planned.info.name,
                       planned.model, planned.adapter);
}

}  // namespace selfalign::cli
