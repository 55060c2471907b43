// Runs beside the sound itself: the loudness of both sides, stamped by one clock, every 1024 samples.

const BLOCKS = 8;

class Meter extends AudioWorkletProcessor {
  constructor() {
    super();
    this.blocks = 0;
    this.energy = [0, 0];
    this.samples = [0, 0];
  }

  process(inputs) {
    inputs.forEach((input, side) => {
      const channel = input[0];
      if (!channel) return;
      for (const sample of channel) this.energy[side] += sample * sample;
      this.samples[side] += channel.length;
    });
    this.blocks += 1;
    if (this.blocks === BLOCKS) {
      const [caller, agent] = this.energy.map((sum, side) => decibels(sum, this.samples[side]));
      this.port.postMessage({ at: currentTime, caller, agent });
      this.blocks = 0;
      this.energy = [0, 0];
      this.samples = [0, 0];
    }
    return true;
  }
}

function decibels(energy, samples) {
  return samples && energy ? Math.max(-100, 10 * Math.log10(energy / samples)) : -100;
}

registerProcessor("meter", Meter);
