// One call: microphone, token, room, and everything that comes from there, as events.
//
//   state {name}, caller/agent {id, text, final}, tool {...}, worker {...}, sound {side, track},
//   ended {reason, detail, problem}

import { problem } from "/words.js";

const { Room, RoomEvent, Track, DisconnectReason, ConnectionErrorReason, ParticipantEvent, setLogLevel } =
  window.LivekitClient;

setLogLevel("warn");

const CONNECT_SECONDS = 12;
const ANSWER_SECONDS = 5;
const RECONNECT_SECONDS = 5;
const FAREWELL_SECONDS = 1.5;
const REFUSALS = ["not_in_service", "room_taken"];
const TOPIC = "thirdring.events";
const FAREWELL = "thirdring.farewell";
const LOOK_MS = 50;
const DIGIT_CODES = Object.fromEntries([..."0123456789*#"].map((digit, code) => [digit, code]));

export class Call extends EventTarget {
  #about;
  #room = null;
  #microphone = null;
  #muted = false;
  #answered = false;
  #entered = false;
  #over = false;
  #lostTimer = null;
  #timer = null;
  #farewell = null;
  #agent = null;
  #heeded = new Set();
  #looking = null;
  #thrownOut = null;

  constructor(about) {
    super();
    this.#about = about;
  }

