// SPDX-License-Identifier: Apache-2.0
#include "judge/judge.h"

#include <unordered_map>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "judge/verdict.h"

namespace selfalign::judge {
namespace {

constexpr char kVersion[] = "judge 1";  // changes when a verdict would

bool has_marks(const JudgeLayout& layout) {
  return layout.before.find("<|") != std::string::npos;
}

// The special tokens of the layout's model; "<|" is in those of chats.
std::vector<std::string> marks_of(const JudgeOptions& options) {
  if (!has_marks(options.layout)) return {};
  std::vector<std::string> marks = {"<|"};
  for (int id = 0; options.tokenizer && id < options.tokenizer->size(); ++id) {
    if (!options.tokenizer->is_special(id)) continue;
    std::string text = options.tokenizer->decode_token(id, true);
    if (text.size() > 1 && !text.starts_with("<|")) marks.push_back(text);
  }
  return marks;
}

// Marks of a chat layout must not come from the texts that are judged.
std::string without_marks(std::string text,
                          const std::vector<std::string>& marks) {
  for (const std::string& mark : marks) {
    for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos;) {
      text.insert(++at, " ");
    }
  }
  return text;
}

std::vector<int> with_marks(const std::string& text,
                            const text::Tokenizer& tokenizer) {
  std::vector<int> ids = tokenizer.encode(text, true);
  if (tokenizer.adds_bos()) ids.insert(ids.begin(), tokenizer.bos());
  return ids;
}

}  // namespace

Json read_verdict(const std::string& role, const std::string& text) {
  if (role.starts_with("pair")) {
    const Verdict verdict = parse_pair(text);
    return verdict == Verdict::kNone ? Json() : Json(verdict_name(verdict));
  }
  if (role.starts_with("single")) {
    const auto rating = parse_rating(text);
    return rating ? Json(*rating) : Json();
  }
  const auto answer = parse_yes_no(text);
  return answer ? Json(*answer) : Json();
}

Judge::Judge(JudgeOptions options, eval::ItemLog* log)
    : options_(std::move(options)), log_(log), marks_(marks_of(options_)) {
  SELFALIGN_CHECK(options_.generator != nullptr);
}

generate::Request Judge::request_of(const Inquiry& inquiry) {
  const auto found = options_.prompts.prompts.find(inquiry.role);
  SELFALIGN_CHECK(found != options_.prompts.prompts.end(), inquiry.role);
  const JudgePrompt& prompt = found->second;
  const JudgeLayout& layout = options_.layout;
  auto& prefix = prefixes_[prompt.system];
  if (!prefix) {
    prefix = std::make_shared<const std::string>(layout.before + prompt.system +
                                                 layout.between);
  }
  text::Values values;
  for (const auto& [name, value] : inquiry.values) {
    values[name] = without_marks(value, marks_);
  }
  generate::Request request;
  request.prefix = prefix;
  const std::string text = fill_judge_prompt(prompt, values);
  request.suffix = text + layout.after;
  request.messages = {{"system", prompt.system}, {"user", text}};
  if (options_.tokenizer && has_marks(layout)) {
    request.prompt_tokens =
        with_marks(*prefix + request.suffix, *options_.tokenizer);
  }
  request.sampling.temperature = 0.0;
  request.sampling.max_new_tokens = options_.max_new_tokens;
  request.sampling.stop = layout.stop;
  Hasher hasher;
  hasher.add(kVersion)
      .add(options_.generator->fingerprint())
      .add(dump_json(inquiry.about))
      .add(*prefix)
      .add(request.suffix)
      .add(uint64_t(options_.max_new_tokens));
  for (const std::string& stop : layout.stop) hasher.add(stop);
  for (const int id : request.prompt_tokens) hasher.add(uint64_t(id));
  request.key = hasher.key();
  return request;
}

std::vector<Json> Judge::ask(const std::vector<Inquiry>& inquiries,
                             const std::string& title) {
  std::vector<Json> verdicts(inquiries.size());
  std::vector<generate::Request> open;
  std::unordered_map<uint64_t, std::vector<size_t>> places;
  for (size_t i = 0; i < inquiries.size(); ++i) {
    generate::Request request = request_of(inquiries[i]);
    const Json* logged = log_ != nullptr ? log_->find(request.key) : nullptr;
    if (logged != nullptr) {
      verdicts[i] = logged->value("verdict", Json());
    } else {
      auto& same = places[request.key];
      same.push_back(i);
      if (same.size() == 1) open.push_back(std::move(request));
    }
  }
  Progress progress(title, inquiries.size(), "judgements");
  uint64_t num_done = inquiries.size() - open.size();
  progress.set_start(num_done);
  size_t next = 0;
  generate::AnswerWatch watch;
  options_.generator->generate(
      [&]() -> std::optional<generate::Request> {
        if (next == open.size()) return std::nullopt;
        return open[next++];
      },
      [&](const generate::Completion& completion) {
        watch.see(completion, title);
        const std::vector<size_t>& same = places.at(completion.key);
        const Inquiry& inquiry = inquiries[same.front()];
        const Json verdict = read_verdict(inquiry.role, completion.text);
        for (const size_t i : same) verdicts[i] = verdict;
        if (log_ != nullptr) {
          Json item = inquiry.about;
          item["prompt"] = options_.prompts.prompts.at(inquiry.role).name;
          item["text"] = completion.text;
          item["finish"] = generate::finish_name(completion.finish);
          item["tokens"] = completion.num_tokens;
          item["prompt_tokens"] = completion.num_prompt_tokens;
          if (completion.is_estimated) item["tokens_estimated"] = true;
          item["verdict"] = verdict;
          log_->add(completion.key, item);
        }
        progress.update(++num_done);
      });
  if (log_ != nullptr) log_->sync();
  stop_if_interrupted("run the same command again");
  return verdicts;
}

std::vector<uint64_t> Judge::take_keys() {
  return log_ != nullptr ? log_->take_used() : std::vector<uint64_t>();
}

Json Judge::settings() const {
  return Json{{"version", kVersion},
              {"prompts", options_.prompts.source},
              {"prompts_digest", options_.prompts.digest},
              {"layout", options_.layout.name},
              {"temperature", 0},
              {"max_new_tokens", options_.max_new_tokens}};
}

}  // namespace selfalign::judge
