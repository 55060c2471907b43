// What the page says. Nothing here touches the page or the network.

const TERMINAL = "the terminal";

export const STATES = {
  idle: "Ready",
  microphone: "Waiting for the microphone",
  connecting: "Connecting",
  ringing: "Ringing",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
  reconnecting: "Reconnecting",
  ended: "Call ended",
};

export const PROBLEMS = {
  microphone_denied: {
    title: "The microphone is blocked",
    text: "Allow it for this page, by the sign beside the address, then call again.",
  },
  microphone_missing: {
    title: "No microphone was found",
    text: "Connect one, or choose one in the settings of your system, then call again.",
  },
  microphone_failed: {
    title: "The microphone does not start",
    text: "Another program may be using it. Close that, then call again.",
  },
  insecure: {
    title: "This address cannot use the microphone",
    text: `Browsers allow it on 127.0.0.1 and localhost only: open the address that ${TERMINAL} shows.`,
  },
  server_gone: {
    title: "This page's server has stopped",
    text: "Start “ring.py talk --browser” again, and open the address that it shows.",
  },
  no_key: {
    title: "This address is not complete",
    text: `Open the whole address that ${TERMINAL} shows; it ends with a key.`,
  },
  unreachable: {
    title: "livekit-server cannot be reached",
    text: "Nothing answers at {url}. Is “ring.py up” running?",
  },
  no_media: {
    title: "No sound can pass",
    text: "livekit-server at {url} answers, but no connection for sound came about. A firewall may block UDP.",
  },
  expired: {
    title: "This token has expired",
    text: "A token is good for a limited time. Get a new one with “ring.py token”.",
  },
  foreign: {
    title: "livekit-server refuses this token",
    text: "It was made with the key of another server, or before “ring.py up” was started anew. Get a new one; for this page, start “ring.py talk --browser” again.",
  },
  malformed: {
    title: "This is no token",
    text: "What follows #token= cannot be read. Copy the whole token.",
  },
  full: {
    title: "This room is full",
    text: "A token opens a room for one person, and somebody is in it. Get a token of your own with “ring.py token”.",
  },
  duplicate: {
    title: "Opened in another window",
    text: "The same token was used once more, and a token is for one window at a time.",
  },
  refused: {
    title: "The call was refused",
    text: "The worker closed the room before it was answered. Its log says why.",
  },
  taken_over: {
    title: "This token has a call already",
    text: "It was open in another window. That call has ended, too; press to begin a new one.",
  },
  turned_away: {
    title: "livekit-server took no call",
    text: "It answers at {url}, but did not open the room. Its log says why.",
  },
  nobody: {
    title: "Nobody answered",
    text: "No worker took the call within {seconds} seconds. Is “agent.py dev” running? If so, it may be at its capacity.",
  },
  lost: {
    title: "The connection was lost",
    text: "livekit-server at {url} went away in the middle of the call.",
  },
  agent_lost: {
    title: "The agent is gone",
    text: "It left without a goodbye. The worker's log says why.",
  },
  room_taken: {
    title: "Somebody else has this room",
    text: "Another caller was there first. Get a token of your own with “ring.py token”.",
  },
  not_in_service: {
    title: "This number is not in service",
    text: "{detail}",
  },
  unknown: { title: "The call could not be made", text: "{detail}" },
};

// The reasons of a record (docs/records.md); those that are nobody's fault are no problem.
export const ENDINGS = {
  caller_hung_up: "You hung up.",
  completed: "The agent said goodbye and hung up.",
  agent_hung_up: "The agent hung up.",
  transferred: "The call was put through.",
  refused: "The call could not be taken.",
  limit_reached: "The call reached its time limit.",
  abandoned: "You hung up before the call was answered.",
  removed: "The room was closed.",
  model_failed: "The model failed, so the agent apologised and hung up.",
  media_timeout: "The connection was lost.",
  worker_stopped: "The worker was stopped.",
  not_in_service: "No line has this number.",
};

export function problem(name, details = {}) {
  const found = PROBLEMS[name] ?? PROBLEMS.unknown;
  const fill = (text) => text.replace(/\{(\w+)\}/g, (_, key) => details[key] ?? "");
  return { name, title: found.title, text: fill(found.text) };
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export function phone(number) {
  const us = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  return us ? `+1 ${us[1]} ${us[2]} ${us[3]}` : number;
}

export function seconds(value) {
  if (value < 0.1) return `${Math.round(value * 1000)} ms`;
  return `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
