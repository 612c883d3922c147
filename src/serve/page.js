// SPDX-License-Identifier: Apache-2.0
"use strict";

// What models write is only ever set as text, never as markup.

const $ = id => document.getElementById(id);
let turns = [];  // of the chat: {user, answers: {model: text}}
let models = new Map();  // id: how it samples unless asked otherwise
let running = null;  // stops the answers under way

function headers() {
  const all = {"Content-Type": "application/json"};
  if ($("key").value) all.Authorization = `Bearer ${$("key").value}`;
  return all;
}

async function failure(reply) {
  const text = await reply.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `${reply.status} ${reply.statusText}`;
  }
}

async function loadModels() {
  const reply = await fetch("v1/models", {headers: headers()});
  if (reply.status === 401) {
    $("status").textContent =
        "This server has a key: write it under Settings.";
    return;
  }
  if (!reply.ok) throw new Error(await failure(reply));
  models = new Map((await reply.json()).data.map(
      model => [model.id, model.sampling]));
  const names = [...models.keys()];
  $("model").replaceChildren(...names.map(name => new Option(name, name)));
  $("other").replaceChildren(
      new Option("none", ""), ...names.map(name => new Option(name, name)));
  showDefaults();
  $("status").textContent = "";
}

function element(kind, name, text = "") {
  const made = document.createElement(kind);
  made.className = name;
  made.textContent = text;
  return made;
}

function messagesFor(model) {
  const messages = [];
  if ($("system").value.trim()) {
    messages.push({role: "system", content: $("system").value});
  }
  for (const turn of turns) {
    const last = turn === turns[turns.length - 1];
    // A model that came later goes on from another one's answers.
    const given = turn.answers[model] ||
        Object.values(turn.answers).find(text => text);
    if (!last && !given) continue;
    messages.push({role: "user", content: turn.user});
    if (!last) messages.push({role: "assistant", content: given});
  }
  return messages;
}

// The events of a stream, parsed.
async function* eventsOf(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "";;) {
    const {value, done} = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      const data = line.slice(6);
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

// What is left empty is as the model has it.
function givenSampling() {
  const given = {};
  for (const name of ["temperature", "top_p", "max_tokens"]) {
    if ($(name).value !== "") given[name] = Number($(name).value);
  }
  return given;
}

function showDefaults() {
  const sampling = models.get($("model").value);
  if (!sampling) return;
  $("temperature").placeholder = `${sampling.temperature}, as the model has it`;
  $("top_p").placeholder = `${sampling.top_p}, as the model has it`;
  $("max_tokens").placeholder =
      `${sampling.max_new_tokens}, as the model has it`;
}

function scrollDown(log, wasAtEnd) {
  if (wasAtEnd) log.scrollTop = log.scrollHeight;
}

async function answer(model, seed, box, turn, signal) {
  const text = box.querySelector(".text");
  const facts = box.querySelector(".facts");
  const begin = performance.now();
  let tokens = 0, finish = "stopped";
  try {
    const reply = await fetch("v1/chat/completions", {
      method: "POST", headers: headers(), signal,
      body: JSON.stringify({
        model, messages: messagesFor(model), seed, stream: true,
        stream_options: {include_usage: true}, ...givenSampling()})});
    if (!reply.ok) throw new Error(await failure(reply));
    for await (const event of eventsOf(reply)) {
      if (event.error) throw new Error(event.error.message);
      if (event.usage) tokens = event.usage.completion_tokens;
      const choice = event.choices[0];
      if (!choice) continue;
      if (choice.finish_reason) finish = choice.finish_reason;
      const log = $("turns");
      const atEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 40;
      text.textContent += choice.delta.content || "";
      scrollDown(log, atEnd);
    }
  } catch (error) {
    if (error.name !== "AbortError") {
      facts.classList.add("failed");
      facts.textContent = error.message;
      return;
    }
  } finally {
    turn.answers[model] = text.textContent;
  }
  const seconds = (performance.now() - begin) / 1000;
  facts.textContent =
      (tokens ? `${tokens} tokens, ` : "") + `${seconds.toFixed(1)} s, ` +
      `${finish}, seed ${seed}`;
}

function setRunning(stop) {
  running = stop;
  $("send").hidden = stop !== null;
  $("stop").hidden = stop === null;
  for (const id of ["model", "other", "new"]) $(id).disabled = stop !== null;
}

async function ask(question) {
  const models = [...new Set([$("model").value, $("other").value])]
      .filter(name => name);
  if (!models.length) return loadModels();
  const turn = {user: question, answers: {}};
  turns.push(turn);
  const answers = element("div", models.length > 1 ? "answers two" : "answers");
  const boxes = models.map(model => {
    const box = element("section", "answer");
    box.append(element("h2", "", model), element("p", "text"),
               element("p", "facts", "..."));
    answers.append(box);
    return box;
  });
  $("turns").append(element("p", "user", question), answers);
  scrollDown($("turns"), true);
  const given = $("seed").value;
  const seed = given === "" ? Math.floor(Math.random() * 2 ** 32)
                            : Number(given);
  const stop = new AbortController();
  setRunning(stop);
  await Promise.all(models.map(
      (model, i) => answer(model, seed, boxes[i], turn, stop.signal)));
  setRunning(null);
  scrollDown($("turns"), true);
}

$("ask").addEventListener("submit", event => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question || running) return;
  $("question").value = "";
  ask(question).catch(error => {
    $("status").textContent = error.message;
  }).finally(() => $("question").focus());
});
$("question").addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("ask").requestSubmit();
});
$("settings").addEventListener("submit", event => event.preventDefault());
$("stop").addEventListener("click", () => running && running.abort());
$("new").addEventListener("click", () => {
  turns = [];
  $("turns").replaceChildren();
  $("question").focus();
});
$("model").addEventListener("change", showDefaults);
$("key").addEventListener("change", () => start());

function start() {
  loadModels().catch(error => {
    $("status").textContent = `The server gives no answer: ${error.message}`;
  });
}
start();
