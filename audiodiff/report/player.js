"use strict";
// Players: three signals of one excerpt, their spectrograms, one playhead. page.js follows in the same script.

const TRACKS = ["Before", "After", "Removed"];
let made = 0; // players so far: each needs its own name for its radio buttons
let current = null; // the player that the keys steer; only its audio is loaded

class Player {
  constructor(preview, name) {
    Object.assign(this, { preview, track: 0, position: 0, audios: [], group: `track-${made++}` });
    this.root = clone("player-template");
    this.root.setAttribute("aria-label", `Player for ${name}`);
    this.range = this.root.querySelector(".position");
    this.range.max = preview.duration_s;
    this.tracks = TRACKS.map((label, index) => this.addTrack(label, index));
    this.listen();
    this.describe();
    this.select(0);
    this.show();
  }

  addTrack(label, index) {
    const track = clone("track-template");
    const image = track.querySelector("img");
    image.src = `data:image/png;base64,${this.preview.png[index]}`;
    image.alt = `Spectrogram, ${label.toLowerCase()}`;
    const radio = track.querySelector("input");
    radio.name = this.group;
    radio.addEventListener("change", () => this.select(index));
    track.querySelector("kbd").textContent = index + 1;
    track.querySelector("label span").textContent = label;
    labelFrequencies(track.querySelector(".scale"), this.preview.sample_rate / 2);
    this.root.querySelector(".tracks").append(track);
    return { track, radio };
  }

  listen() {
    const area = this.root.querySelector(".tracks");
    const seek = (event) => {
      const box = area.getBoundingClientRect();
      this.seek((event.clientX - box.left) / box.width * this.preview.duration_s);
    };
    area.addEventListener("click", (event) => {
      if (event.target.closest("label")) return;
      this.select(this.tracks.findIndex(({ track }) => track.contains(event.target)));
      seek(event);
    });
    this.root.querySelector(".play").addEventListener("click", () => this.toggle());
    this.range.addEventListener("input", () => this.seek(Number(this.range.value)));
    this.root.addEventListener("pointerdown", () => { this.makeCurrent(); });
    this.root.addEventListener("focusin", () => { this.makeCurrent(); });
  }

  describe() {
    const gain = this.preview.gain_db;
    const level = Math.abs(gain) < 0.05 ? "“after” is as loud as “before”" : `“after” is played ${signed(gain, 1)} dB to be as loud as “before”`;
    this.root.querySelector(".note").textContent = `Excerpt from ${clock(this.preview.start_s, 0)} on; ${level}.`;
  }

  makeCurrent() {
    if (current === this) return;
    if (current) current.unload();
    current = this;
  }

  load() {
    this.makeCurrent();
    if (this.audios.length) return;
    this.audios = this.preview.opus.map((data) => {
      const audio = new Audio(URL.createObjectURL(new Blob([bytes(data)], { type: "audio/ogg; codecs=opus" })));
      audio.preload = "auto";
      audio.currentTime = this.position;
      audio.addEventListener("error", () => { this.root.querySelector(".note").textContent = "This browser cannot play Ogg Opus."; });
      return this.root.appendChild(audio);
    });
    this.audios.forEach((audio, index) => audio.addEventListener("ended", () => { if (index === this.track) this.end(); }));
    this.mute();
  }

  unload() {
    this.pause();
    for (const audio of this.audios) {
      const url = audio.src;
      audio.remove();
      audio.removeAttribute("src");
      audio.load(); // frees the decoder: browsers allow only some dozens
      URL.revokeObjectURL(url);
    }
    this.audios = [];
  }

  get playing() { return this.root.classList.contains("playing"); }

  // All three run together and two are muted, so that switching is immediate and keeps the position.
  play() {
    this.load();
    this.setPlaying(true);
    for (const audio of this.audios) {
      audio.currentTime = this.position;
      audio.play().catch(() => {}); // interrupted by a pause; an undecodable file reports itself by its error event
    }
    requestAnimationFrame(() => this.follow());
  }

  pause() {
    for (const audio of this.audios) audio.pause();
    this.setPlaying(false);
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  end() {
    this.pause();
    this.seek(0);
    if (this.root.querySelector(".repeat").checked) this.play();
  }

  follow() {
    if (!this.playing) return;
    this.position = Math.min(this.audios[this.track].currentTime, this.preview.duration_s);
    this.show();
    requestAnimationFrame(() => this.follow());
  }

  seek(position) {
    this.position = Math.min(Math.max(position, 0), this.preview.duration_s);
    for (const audio of this.audios) audio.currentTime = this.position;
    this.show();
  }

  select(index) {
    this.track = index;
    this.tracks.forEach(({ track, radio }, other) => {
      track.classList.toggle("active", other === index);
      radio.checked = other === index;
    });
    this.mute();
  }

  mute() {
    this.audios.forEach((audio, index) => { audio.muted = index !== this.track; });
    const heard = this.audios[this.track];
    if (this.playing && heard && Math.abs(heard.currentTime - this.position) > 0.05) heard.currentTime = this.position;
  }

  setPlaying(playing) {
    this.root.classList.toggle("playing", playing);
    this.root.querySelector(".play").setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  show() {
    const { position, preview } = this;
    this.root.querySelector(".playhead").style.left = `${100 * position / preview.duration_s}%`;
    this.range.value = position;
    this.range.setAttribute("aria-valuetext", `${position.toFixed(1)} of ${preview.duration_s.toFixed(1)} seconds`);
    this.root.querySelector(".time").textContent = `${clock(position, 1)} / ${clock(preview.duration_s, 1)}`;
  }
}

function bytes(base64) { return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)); }

function labelFrequencies(scale, top_hz) {
  const mel = (hz) => Math.log10(1 + hz / 700) / Math.log10(1 + top_hz / 700);
  let last = 0;
  for (const hz of [500, 1000, 2000, 5000, 10000, 20000]) {
    const height = mel(hz);
    if (height - last < 0.17 || height > 0.95) continue;
    add(scale, "span", hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`).style.bottom = `${100 * height}%`;
    last = height;
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input[type=search], select, summary")) return;
  const inside = event.target.closest(".player");
  if (event.key === " " && !inside && event.target.matches("button, input, a")) return;
  const player = current || players[0];
  if (!player) return;
  if (event.key === " ") {
    if (event.target.matches(".repeat")) return;
    player.toggle();
  } else if (["1", "2", "3"].includes(event.key)) {
    player.makeCurrent();
    player.select(Number(event.key) - 1);
  } else return;
  event.preventDefault();
});
// A button answers to the release of the space bar, which would toggle a second time.
document.addEventListener("keyup", (event) => { if (event.key === " " && event.target.matches(".play")) event.preventDefault(); });
