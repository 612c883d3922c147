// SPDX-License-Identifier: Apache-2.0
// The run store: everything a run made, in one SQLite file (WAL, one writer,
// any number of readers). Rows are added and never changed or deleted; filters
// annotate. A stage is done when its manifest is committed. After kill -9 at
// any point the same command goes on and all digests come out the same.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/reader.h"
#include "store/seals.h"

namespace selfalign::store {

class SigningKey;  // signing.h

// The one writer of a run; what it has written it reads like any reader.
class Store : public Reader {
 public:
  // Makes the folder and database where absent and takes the writer's lock
  // (Error kFailed names the holder's process id). Error kDamaged as
  // Reader::open; an unwritable folder or full disk Error kResources.
  static std::unique_ptr<Store> open(const std::string& folder);
  ~Store() override;

  // Writes inside fn are one transaction: all or none of them survive a crash.
  // Writes outside are a transaction each. Not nested.
  void transaction(const std::function<void()>& fn);

  // Adds rows. A row that is there already must be the same (else Error
  // kDamaged): work that is done again after a crash adds nothing.
  void add_rows(const std::vector<Row>& rows);
  // A second completion of a row must be the same text (else Error kDamaged).
  void add_completion(const StoredCompletion& completion);
  // A verdict of the same key and filter is replaced.
  void set_verdicts(const std::vector<Verdict>& verdicts);

  // Rows that are added from now on come with the decision that `from` has for
  // the same key; null: no more. The caller keeps it alive.
  void set_annotation_source(const Reader* from);
  // A person's decision about a row that is there; an earlier one is replaced.
  void add_review(const Review& review);

  // Durable when it returns (fsync). `files` are kept as keep_files does.
  void commit_manifest(const Manifest& manifest,
                       const std::vector<std::string>& files = {});
  void set_meta(const std::string& name, const std::string& value);
  // Files of the run's folder, by their paths in it, as evidence: what they are
  // now is what they are to be. Error kInput if one is unreadable.
  void keep_files(const std::vector<std::string>& paths);

  // From now on every transaction signs the seals, what is there at once. Error
  // kUsage where the run is signed by another key, kDamaged where it is not
  // what was signed. Without a key a signed run cannot be written (Error
  // kUsage).
  void set_signing_key(std::shared_ptr<const SigningKey> key);

  // Called after every commit that changed something has reached the file
  // (tests stop the process there).
  void set_commit_hook(std::function<void()> hook);

 private:
  Store(std::string folder, std::unique_ptr<Tables> tables);
  void prepare();
  void take_over(int64_t version);
  void keep_header();
  void write(const std::function<void()>& fn);
  void sign() const;
  void append_link(const Manifest& manifest);

  Seals seals_;
  std::shared_ptr<const SigningKey> signing_key_;
  bool in_transaction_ = false;
  std::function<void()> commit_hook_;
  const Reader* review_source_ = nullptr;
};

}  // namespace selfalign::store
