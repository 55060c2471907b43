// How loud both sides are, when they speak, and how long the caller waits for an answer: measured on
// what the microphone gives and what the loudspeaker gets, as the caller hears it.

const AGENT_LOUD = -50;
const CALLER_LOUDEST_NOISE = -45;
const ABOVE_NOISE = 12;
const NEW_UTTERANCE_SECONDS = 0.3;
const SPEECH_SECONDS = 0.15;
const LONGEST_WAIT_SECONDS = 20;

export class Levels extends EventTarget {
  #context;
  #meter;
  #sources = [];
  #turns = new Turns();

  static async open() {
    const levels = new Levels();
    const context = new AudioContext({ latencyHint: "interactive" });
    levels.#context = context;
    await context.audioWorklet.addModule("/meter.js");
    levels.#meter = new AudioWorkletNode(context, "meter", { numberOfInputs: 2, numberOfOutputs: 0 });
    levels.#meter.port.onmessage = ({ data }) => levels.#measure(data);
    context.resume();
    return levels;
  }

  /** Listen to one side: 0 the caller, 1 the agent. */
  listen(side, track) {
    const source = this.#context.createMediaStreamSource(new MediaStream([track]));
    source.connect(this.#meter, 0, side);
    this.#sources.push(source);
  }

  /** When the caller began to speak last, on the clock of performance.now(). */
  get callerBegan() {
    return this.#turns.callerBegan;
  }

  close() {
    this.#sources.forEach((source) => source.disconnect());
    this.#meter.port.onmessage = null;
    return this.#context.close();
  }

  #measure({ at, caller, agent }) {
    this.dispatchEvent(new CustomEvent("levels", { detail: { caller, agent } }));
    const wait = this.#turns.hear(at, caller, agent);
    if (wait !== null) this.dispatchEvent(new CustomEvent("wait", { detail: wait }));
  }
}

/** Who speaks when. Times are seconds of the audio clock. */
export class Turns {
  callerBegan = null;
  #noise = -60;
  #spoken = 0;
  #lastWord = -Infinity;
  #lastAgentSound = -Infinity;
  #last = null;

  /** Return how long the caller has waited if the agent begins to answer right now, else null. */
  hear(at, caller, agent) {
    const length = this.#last === null ? 0 : Math.min(at - this.#last, 0.1);
    this.#last = at;
    this.#noise = Math.min(Math.max(caller, -90), this.#noise + 4 * length);
    if (caller > Math.max(CALLER_LOUDEST_NOISE, this.#noise + ABOVE_NOISE)) {
      if (at - this.#lastWord > NEW_UTTERANCE_SECONDS) this.callerBegan = performance.now();
      this.#spoken += length;
      this.#lastWord = at;
    }
    return agent > AGENT_LOUD ? this.#agentSounds(at) : null;
  }

  #agentSounds(at) {
    const begins = at - this.#lastAgentSound > NEW_UTTERANCE_SECONDS;
    this.#lastAgentSound = at;
    if (!begins) return null;
    const wait = at - this.#lastWord;
    const answers = this.#spoken >= SPEECH_SECONDS && wait > 0.05 && wait < LONGEST_WAIT_SECONDS;
    this.#spoken = 0;
    return answers ? wait : null;
  }
}
