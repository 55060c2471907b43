// The page: what one sees and presses. What happens in the call is call.js's to know.

import { Call, failed } from "/call.js";
import { Conversation } from "/conversation.js";
import { Levels } from "/levels.js";
import { ENDINGS, STATES, clock, median, phone, problem, seconds } from "/words.js";

const $ = (id) => document.getElementById(id);
const given = new URLSearchParams(location.hash.slice(1));
const conversation = new Conversation($("conversation"), $("log"));

let about = null;
let call = null;
let levels = null;
let waits = [];
let answeredAt = null;

function phase(name) {
  document.body.dataset.phase = name;
  const label = { idle: "Call", calling: "Hang up", talking: "Hang up", ended: "Call again" }[name];
  $("call-label").textContent = label;
  $("call").setAttribute("aria-label", label);
}

function state(name) {
  if (document.body.dataset.state === name) return;
  document.body.dataset.state = name;
  $("state").textContent = STATES[name] ?? name;
}

function notice(found) {
  $("notice").hidden = !found;
  if (!found) return;
  $("notice").dataset.problem = found.name;
  $("notice-title").textContent = found.title;
  $("notice-text").textContent = found.text;
}

/** A token that we were sent, checked as far as one can without the key; or one for this call. */
async function getToken() {
  if (!about.token) return askForToken();
  const token = given.get("token").trim();
  let claims;
  try {
    claims = JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
  } catch {
    throw failed("malformed");
  }
  if (claims.exp * 1000 < Date.now()) throw failed("expired");
  return token;
}

async function askForToken() {
  let answer;
  try {
    const headers = { "X-Thirdring-Key": given.get("key") ?? "" };
    answer = await fetch("/call", { method: "POST", headers, signal: AbortSignal.timeout(5000) });
  } catch {
    throw failed("server_gone");
  }
  if (answer.status === 403) throw failed("no_key");
  if (!answer.ok) throw failed("unknown", { detail: await answer.text() });
  return (await answer.json()).token;
}

async function begin() {
  conversation.clear();
  waits = [];
  answeredAt = null;
  showWaits();
  $("wait-worker").textContent = "–";
  notice(null);
  $("summary").hidden = true;
  $("copy").hidden = true;
  phase("calling");
  call = new Call(about);
  listen(call);
  await call.start(getToken);
}

function listen(call) {
  const on = (type, react) => call.addEventListener(type, ({ detail }) => react(detail));
  on("state", ({ name }) => {
    state(name);
    if (["listening", "thinking", "speaking"].includes(name)) answered();
  });
  on("sound", async ({ side, track }) => {
    const opened = (levels ??= Levels.open().then(watch, () => null));
    (await opened)?.listen(side, track);
  });
  on("caller", async (said) => conversation.turn("caller", said, await callerBegan()));
  on("agent", (said) => conversation.turn("agent", said, performance.now()));
  on("tool", (event) => conversation.tool(event));
  on("worker", ({ milliseconds }) => ($("wait-worker").textContent = seconds(milliseconds / 1000)));
  on("ended", over);
}

// Words are recognised after they were said, perhaps when the answer has begun: they stand where
// the voice was.
async function callerBegan() {
  const began = (await levels)?.callerBegan ?? null;
  const now = performance.now();
  return began !== null && now - began < 15000 ? began : now;
}

function watch(opened) {
  let shown = 0;
  opened.addEventListener("levels", ({ detail }) => {
    const now = performance.now();
    if (now - shown < 45) return;
    shown = now;
    meter($("caller-meter"), detail.caller);
    $("orb").style.setProperty("--level", meter($("agent-meter"), detail.agent));
  });
  opened.addEventListener("wait", ({ detail }) => {
    waits.push(detail);
    showWaits();
  });
  return opened;
}

/** Show a loudness of -60 to 0 dB; return it as 0 to 1. */
function meter(element, decibels) {
  const level = Math.min(1, Math.max(0, (decibels + 55) / 45));
  element.firstElementChild.style.transform = `scaleX(${level.toFixed(3)})`;
  element.setAttribute("aria-valuenow", Math.round(level * 100));
  return level.toFixed(3);
}

function showWaits() {
  $("wait-last").textContent = waits.length ? seconds(waits.at(-1)) : "–";
  $("wait-median").textContent = waits.length ? seconds(median(waits)) : "–";
}

function answered() {
  if (answeredAt !== null) return;
  answeredAt = performance.now();
  phase("talking");
  $("timer").hidden = false;
  tick();
}

let ticking = null;

function tick() {
  const past = clock((performance.now() - answeredAt) / 1000);
  $("timer").textContent = past;
  document.title = `${past} · ${about.business}`;
  ticking = setTimeout(tick, 500);
}

async function over({ reason, detail, problem: found }) {
  clearTimeout(ticking);
  const talked = answeredAt === null ? null : (performance.now() - answeredAt) / 1000;
  document.title = about.business;
  phase("ended");
  state("ended");
  notice(found ?? null);
  $("timer").hidden = true;
  openKeypad(false);
  mute(false);
  $("orb").style.setProperty("--level", 0);
  if (!found || conversation.count("turn")) summarise(found ? null : ENDINGS[reason] ?? reason, detail, talked);
  $("copy").hidden = conversation.count("turn") === 0;
  call = null;
  const opened = levels;
  levels = null;
  await (await opened)?.close();
}

function summarise(ending, detail, talked) {
  const turns = conversation.count("turn");
  const tools = conversation.count("tool");
  const figures = [
    talked !== null && clock(talked),
    `${turns} ${turns === 1 ? "turn" : "turns"}`,
    tools && `${tools} tool ${tools === 1 ? "call" : "calls"}`,
    waits.length && `median wait ${seconds(median(waits))}`,
  ];
  $("ending").textContent = ending ?? "Until then";
  $("figures").textContent = [...figures.filter(Boolean), detail].filter(Boolean).join(" · ");
  $("summary").hidden = false;
}

function mute(muted) {
  $("mute").setAttribute("aria-pressed", muted);
  $("mute").lastElementChild.textContent = muted ? "Muted" : "Mute";
  document.body.classList.toggle("muted", muted);
  call?.mute(muted);
}

function openKeypad(open) {
  $("keypad").hidden = !open;
  $("keys").setAttribute("aria-expanded", open);
}

async function press(digit) {
  if (document.body.dataset.phase !== "talking") return;
  await call.press(digit);
  conversation.note(`You pressed ${digit}`);
}

for (const digit of "123456789*0#") {
  const key = document.createElement("button");
  key.type = "button";
  key.textContent = digit;
  key.addEventListener("click", () => press(digit));
  $("keypad").append(key);
}

$("call").addEventListener("click", () => (call ? call.hangUp() : begin()));
$("mute").addEventListener("click", () => mute($("mute").getAttribute("aria-pressed") !== "true"));
$("keys").addEventListener("click", () => openKeypad($("keypad").hidden));
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(conversation.text);
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
});

document.addEventListener("keydown", (event) => {
  if (document.body.dataset.phase !== "talking" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "m") $("mute").click();
  else if (event.key === "k") $("keys").click();
  else if (event.key === "Escape") openKeypad(false);
  else if (!$("keypad").hidden && /^[0-9*#]$/.test(event.key)) press(event.key);
});

async function prepare() {
  try {
    about = { ...(await (await fetch("/about")).json()), token: given.has("token") };
  } catch {
    return notice(problem("server_gone"));
  }
  $("business").textContent = about.token ? "A call by token" : about.business;
  $("line").textContent = about.token ? about.url : phone(about.line);
  document.title = about.business;
  $("call").disabled = false;
}

phase("idle");
prepare();
