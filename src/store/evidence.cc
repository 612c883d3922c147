// SPDX-License-Identifier: Apache-2.0
// Whether a store is what this program wrote: seals, chain and signature.
#include <sys/stat.h>

#include <map>
#include <utility>

#include "base/error.h"
#include "base/file_kind.h"
#include "base/own_file.h"
#include "base/sha256.h"
#include "store/checks.h"
#include "store/findings.h"
#include "store/seals.h"
#include "store/signature.h"
#include "store/signing.h"
#include "store/tables.h"

namespace selfalign::store {
namespace {

constexpr char kAsWritten[] = "what this program wrote";

std::string last_link(const Database& db) {
  Statement query(db,
                  "SELECT c.link FROM chain c JOIN manifests m "
                  "ON m.stage = c.stage ORDER BY m.position DESC LIMIT 1");
  return query.step() ? query.get_text(0) : "";
}

}  // namespace

std::string find_damage() {
  for (const std::string& folder : opened_folders()) {
    try {
      const auto run = Reader::open(folder);
      require_sealed(*run);
      require_files(*run);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kDamaged) return error.what();
    }
  }
  return "";
}

void require_sealed(const Reader& run) {
  std::string where;
  run.snapshot([&] {
    if (run.tables().has_evidence()) {
      Seals seals;
      seals.load(run.tables().db);
      const std::vector<std::string> broken = seals.broken(run.tables().db);
      if (!broken.empty()) where = "the table " + broken[0];
      return;
    }
    for (const Manifest& manifest : run.manifests()) {
      if (manifest.num_rows == 0) continue;
      const std::string found =
          run.digest(manifest.stage, filter_of(manifest), manifest.num_rows);
      if (found != manifest.digest) where = manifest.stage;
    }
  });
  if (where.empty()) return;
  throw Error(ErrorKind::kDamaged,
              str(run.tables().db.path(), ": expected ", kAsWritten,
                  ", found another hand's change in ", where,
                  "; see what it is with: selfalign verify ", run.folder()));
}

void require_files(const Reader& run) {
  for (const auto& [path, sha256] : run.files()) {
    if (path.starts_with("report.")) continue;  // they are written anew
    const std::string whole = run.folder() + "/" + path;
    require_own_path(run.folder(), path);
    struct stat file = {};
    const bool is_there = ::lstat(whole.c_str(), &file) == 0;
    const bool is_file = is_there && S_ISREG(file.st_mode);
    if (is_file && sha256_file(whole) == sha256) continue;
    throw Error(ErrorKind::kDamaged,
                str(whole, ": expected a file that the run wrote, found ",
                    is_file    ? "another"
                    : is_there ? file_kind(file.st_mode)
                               : "none",
                    "; see what else is changed with: selfalign verify ",
                    run.folder()));
  }
}

Evidence evidence_of(const Reader& run) {
  Evidence evidence;
  evidence.version = run.tables().version;
  if (!run.tables().has_evidence()) {
    evidence.made_before = run.tables().version;
    return evidence;
  }
  const std::string before = run.meta(kMadeBefore).value_or("0");
  evidence.made_before = before == "1" ? 1 : before == "2" ? 2 : 0;
  evidence.chain = last_link(run.tables().db);
  if (const auto signature = read_signature(run.tables().db)) {
    Seals seals;
    seals.load(run.tables().db);
    evidence.signed_by = signature->public_key;
    evidence.signature_right = is_signature(
        signature->public_key, seals.message(), signature->signature);
  }
  return evidence;
}

void check_seals(const Database& db, Findings& findings) {
  Seals seals;
  seals.load(db);
  for (const std::string& table : seals.broken(db)) {
    findings.add(str(db.path(), ", table ", table), kAsWritten,
                 "entries that were changed, added or removed by another hand");
  }
}

void check_chain(const Database& db, Findings& findings) {
  std::map<std::string, std::pair<std::string, std::string>> chain;
  Statement links(db, "SELECT stage, content, link FROM chain");
  while (links.step()) {
    chain[links.get_text(0)] = {links.get_text(1), links.get_text(2)};
  }
  std::string before;
  Statement manifests(db, "SELECT * FROM manifests ORDER BY position");
  while (manifests.step()) {
    const std::string stage = manifests.get_text(0);
    Manifest manifest;
    manifest.report = stored_json(db, manifests.get_text(5));
    const std::string content =
        content_of(db, stage, filter_of(manifest), manifests.get_count(2));
    const auto& [kept_content, kept_link] = chain[stage];
    if (content != kept_content) {
      findings.add(stage, "content of the stage with SHA-256 " + kept_content,
                   content);
    }
    if (link_of(before, manifests.entry(), kept_content) != kept_link) {
      findings.add(stage, "a manifest that the chain goes through",
                   "another manifest, or another before it");
    }
    before = kept_link;
    chain.erase(stage);
  }
  for (const auto& [stage, links_of_it] : chain) {
    findings.add(stage, "the manifest that the chain goes through", "none");
  }
}

void check_signature(const Evidence& evidence, const Database& db,
                     Findings& findings) {
  if (!evidence.signed_by || evidence.signature_right) return;
  findings.add(db.path(), "what was signed by " + *evidence.signed_by,
               "something else");
}

}  // namespace selfalign::store
