// The course of a reading: link, start, training cases with feedback, cases, end. Every answer is sent at once, and sent
// again until the server says that it is on its disk.

import { Questions } from "./questions.js";
import { Viewer } from "./viewer.js";

const KEYS = [
  ["R S", "real, synthetic (pairs: \u2190 \u2192, the real one)"], ["1 - 5", "how sure; or the option of the question that is marked"],
  ["Y N", "annotation right or not"], ["0", "none of these; else: reset the view"], ["T", "write a remark; Esc leaves it"], ["Enter", "save, next case"],
  ["Backspace", "back, where the study allows it"], ["+ -", "zoom"], ["arrows", "move the image"], ["W X, D F", "level up, down; width down, up"],
  ["C", "next channel"], ["O", "outline on and off"], ["PageUp PageDown, V", "slices, plane"], ["P", "pause"],
];
const $ = (id) => document.getElementById(id);
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });
let study, viewer, questions, position, training, started, spent, busy = false, ahead = null, feedback = false;

class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, { ...options, cache: "no-store" });
  if (!response.ok) throw new Refusal(response.status, (await response.json().catch(() => ({}))).error ?? `status ${response.status}`);
  return response;
}

// Until the server answers; what it refuses is no trouble of the line.
async function persist(path, body) {
  for (let pause = 250; ; pause = Math.min(4000, pause * 2)) {
    try {
      const found = await ask(path, body);
      $("trouble").textContent = "";
      return found;
    } catch (error) {
      if (error instanceof Refusal && error.status < 500) throw error;
      $("trouble").textContent = "The server does not answer. Your last answer is not saved yet; trying again \u2026";
      await wait(pause);
    }
  }
}

function say(title, text, button = "") {
  $("reading").hidden = true;
  $("pause").hidden = true;
  $("start").hidden = false;
  $("start-title").textContent = title;
  $("about").textContent = text;
  $("rules").textContent = "";
  $("begin").hidden = !button;
  if (button) $("begin").firstChild.textContent = `${button} `;
  (button ? $("begin") : $("start")).focus();
}

async function enter() {
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", "/");
    await ask("/api/enter", { token }).then((found) => found.json()).then(({ admin }) => { if (admin) location.replace("/admin"); });
  }
  study = await (await ask("/api/state")).json();
  document.title = study.title;
  $("title").textContent = study.title;
  prepare();
  if (study.next >= study.total) return finish();
  const again = study.next > 0;
  say(again ? "Welcome back" : "Before you begin", study.about, again ? "Go on" : "Begin");
  const first = study.training && !again ? `First come ${study.training} cases for practice: after each you are told what it was. ` : "";
  const back = { last: "The last answer can be changed.", any: "Earlier answers can be changed.", never: "Answers cannot be changed." }[study.undo];
  $("rules").textContent = `${first}${first ? "Then" : "There are"} ${study.total} cases${first ? " count" : ""}. Every answer is saved at once; you may pause at any time. ${back}`;
  place();
}

function prepare() {
  viewer = new Viewer($("panes"), study, follow);
  questions = new Questions($("asked"), () => {});
  $("channel").replaceChildren(...study.channels.map((name, i) => new Option(name, i)));
  $("channel-tool").hidden = study.colour || study.channels.length < 2;
  $("outline-tool").hidden = !study.legend.length;
  $("plane-tool").hidden = $("slice-tool").hidden = !viewer.volume;
  $("key-list").replaceChildren(...KEYS.flatMap(([key, text]) => {
    const pair = [document.createElement("dt"), document.createElement("dd")];
    [pair[0].textContent, pair[1].textContent] = [key, text];
    return pair;
  }));
}

function follow(view) {
  $("level").value = view.level * 100;
  $("width").value = view.width * 100;
  $("channel").value = view.channel;
  $("outline").checked = view.outline;
  $("plane").value = view.plane;
  $("slice").max = view.slices - 1;
  $("slice").value = view.slice;
  $("slice-number").textContent = `${view.slice + 1} of ${view.slices}`;
  const entries = view.outline ? study.legend.slice(1) : [];
  $("legend").replaceChildren(...entries.map(({ name, colour }) => {
    const item = document.createElement("li");
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of [["width", "100%"], ["height", "100%"], ["fill", colour]]) square.setAttribute(key, value);
    mark.append(square);
    item.append(mark, name);
    return item;
  }));
}

