// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/joined.h"
#include "base/key_file.h"
#include "base/log.h"
#include "cli/assistant.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/model_flags.h"
#include "cli/options.h"
#include "cli/run_folder.h"
#include "formats/model_path.h"
#include "generate/remote.h"
#include "local/workbench.h"
#include "recipe/chat.h"
#include "recipe/run_files.h"
#include "serve/http_server.h"
#include "serve/service.h"

namespace selfalign::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kFooter[] =
    R"(An HTTP server with the API that OpenAI's clients speak:
  selfalign serve MODEL                        one model, at
                                               http://127.0.0.1:8000/v1
  selfalign serve runs/smollm2-demo            a run: its adapters, each under
                                               its name, and "base"
  selfalign serve MODEL --adapter a=DIR --adapter b=DIR
  selfalign serve MODEL --host 0.0.0.0 --api-key-file key.txt

  curl -s localhost:8000/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"messages": [{"role": "user", "content": "Why is the sky blue?"}]}'
  lm_eval --model local-completions --tasks TASK --model_args \
    model=NAME,base_url=http://127.0.0.1:8000/v1/completions

A request that names no model gets the first: of a run its last adapter. Others
than this machine are let in only with a key: --api-key-file, or the
environment variable SELFALIGN_API_KEY. Ctrl-C gives the answers at work 15 s to
finish, a second one stops at once. See docs/server.md.)";

struct ServeFlags {
  ModelFlags model;
  std::vector<std::string> adapters;  // NAME=FOLDER
  std::string prompts;
  std::string form = "auto";  // of adapters
  std::string key_file;
  serve::HttpOptions http;
};

struct Adapter {
  std::string name;
  std::string folder;
};