  async start(getToken) {
    try {
      this.#say("microphone");
      this.#microphone = await openMicrophone();
      if (this.#over) return this.#release();
      this.mute(this.#muted);
      this.#emit("sound", { side: 0, track: this.#microphone });
      this.#say("connecting");
      const token = await getToken();
      if (this.#over) return;
      await this.#enter(token);
    } catch (error) {
      this.#end(this.#farewell ? this.#farewellOr() : { problem: await this.#explain(error) });
    }
  }

  async #enter(token) {
    const room = new Room({ disconnectOnPageLeave: true, stopLocalTrackOnUnpublish: true });
    this.#room = room;
    this.#follow(room);
    const patience = { maxRetries: 0, websocketTimeout: 5000, peerConnectionTimeout: 8000 };
    // While media connect, the client reports nobody; but the call may be refused or over by then.
    this.#looking = setInterval(() => room.remoteParticipants.forEach((one) => this.#heed(one)), LOOK_MS);
    // The client asks a server that did not let it in why, and waits for that answer without an end.
    await within(CONNECT_SECONDS, room.connect(this.#about.url, token, patience));
    clearInterval(this.#looking);
    this.#entered = true;
    if (this.#over) return void room.disconnect();
    if (!this.#agent) this.#say("ringing");
    this.#timer ??= setTimeout(() => this.#nobody(), ANSWER_SECONDS * 1000);
    room.remoteParticipants.forEach((participant) => this.#meet(participant));
    await room.localParticipant.publishTrack(this.#microphone, {
      source: Track.Source.Microphone,
      dtx: false,
      red: false,
    });
  }

  #follow(room) {
    room
      .on(RoomEvent.ParticipantConnected, (participant) => this.#meet(participant))
      .on(RoomEvent.ParticipantDisconnected, (participant) => {
        if (participant === this.#agent) this.#leftAlone();
      })
      .on(RoomEvent.TrackSubscribed, (track) => this.#hear(track))
      .on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((one) => one.remove()))
      .on(RoomEvent.DataReceived, (bytes, _participant, _kind, topic) => {
        if (topic === TOPIC) this.#told(new TextDecoder().decode(bytes));
      })
      .on(RoomEvent.SignalReconnecting, () => this.#reconnecting())
      .on(RoomEvent.Reconnecting, () => this.#reconnecting())
      .on(RoomEvent.SignalConnected, () => this.#reconnected())
      .on(RoomEvent.Reconnected, () => this.#reconnected())
      .on(RoomEvent.Disconnected, (reason) => this.#disconnected(reason));
    room.registerTextStreamHandler("lk.transcription", (reader, from) => this.#read(reader, from));
  }

  #heed(participant) {
    if (!participant.isAgent || this.#heeded.has(participant)) return;
    this.#heeded.add(participant);
    const heed = () => this.#told(participant.attributes[FAREWELL]);
    participant.on(ParticipantEvent.AttributesChanged, heed);
    heed();
  }

  #meet(participant) {
    this.#heed(participant);
    if (!participant.isAgent || this.#agent) return;
    this.#agent = participant;
    clearTimeout(this.#timer);
    const tell = () => {
      const state = participant.attributes["lk.agent.state"];
      const there = ["listening", "thinking", "speaking"].includes(state);
      this.#answered ||= there;
      this.#say(there ? state : "ringing");
    };
    participant.on(ParticipantEvent.AttributesChanged, tell);
    tell();
  }

  #hear(track) {
    if (track.kind !== Track.Kind.Audio) return;
    document.body.append(track.attach());
    this.#emit("sound", { side: 1, track: track.mediaStreamTrack });
  }

  async #read(reader, from) {
    const { attributes = {}, id } = reader.info;
    const side = from.identity === this.#room.localParticipant.identity ? "caller" : "agent";
    const segment = attributes["lk.segment_id"] ?? id;
    let text = "";
    try {
      for await (const chunk of reader) {
        text += chunk;
        this.#emit(side, { id: segment, text, final: false });
      }
    } catch {
      // The room went in the middle of a sentence; what was said until then stands.
    }
    const final = side === "agent" || attributes["lk.transcription_final"] === "true";
    this.#emit(side, { id: segment, text, final });
  }

  #told(text) {
    if (!text) return;
    let event;
    try {
      event = JSON.parse(text);
    } catch {
      return;
    }
    if (event.type === "ended" || event.type === "refused") this.#farewell = { ...this.#farewell, ...event };
    if (event.type === "tool") this.#emit("tool", event);
    if (event.type === "latency" && event.kind === "reply") this.#emit("worker", event);
  }

  #reconnecting() {
    this.#say("reconnecting");
    this.#lostTimer ??= setTimeout(
      () => this.#end({ problem: this.#problem("lost") }),
      RECONNECT_SECONDS * 1000,
    );
  }

  #reconnected() {
    clearTimeout(this.#lostTimer);
    this.#lostTimer = null;
    if (this.#agent) this.#say(this.#agent.attributes["lk.agent.state"] ?? "listening");
  }

  #nobody() {
    this.#end({ problem: this.#problem("nobody", { seconds: ANSWER_SECONDS }) });
  }

  #leftAlone() {
    // The room is deleted a moment later; until then the reason may still be on its way.
    setTimeout(() => this.#end(this.#farewellOr("agent_lost")), FAREWELL_SECONDS * 1000);
  }

  #farewellOr(name, details) {
    const told = this.#farewell;
    const detail = told?.message ?? told?.detail;
    if (told?.reason === "removed" && detail?.includes("joined")) {
      return { reason: told.reason, problem: this.#problem("taken_over") };
    }
    if (REFUSALS.includes(told?.reason)) {
      return { reason: told.reason, problem: this.#problem(told.reason, { detail }) };
    }
    if (told) return { reason: told.reason, detail: told.detail };
    return { problem: this.#problem(name, details) };
  }

  #disconnected(reason) {
    // Else `connect` fails, and knows more of it.
    if (!this.#entered) return void (this.#thrownOut = reason);
    const R = DisconnectReason;
    if (reason === R.DUPLICATE_IDENTITY) return this.#end({ problem: this.#problem("duplicate") });
    const byHand = closedByHand(reason);
    if (byHand && !this.#farewell && this.#answered) return this.#end({ reason: "removed" });
    if (byHand) return this.#end(this.#farewellOr("refused"));
    this.#end(this.#farewellOr("lost"));
  }

  /** End the call, if it is not over yet. */
  hangUp() {
    this.#end({ reason: this.#agent ? "caller_hung_up" : "abandoned" });
  }

  mute(muted) {
    this.#muted = muted;
    if (this.#microphone) this.#microphone.enabled = !muted;
  }

  press(digit) {
    return this.#room.localParticipant.publishDtmf(DIGIT_CODES[digit], digit);
  }

  #end(how) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#lostTimer);
    clearInterval(this.#looking);
    this.#release();
    this.#emit("ended", how);
  }

  #release() {
    this.#microphone?.stop();
    return this.#room?.disconnect();
  }

  async #explain(error) {
    if (error.problem) return this.#problem(error.problem, error);
    if (closedByHand(this.#thrownOut)) return this.#problem("refused");
    console.info("the call failed:", error.reasonName ?? error.name, error.message);
    const R = ConnectionErrorReason;
    const text = `${error.message} ${JSON.stringify(error.context ?? "")}`;
    if (/expired/i.test(text)) return this.#problem("expired");
    if (error.reason === R.NotAllowed) return this.#problem("foreign");
    if (error.reason === R.ServerUnreachable || error.reason === R.Timeout) return this.#problem("unreachable");
    // It has found the token good, and did not let us in all the same. A room of our own is new.
    if (error.reason === R.WebSocket) return this.#problem(this.#about.token ? "full" : "turned_away");
    if (/pc connection|peer connection|negotiat/i.test(text)) return this.#problem("no_media");
    return this.#problem("unknown", { detail: error.message });
  }

  #problem(name, details = {}) {
    return problem(name, { url: this.#about.url, ...details });
  }

  #say(name) {
    if (!this.#over) this.#emit("state", { name });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function closedByHand(reason) {
  const R = DisconnectReason;
  return [R.ROOM_DELETED, R.PARTICIPANT_REMOVED, R.ROOM_CLOSED].includes(reason);
}

async function openMicrophone() {
  if (!navigator.mediaDevices) throw failed("insecure");
  try {
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    return stream.getAudioTracks()[0];
  } catch (error) {
    const names = {
      NotAllowedError: "microphone_denied",
      SecurityError: "microphone_denied",
      NotFoundError: "microphone_missing",
      OverconstrainedError: "microphone_missing",
    };
    throw failed(names[error.name] ?? "microphone_failed");
  }
}

function within(seconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(failed("unreachable")), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** An error that has words of its own. */
export function failed(name, details = {}) {
  return Object.assign(new Error(name), details, { problem: name });
}