function place() {
  const number = training === null || training === undefined ? `Case ${Math.min(position ?? study.next, study.total - 1) + 1} of ${study.total}` : `Practice ${training + 1} of ${study.training}`;
  $("place").textContent = number;
  $("progress").max = study.total;
  $("progress").value = study.next;
  return number;
}

const fetched = (block, at) => ask(`/image/${block}/${at}`).then((found) => found.arrayBuffer());

async function image(block, at) {
  if (ahead?.block === block && ahead.at === at) {
    const found = await ahead.buffer.catch(() => null);
    ahead = null;
    if (found) return found;
  }
  return (await persist(`/image/${block}/${at}`)).arrayBuffer();
}

async function show(block, at, answers = null) {
  busy = true;
  viewer.clear();
  const buffer = await image(block, at);
  viewer.show(buffer, place());
  const call = study.questions.filter((one) => one.kind === "source" || one.kind === "pair");
  questions.ask(block === "training" ? call : study.questions);
  if (answers) questions.values = answers;
  $("told").textContent = "";
  $("told").className = "";
  $("back").hidden = block === "training" || study.undo === "never" || position === 0 || (study.undo === "last" && position < study.next);
  $("start").hidden = true;
  $("reading").hidden = $("pause").hidden = false;
  $("save").firstChild.textContent = "Save, next ";
  $("questions").focus({ preventScroll: true });
  viewer.draw();
  [spent, started, feedback, busy] = [0, performance.now(), false, false];
  if (block === "study" && at + 1 < study.total && at + 1 <= study.next + 1) {
    ahead = { block, at: at + 1, buffer: fetched(block, at + 1) };
    ahead.buffer.catch(() => {});
  }
}

function seconds() {
  return (spent + (started === null ? 0 : performance.now() - started)) / 1000;
}

function hold() {
  if (started !== null && started !== undefined) spent += performance.now() - started;
  started = null;
}

function goOn() {
  if (started === null) started = performance.now();
}

async function save() {
  if (busy) return;
  if (feedback) return practise(training + 1);
  if (questions.missing >= 0) {
    $("told").textContent = "One question has no answer yet.";
    return questions.focus();
  }
  busy = true;
  const answers = questions.values;
  try {
    if (training !== null) await told(answers);
    else {
      const nonce = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      const sent = { reader: study.reader, position, nonce, answers, seconds: Math.min(86400, Math.max(0, seconds())) };
      study.next = (await (await persist("/api/answer", sent)).json()).next;
      await read(Math.min(position + 1, study.next));
    }
  } catch (error) {
    await trouble(error);
  } finally {
    busy = false;
  }
}

async function told(answers) {
  const { call } = Object.values(answers)[0];
  const { truth, right } = await (await persist("/api/training", { position: training, call })).json();
  $("told").textContent = `${right ? "Right" : "Wrong"}: ${study.pairs ? `the real one is on the ${truth}` : `this one is ${truth}`}.`;
  $("told").className = right ? "right" : "wrong";
  $("save").firstChild.textContent = "Next ";
  feedback = true;
}

async function practise(at) {
  if (at >= study.training) {
    training = null;
    return read(study.next);
  }
  training = at;
  position = 0;
  return show("training", at);
}

async function read(at) {
  if (at >= study.total) return finish();
  position = at;
  training = null;
  return show("study", at);
}

async function back() {
  if (busy || $("back").hidden) return;
  busy = true;
  try {
    const { answers } = await (await ask(`/api/answers/${position - 1}`)).json();
    position -= 1;
    await show("study", position, answers);
  } catch (error) {
    await trouble(error);
  } finally {
    busy = false;
  }
}

// Another window of the same reader was faster, or the link was changed: the server says where to go on.
async function trouble(error) {
  if (!(error instanceof Refusal)) throw error;
  if (error.status === 409) {
    study = await (await persist("/api/state")).json();
    await read(study.next);
  } else if ($("reading").hidden) say("This page cannot be shown", `${error.message}.`);
  else $("trouble").textContent = error.message;
}

