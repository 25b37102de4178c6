// Players of takes, whose loops have no gap. player.js comes before it in the same script, library.js after it.

const SEAM_S = 1.5; // what is heard of a loop before its end, to judge the seam
let output = null; // browsers let a page make sound only once a key or button was pressed

// What Player asks of an audio element, by Web Audio: an audio element's loops have a gap where end meets beginning.
class Sound {
  constructor(opus, { lead_s, duration_s }, looping, ended) {
    output ??= new AudioContext({ sampleRate: 48000 });
    Object.assign(this, { lead_s, duration_s, looping, ended, at: 0, started: 0, source: null, wanted: false });
    this.buffer = output.decodeAudioData(bytes(opus).buffer);
  }

  get currentTime() {
    if (!this.source) return this.at;
    const passed = this.at + output.currentTime - this.started;
    return this.looping ? passed % this.duration_s : Math.min(passed, this.duration_s);
  }

  set currentTime(position) {
    const running = this.source !== null;
    this.stop();
    this.at = position % this.duration_s;
    if (running) this.play();
  }

  async play() {
    this.wanted = true;
    const [buffer] = await Promise.all([this.buffer, output.resume()]);
    if (!this.wanted || this.source) return;
    this.source = new AudioBufferSourceNode(output, {
      buffer, loop: this.looping, loopStart: this.lead_s, loopEnd: this.lead_s + this.duration_s });
    this.source.connect(output.destination);
    this.source.onended = () => this.ended();
    this.started = output.currentTime;
    if (this.looping) this.source.start(0, this.lead_s + this.at);
    else this.source.start(0, this.lead_s + this.at, this.duration_s - this.at);
  }

  pause() {
    this.wanted = false;
    this.at = this.currentTime;
    this.stop();
  }

  stop() {
    if (!this.source) return;
    this.source.onended = null;
    this.source.stop();
    this.source = null;
  }

  loop(looping) {
    const at = this.currentTime;
    this.looping = looping;
    this.currentTime = at;
  }
}

// A player of one signal.
class TakePlayer extends Player {
  constructor(take) {
    super(JSON.parse($(`player-${take.player}`).textContent), take.name);
    this.repeat = this.root.querySelector(".repeat");
    this.repeat.addEventListener("change", () => { for (const sound of this.audios) sound.loop(this.repeat.checked); });
    if (prompts[take.prompt].loop) this.addSeam();
  }

  addTrack(label, index) {
    if (index > 0) return { track: document.createElement("div"), radio: document.createElement("input") };
    const made = super.addTrack("of the take", 0);
    made.track.querySelector("label").remove();
    return made;
  }

  addSeam() {
    this.repeat.checked = true;
    this.repeat.nextSibling.textContent = " Loop";
    const button = add(this.root.querySelector(".note"), "button", "Hear the seam", "plain");
    button.type = "button";
    button.addEventListener("keydown", (event) => { if (event.key === " ") event.stopPropagation(); }); // it presses the button
    button.addEventListener("click", () => {
      if (!this.repeat.checked) this.repeat.click();
      this.seek(Math.max(0, this.preview.duration_s - SEAM_S));
      if (!this.playing) this.play();
    });
  }

  select() { super.select(0); }

  describe() {
    const { duration_s, whole_s } = this.preview;
    const note = this.root.querySelector(".note");
    note.textContent = whole_s - duration_s > 0.05 ? `The first ${duration_s.toFixed(1)} s of ${whole_s.toFixed(1)} s. ` : "";
  }

  load() {
    this.makeCurrent();
    if (this.audios.length) return;
    const sound = new Sound(this.preview.opus[0], this.preview, this.repeat.checked, () => this.end());
    sound.buffer.catch(() => { this.pause(); this.root.querySelector(".note").textContent = "This browser cannot play Ogg Opus."; });
    this.audios = [sound];
  }

  unload() {
    this.pause();
    this.audios = [];
  }
}

function silence() {
  if (current) current.unload();
  current = null;
}