Adapter parse_adapter(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw Error(ErrorKind::kUsage,
                str("--adapter: expected NAME=FOLDER, found ", text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// Before the models, which take a while to open.
void check_names(const std::vector<Adapter>& adapters,
                 const std::string& base) {
  std::set<std::string> seen = {base};
  for (const Adapter& adapter : adapters) {
    if (seen.insert(adapter.name).second) continue;
    throw Error(ErrorKind::kUsage,
                str("--adapter: expected a name of its own for each model, "
                    "found ",
                    adapter.name, " twice; name one otherwise"));
  }
}

std::string base_name(const std::string& path) {
  const fs::path plain = (fs::path(path) / "").lexically_normal().parent_path();
  return formats::is_gguf(path) ? plain.stem() : plain.filename();
}

class Models {
 public:
  explicit Models(const ServeFlags& flags) : flags_(flags) {}

  // The first is what is answered where a request names none.
  std::vector<serve::ModelSpec> open() {
    recipe::ModelOptions& model = flags_.model.model;
    require_model_or_run(model.path);
    std::string base = base_name(model.path);
    std::vector<Adapter> adapters;
    if (recipe::is_run_folder(model.path)) {
      // The last first: it is what the run was for.
      for (const auto& [name, folder] : adapters_of_run(model.path)) {
        adapters.push_back({name, folder});
      }
      run_ = model.path;
      model.path =
          recipe_of_run(model.path).model_for(recipe::Role::kTrain).path;
      base = "base";
    }
    for (const std::string& text : flags_.adapters) {
      adapters.push_back(parse_adapter(text));
    }
    if (generate::is_remote_model(model.path)) {
      throw Error(ErrorKind::kUsage,
                  model.path +
                      ": expected a model on this machine, found a server's; "
                      "give the HF folder or GGUF file");
    }
    if (adapters.empty() && flags_.form != "auto") {
      throw Error(ErrorKind::kUsage,
                  "--form says how adapters are asked, and there is none; add "
                  "--adapter NAME=FOLDER, or leave --form out");
    }
    check_names(adapters, base);
    std::vector<serve::ModelSpec> specs;
    specs.reserve(adapters.size() + 1);
    for (const Adapter& adapter : adapters) {
      specs.push_back(open_one(adapter.name, base, adapter.folder));
    }
    // A bare model first; where a run is served, its assistant.
    const auto at =
        flags_.adapters.size() == adapters.size() ? specs.begin() : specs.end();
    specs.insert(at, open_one(base, "", ""));
    return specs;
  }

 private:
  serve::ModelSpec open_one(const std::string& name, const std::string& parent,
                            const std::string& adapter) {
    stop_if_interrupted("run the same command again");
    const recipe::ModelOptions& model = flags_.model.model;
    Assistant assistant =
        assistant_of({adapter, adapter.empty() ? "auto" : flags_.form,
                      flags_.prompts, run_, model.path});
    serve::ModelSpec spec;
    spec.id = name;
    spec.parent = parent;
    spec.chat = std::move(assistant.prompt);
    spec.sampling = std::move(assistant.sampling);
    spec.generator = workbench_.open_generator(model, adapter);
    spec.tokenizer = workbench_.tokenizer(model.path);
    spec.max_context = static_cast<int>(std::min<int64_t>(
        model.max_context, workbench_.weights(model)->config.max_positions));
    return spec;
  }

  ServeFlags flags_;
  std::string run_;  // folder of the run that is served, if any
  local::LocalWorkbench workbench_;
};

// Never from the command line, which every user of the machine can see.
std::string read_key(const std::string& file) {
  std::string key;
  if (!file.empty()) {
    key = read_key_file(file, 4096);
    while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) {
      key.pop_back();
    }
    if (key.empty()) {
      throw Error(ErrorKind::kUsage,
                  file + ": the key file is empty; write the key into it");
    }
  } else if (const char* given = std::getenv("SELFALIGN_API_KEY")) {
    key = given;
  }
  return key;
}

std::string url_of(const serve::HttpOptions& http, int port) {
  const bool is_ipv6 = http.host.find(':') != std::string::npos;
  return str("http://", is_ipv6 ? "[" + http.host + "]" : http.host, ":", port,
             "/");
}

void announce(const std::vector<std::string>& models, const std::string& url,
              const Shell& shell) {
  if (shell.json) write_json({{"url", url + "v1"}, {"models", models}});
  log_info(str("serving ", joined(models), " at ", url,
               "v1, a page to chat in at ", url, " (Ctrl-C stops)"));
}

void run_server(ServeFlags flags, const Shell& shell) {
  flags.http.api_key = read_key(flags.key_file);
  flags.http.handle_signals = true;
  serve::Metrics metrics(serve::Service::paths());
  // Before the models, which take a while: the address may be taken.
  serve::HttpServer http(flags.http, metrics);
  std::vector<serve::ModelSpec> specs = Models(flags).open();
  stop_if_interrupted("run the same command again");
  std::vector<std::string> models;
  models.reserve(specs.size());
  for (const serve::ModelSpec& spec : specs) models.push_back(spec.id);
  serve::Service service(std::move(specs), {}, metrics);
  announce(models, url_of(flags.http, http.port()), shell);
  http.when_stopping([&service] { service.drain(); });
  http.run([&service](const std::shared_ptr<serve::Exchange>& exchange) {
    service.handle(exchange);
  });
}

}  // namespace

void add_serve(CLI::App& app, Shell& shell) {
  CLI::App* command =
      app.add_subcommand("serve", "Serve a model and its adapters over HTTP");
  auto flags = std::make_shared<ServeFlags>();
  command
      ->add_option("model", flags->model.model.path,
                   "HF folder, GGUF file or the folder of a run")
      ->required();
  command->add_option("--adapter", flags->adapters,
                      "NAME=FOLDER, a PEFT adapter served under NAME; may be "
                      "given again");
  command
      ->add_option("--host", flags->http.host,
                   "address to listen on; one that others reach needs a key")
      ->capture_default_str();
  command->add_option("--port", flags->http.port, "0 takes a free one")
      ->check(in_range(Range<int>{0, 65535}))
      ->capture_default_str();
  command->add_option("--api-key-file", flags->key_file,
                      "file with the key that clients must send; its owner's "
                      "alone (chmod 600)");
  std::vector<std::string> forms = recipe::chat_forms();
  forms.emplace_back("auto");
  command
      ->add_option("--form", flags->form,
                   "short prompt of adapters; auto: what each was trained with")
      ->check(CLI::IsMember(forms))
      ->capture_default_str();
  command->add_option("--prompts", flags->prompts,
                      "folder with meta.yaml; else what the adapters carry");
  flags->model.add_compute(*command);
  flags->model.add_engine(*command);
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell] { run_server(*flags, shell); });
}

}  // namespace selfalign::cli