function finish() {
  say("Thank you", "All cases are answered, and every answer is saved. You may close this page.");
  $("place").textContent = `${study.total} of ${study.total} answered`;
  [$("progress").max, $("progress").value] = [study.total, study.total];
}

function pause() {
  if ($("reading").hidden) return;
  hold();
  $("paused").showModal();
}

const nudge = (level, width) => viewer.window(Math.min(1, Math.max(0, viewer.level + level)), Math.min(1, Math.max(0.01, viewer.width + width)));
const ACTIONS = {
  "+": () => viewer.zoomBy(1.25), "=": () => viewer.zoomBy(1.25), "-": () => viewer.zoomBy(0.8), 0: () => viewer.reset(),
  ArrowLeft: () => viewer.panBy(24, 0), ArrowRight: () => viewer.panBy(-24, 0), ArrowUp: () => viewer.panBy(0, 24), ArrowDown: () => viewer.panBy(0, -24),
  w: () => nudge(-0.04, 0), x: () => nudge(0.04, 0), d: () => nudge(0, -0.05), f: () => nudge(0, 0.05), c: () => viewer.setChannel(viewer.channel + 1),
  o: () => { if (study.legend.length) { viewer.outline = !viewer.outline; viewer.update(); } },
  PageUp: () => viewer.setSlice(viewer.slice - 1), PageDown: () => viewer.setSlice(viewer.slice + 1),
  v: () => { if (viewer.volume) viewer.setPlane((viewer.plane + 1) % 3); },
  p: pause, Enter: save, Backspace: back, t: () => document.querySelector("textarea")?.focus(), "?": () => $("keys").showModal(),
};

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  const { target } = event;
  const typing = target.matches?.("textarea");
  if (typing && event.key === "Escape") $("questions").focus();
  if (typing || $("reading").hidden) return;
  if (target.matches?.("button, select, summary") && event.key === "Enter") return;
  if (target.matches?.("input[type=range], select") && /^(Arrow|Page)/.test(event.key)) return;
  if (target.matches?.("input[type=radio]") && /^Arrow/.test(event.key) && !study.pairs) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!feedback && questions.key(key)) event.preventDefault();
  else if (Object.hasOwn(ACTIONS, key)) {
    event.preventDefault();
    ACTIONS[key]();
  }
}

document.addEventListener("keydown", pressed);
document.addEventListener("visibilitychange", () => (document.hidden ? hold() : document.querySelector("#paused[open]") || goOn()));
$("begin").addEventListener("click", () => (study.next === 0 && study.training ? practise(0) : read(study.next)).catch(trouble));
$("questions").addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
$("back").addEventListener("click", back);
$("pause").addEventListener("click", pause);
$("resume").addEventListener("click", () => $("paused").close());
$("paused").addEventListener("close", () => { goOn(); $("questions").focus(); });
$("help").addEventListener("click", () => $("keys").showModal());
$("close-keys").addEventListener("click", () => $("keys").close());
$("tools").addEventListener("click", (event) => ({ "zoom-in": ACTIONS["+"], "zoom-out": ACTIONS["-"], reset: ACTIONS[0] })[event.target.closest("button")?.dataset.do]?.());
$("level").addEventListener("input", () => viewer.window($("level").value / 100, viewer.width));
$("width").addEventListener("input", () => viewer.window(viewer.level, $("width").value / 100));
$("channel").addEventListener("change", () => viewer.setChannel(Number($("channel").value)));
$("plane").addEventListener("change", () => viewer.setPlane(Number($("plane").value)));
$("slice").addEventListener("input", () => viewer.setSlice(Number($("slice").value)));
$("outline").addEventListener("change", () => { viewer.outline = $("outline").checked; viewer.update(); });
enter().catch((error) => say(error instanceof Refusal && [401, 403].includes(error.status) ? "Open your own link" : "This page cannot be shown", error instanceof Refusal ? `${error.message}.` : "The server does not answer: reload the page when it does."));
