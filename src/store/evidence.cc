// SPDX-License-Identifier: Apache-2.0
// Whether a store is what this program wrote: seals, chain and signature.
#include <sys/stat.h>

#include <mutex>
#include <set>

#include "base/error.h"
#include "base/file_kind.h"
#include "base/own_file.h"
#include "base/sha256.h"
#include "store/findings.h"
#include "store/store_impl.h"

namespace selfalign::store {
namespace {

constexpr char kAsWritten[] = "what this program wrote";

struct Signature {
  std::string public_key;
  std::string signature;
};

bool is_public_key(const std::string& text) {
  return text.size() == 64 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// The signature, which is that of the signer whom the sealed meta names, or
// none where it names nobody. One statement: a writer may sign meanwhile.
std::optional<Signature> read_signature(const Database& db) {
  Statement query(db,
                  "SELECT 'meta', value, '' FROM meta WHERE name = ? UNION ALL "
                  "SELECT 'signatures', public_key, signature FROM signatures");
  query.bind(kSigner);
  std::optional<std::string> signer;
  std::optional<Signature> signature;
  while (query.step()) {
    const std::string key = query.get_text(1);
    if (!is_public_key(key)) {
      damaged(db, str("a public key that is none: \"", key, "\""));
    }
    if (query.get_text(0) == "meta") {
      signer = key;
    } else if (signature) {
      damaged(db, "two signatures");
    } else {
      signature = Signature{key, query.get_text(2)};
    }
  }
  if (signer && !signature) {
    damaged(db, str("no signature, where ", *signer, " signed"));
  }
  if (signature && signature->public_key != signer) {
    damaged(db, str("a signature by ", signature->public_key, ", where ",
                    signer.value_or("nobody"), " signed"));
  }
  return signature;
}

std::string last_link(const Database& db) {
  Statement query(db,
                  "SELECT c.link FROM chain c JOIN manifests m "
                  "ON m.stage = c.stage ORDER BY m.position DESC LIMIT 1");
  return query.step() ? query.get_text(0) : "";
}

std::mutex opened_mutex;

std::set<std::string>& opened_folders() {
  static std::set<std::string> folders;
  return folders;
}

}  // namespace

void require_signer(const Database& db) { read_signature(db); }

void note_opened(const std::string& folder) {
  const std::lock_guard lock(opened_mutex);
  opened_folders().insert(folder);
}

std::string Store::find_damage() {
  std::set<std::string> folders;
  {
    const std::lock_guard lock(opened_mutex);
    folders = opened_folders();
  }
  for (const std::string& folder : folders) {
    try {
      const auto store = open(folder, OpenMode::kReadOnly);
      store->require_sealed();
      store->require_files();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kDamaged) return error.what();
    }
  }
  return "";
}

void Store::require_sealed() const {
  std::string where;
  snapshot([&] {
    if (impl_->has_evidence()) {
      Seals seals;
      seals.load(impl_->db);
      const std::vector<std::string> broken = seals.broken(impl_->db);
      if (!broken.empty()) where = "the table " + broken[0];
      return;
    }
    for (const Manifest& manifest : manifests()) {
      if (manifest.num_rows == 0) continue;
      const std::string found =
          digest(manifest.stage, filter_of(manifest), manifest.num_rows);
      if (found != manifest.digest) where = manifest.stage;
    }
  });
  if (where.empty()) return;
  throw Error(ErrorKind::kDamaged,
              str(impl_->db.path(), ": expected ", kAsWritten,
                  ", found another hand's change in ", where,
                  "; see what it is with: selfalign verify ", folder_));
}

void Store::require_files() const {
  for (const auto& [path, sha256] : files()) {
    if (path.starts_with("report.")) continue;  // they are written anew
    const std::string whole = folder_ + "/" + path;
    require_own_path(folder_, path);
    struct stat file = {};
    const bool is_there = ::lstat(whole.c_str(), &file) == 0;
    const bool is_file = is_there && S_ISREG(file.st_mode);
    if (is_file && sha256_file(whole) == sha256) continue;
    throw Error(
        ErrorKind::kDamaged,
        str(whole, ": expected a file that the run wrote, found ",
            is_file    ? "another"
            : is_there ? file_kind(file.st_mode)
                       : "none",
            "; see what else is changed with: selfalign verify ", folder_));
  }
}

Evidence Store::evidence() const {
  Evidence evidence;
  evidence.version = impl_->version;
  if (!impl_->has_evidence()) {
    evidence.made_before = impl_->version;
    return evidence;
  }
  const std::string before = meta(kMadeBefore).value_or("0");
  evidence.made_before = before == "1" ? 1 : before == "2" ? 2 : 0;
  evidence.chain = last_link(impl_->db);
  if (const auto signature = read_signature(impl_->db)) {
    Seals seals;
    seals.load(impl_->db);
    evidence.signed_by = signature->public_key;
    evidence.signature_right = is_signature(
        signature->public_key, seals.message(), signature->signature);
  }
  return evidence;
}

void Store::set_signing_key(std::shared_ptr<const SigningKey> key) {
  const Evidence now = evidence();
  const std::string own = key->public_key();
  if (now.signed_by && *now.signed_by != own) {
    throw Error(ErrorKind::kUsage,
                str(folder_, ": expected the key that signed this run, ",
                    *now.signed_by, ", found ", own,
                    "; use that one, or sign a copy of the run made by: "
                    "selfalign resume ",
                    folder_, " --fork NEW --sign-key KEY"));
  }
  if (now.signed_by && !now.signature_right) {
    damaged(impl_->db,
            str("something else than was signed by ", *now.signed_by));
  }
  require_sealed();
  impl_->signing_key = std::move(key);
  // That it is signed is sealed, too, in the transaction that signs it.
  if (!now.signed_by) set_meta(kSigner, own);
}

void Store::Impl::sign() {
  if (!signing_key) {
    Statement signer(db, "SELECT 1 FROM meta WHERE name = ?");
    if (!signer.bind(kSigner).step()) return;
    throw Error(ErrorKind::kUsage,
                str(db.path(),
                    ": expected --sign-key with the key that signed this run, "
                    "found none; without it nothing is written there"));
  }
  Statement upsert(db,
                   "INSERT INTO signatures VALUES (?, ?) "
                   "ON CONFLICT (public_key) DO UPDATE SET "
                   "signature = excluded.signature");
  upsert.bind(signing_key->public_key())
      .bind(signing_key->sign(seals.message()))
      .run();
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
