// The list of what was said and done, in the order in which it was begun.

import { seconds } from "/words.js";

const UNFINISHED = /[^.?!…:;"”')\]]$/;

export class Conversation {
  #list;
  #log;
  #items = new Map();

  /** `list` is what one sees; `log` is read aloud by screen readers, once each text is final. */
  constructor(list, log) {
    this.#list = list;
    this.#log = log;
  }

  clear() {
    this.#items.clear();
    this.#list.replaceChildren();
    this.#log.replaceChildren();
  }

  /** Show what one side says; `began` is on the clock of performance.now(). */
  turn(side, { id, text, final }, began) {
    if (!text.trim()) return;
    const key = `${side} ${id}`;
    const item = this.#items.get(key) ?? this.#place(key, makeTurn(side), began);
    const cut = final && side === "agent" && UNFINISHED.test(text.trim());
    item.querySelector(".text").textContent = text.trim();
    item.classList.toggle("interim", !final);
    item.classList.toggle("cut", cut);
    if (final && !item.dataset.read) {
      item.dataset.read = "yes";
      this.#read(`${side === "agent" ? "Agent" : "You"}: ${text.trim()}`);
    }
    this.#scroll();
  }

  /** Show a tool call from its start to its result. */
  tool({ id, name, state, arguments: given, result, seconds: took }) {
    const key = `tool ${id}`;
    const item = this.#items.get(key) ?? this.#place(key, makeTool(), performance.now());
    item.dataset.state = state;
    if (name) item.querySelector(".name").textContent = name;
    if (given) item.querySelector(".given").textContent = shown(given);
    if (state !== "started") {
      item.querySelector(".result").textContent = shown(result ?? "");
      item.querySelector(".took").textContent = took === undefined ? "" : seconds(took);
      this.#read(`Tool ${name}: ${state}`);
    }
    this.#scroll();
  }

  /** Show a line of the page's own, such as a key that was pressed. */
  note(text) {
    const item = element("li", "note");
    item.append(element("p", "text", text));
    this.#place(`note ${performance.now()}`, item, performance.now());
    this.#read(text);
    this.#scroll();
  }

  get text() {
    return [...this.#list.children].map((item) => item.dataset.who + item.innerText.replace(/\s*\n\s*/g, "  ")).join("\n");
  }

  count(kind) {
    return this.#list.querySelectorAll(`.${kind}`).length;
  }

  #place(key, item, began) {
    item.began = began;
    item.dataset.who ??= "";
    const after = [...this.#list.children].findLast((other) => other.began <= began);
    if (after) after.after(item);
    else this.#list.prepend(item);
    this.#items.set(key, item);
    return item;
  }

  #read(text) {
    this.#log.append(element("p", "", text));
  }

  #scroll() {
    const last = this.#list.lastElementChild;
    const seen = this.#list.parentElement;
    if (seen.scrollHeight - seen.scrollTop - seen.clientHeight < 260) seen.scrollTop = seen.scrollHeight;
    else if (!last) seen.scrollTop = 0;
  }
}

function makeTurn(side) {
  const item = element("li", `turn ${side}`);
  const who = side === "agent" ? "Agent" : "You";
  item.dataset.who = `${who}: `;
  item.append(element("p", "text"));
  item.setAttribute("aria-label", who);
  return item;
}

function makeTool() {
  const item = element("li", "tool");
  item.dataset.who = "Tool: ";
  const head = element("p", "head");
  head.append(element("span", "name"), element("span", "took"));
  item.append(head, element("p", "given"), element("p", "result"));
  return item;
}

/** Arguments and results as lines; a text that is JSON is read. */
function shown(value) {
  if (typeof value === "string") {
    try {
      const read = JSON.parse(value);
      return read && typeof read === "object" ? shown(read) : value;
    } catch {
      return value;
    }
  }
  return Object.entries(value)
    .map(([name, one]) => `${name}: ${brief(one)}`)
    .join("\n");
}

function brief(value) {
  if (value === null || typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.map(brief).join("; ");
  return Object.values(value).map(brief).join(" ");
}

function element(name, classes, text = "") {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  made.textContent = text;
  return made;
}
