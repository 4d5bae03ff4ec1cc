// The questions about one case as a form: every answer by keyboard, pointer or touch; text is only ever shown as text.

const CALLS = { source: [["real", "Real", "r"], ["synthetic", "Synthetic", "s"]], pair: [["left", "Left", "ArrowLeft"], ["right", "Right", "ArrowRight"]] };
const NAMES = { ArrowLeft: "\u2190", ArrowRight: "\u2192" };
const CONFIDENCE = 5;

function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export class Questions {
  constructor(place, changed) {
    this.place = place;
    this.changed = changed;
    this.asked = [];
    place.addEventListener("change", (event) => this.#changed(event.target.name));
    place.addEventListener("input", (event) => this.#changed(event.target.name));
  }

  ask(questions) {
    this.asked = questions;
    this.touched = null;
    this.place.replaceChildren(...questions.map((question) => this.#fieldset(question)));
    this.#changed();
  }

  get values() {
    const found = {};
    for (const question of this.asked) {
      const value = this.#value(question);
      if (value !== null) found[question.name] = value;
    }
    return found;
  }

  set values(answers) {
    for (const question of this.asked) this.#put(question, answers[question.name]);
    this.#changed();
  }

  get missing() {
    return this.asked.findIndex((question) => question.kind !== "text" && this.#value(question) === null);
  }

  // Answers by a key; returns whether it was one of theirs.
  key(key) {
    const call = this.asked.find((question) => question.kind in CALLS);
    const called = call && CALLS[call.kind].find(([, , letter]) => letter === key);
    if (called) return this.#pick(`${call.name}-call`, called[0]);
    const question = this.asked[this.missing] ?? this.touched;
    if (!question) return false;
    if (question.kind === "annotation" && (key === "y" || key === "n")) return this.#pick(question.name, String(key === "y"));
    if (!/^[0-9]$/.test(key)) return false;
    if (question.kind in CALLS) return this.#pick(`${question.name}-confidence`, key);
    if (question.kind === "annotation") return this.#pick(question.name, { 1: "true", 2: "false" }[key]);
    if (question.kind === "scale") return this.#pick(question.name, String(Number(key) - 1));
    if (question.kind === "checklist") return this.#pick(question.name, key === "0" ? "none" : String(Number(key) - 1));
    return false;
  }

  focus() {
    this.place.querySelectorAll("fieldset")[Math.max(0, this.missing)]?.querySelector("input, textarea")?.focus();
  }

  #inputs(name) { return [...this.place.querySelectorAll(`[name="${name}"]`)]; }

  #pick(name, value) {
    const input = this.#inputs(name).find((one) => one.value === value);
    if (!input) return false;
    input.click();
    return true;
  }

  #checked(name) { return this.#inputs(name).filter((one) => one.checked).map((one) => one.value); }

  #value({ kind, name }) {
    if (kind in CALLS) {
      const [call, confidence] = [this.#checked(`${name}-call`)[0], this.#checked(`${name}-confidence`)[0]];
      return call && confidence ? { call, confidence: Number(confidence) } : null;
    }
    if (kind === "text") return this.#inputs(name)[0].value || null;
    const picked = this.#checked(name);
    if (!picked.length) return null;
    if (kind === "checklist") return picked[0] === "none" ? [] : picked.map(Number);
    return kind === "annotation" ? picked[0] === "true" : Number(picked[0]);
  }

  #put({ kind, name }, answer) {
    const check = (group, values) => this.#inputs(group).forEach((one) => { one.checked = values.includes(one.value); });
    if (kind === "text") this.#inputs(name)[0].value = answer ?? "";
    else if (answer === undefined || answer === null) check(name, []);
    else if (kind in CALLS) {
      check(`${name}-call`, [answer.call]);
      check(`${name}-confidence`, [String(answer.confidence)]);
    } else if (kind === "checklist") check(name, answer.length ? answer.map(String) : ["none"]);
    else check(name, [String(answer)]);
  }

  // Keys go to the first question without an answer; where all have one, to the one that was changed last.
  #changed(name = "") {
    this.touched = this.asked.find((one) => one.name === name.replace(/-(call|confidence)$/, "")) ?? this.touched;
    const now = this.missing;
    [...this.place.children].forEach((field, i) => field.classList.toggle("now", i === now));
    this.changed(now);
  }

  #choice(type, name, value, text, key) {
    const input = made("input", { type, name, value });
    return made("label", {}, input, text, ...(key ? [made("kbd", { textContent: NAMES[key] ?? key.toUpperCase() })] : []));
  }

  #choices(type, name, options) {
    return made("div", { className: "choices" }, ...options.map(([value, text, key]) => this.#choice(type, name, value, text, key)));
  }

  #fieldset(question) {
    const { kind, name, options } = question;
    const field = made("fieldset", {}, made("legend", { textContent: question.text }));
    if (kind in CALLS) {
      const points = [...Array(CONFIDENCE)].map((_, i) => [String(i + 1), String(i + 1), ""]);
      const scale = this.#choices("radio", `${name}-confidence`, points);
      scale.setAttribute("role", "group");
      scale.setAttribute("aria-label", "How sure are you? 1 guessing, 5 certain");
      const ends = made("div", { className: "ends" }, made("span", { textContent: "1 guessing" }), made("span", { textContent: "5 certain" }));
      field.append(this.#choices("radio", `${name}-call`, CALLS[kind]), scale, ends);
    } else if (kind === "scale") field.append(this.#choices("radio", name, options.map((text, i) => [String(i), text, String(i + 1)])));
    else if (kind === "annotation") field.append(this.#choices("radio", name, [["true", "Yes", "y"], ["false", "No", "n"]]));
    else if (kind === "checklist") field.append(this.#checklist(question));
    else field.append(made("textarea", { name, maxLength: 2000, ariaLabel: question.text }));
    return field;
  }

  // "None of these" is a choice of its own, so that no answer is not taken for one.
  #checklist({ name, options }) {
    const box = this.#choices("checkbox", name, [...options.map((text, i) => [String(i), text, String(i + 1)]), ["none", "None of these", "0"]]);
    box.addEventListener("change", (event) => {
      const none = event.target.value === "none";
      if (event.target.checked) this.#inputs(name).forEach((one) => { if ((one.value === "none") !== none) one.checked = false; });
    });
    return box;
  }
}
