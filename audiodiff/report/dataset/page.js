// The list of clips: rows, filters, order, pages, players. All text comes from files and is hostile: it only ever
// meets textContent, never markup. player.js comes before it in the same script, map.js after it.

const PAGE_SIZE = 40;
const $ = (id) => document.getElementById(id);
const listing = JSON.parse($("listing").textContent);
const KEYS = ["name", "caption", "seconds", "lane", "reasons", "messages", "licence", "split", "kind", "player"];
const rows = listing.rows.map((values, order) => {
  const row = Object.fromEntries(KEYS.map((key, index) => [key, values[index]]));
  return Object.assign(row, { order, needle: `${row.name}\n${row.caption}`.toLowerCase() });
});
const plain = (reason) => reason.replaceAll("_", " ");
let players = []; // what the space bar plays if nothing was chosen

function add(parent, tag, text, className) {
  const element = parent.appendChild(document.createElement(tag));
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

const clone = (id) => $(id).content.firstElementChild.cloneNode(true);

function clock(seconds, digits) {
  const whole = Number(seconds.toFixed(digits)), rest = (whole % 60).toFixed(digits);
  return `${Math.floor(whole / 60)}:${rest.padStart(digits ? 3 + digits : 2, "0")}`;
}

const length = (seconds) => (seconds < 60 ? `${seconds.toFixed(1)} s` : clock(seconds, 0));

// A player of one signal.
class ClipPlayer extends Player {
  constructor(number, name) { super(JSON.parse($(`player-${number}`).textContent), name); }

  addTrack(label, index) {
    if (index > 0) return { track: document.createElement("div"), radio: document.createElement("input") };
    const made = super.addTrack("of the clip", 0);
    made.track.querySelector("label").remove();
    return made;
  }

  select() { super.select(0); }

  describe() {
    const { start_s, duration_s } = this.preview;
    this.root.querySelector(".note").textContent = `The first ${duration_s.toFixed(1)} s${start_s ? `, from ${clock(start_s, 1)} of its recording on` : ""}.`;
  }
}

function silence() {
  if (current) current.unload();
  current = null;
  players = [];
}

// ---- Rows ----------------------------------------------------------------------------------------------------

function line(row) {
  const lane = listing.lanes[row.lane];
  const item = document.createElement("tr");
  item.className = `lane-${lane}`;
  const listen = add(item, "td");
  if (row.player >= 0) addListen(listen, row);
  add(add(item, "td"), "bdi", row.name, "name");
  const caption = add(item, "td", undefined, "caption-of");
  add(caption, "bdi", row.caption);
  if (listing.kinds[row.kind]) add(caption, "small", listing.kinds[row.kind]);
  add(item, "td", row.seconds ? length(row.seconds) : "–", "seconds");
  add(add(item, "td", undefined, "lane-of"), "span", lane, "badge");
  fillWhy(add(item, "td", undefined, "why-of"), row);
  add(item, "td", listing.licences[row.licence] || "–", "licence-of");
  add(item, "td", listing.splits[row.split] || "–");
  return item;
}

function fillWhy(cell, row) {
  row.reasons.forEach((reason, place) => {
    const entry = add(cell, "div", plain(listing.reasons[reason]));
    entry.title = listing.meanings[reason];
    if (row.messages[place]) add(entry, "small", row.messages[place]);
  });
  for (const message of row.messages.slice(row.reasons.length)) add(cell, "small", message);
}

function addListen(cell, row) {
  const button = add(cell, "button", "▶", "listen");
  button.type = "button";
  button.setAttribute("aria-label", `Listen to ${row.name}`);
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "false";
    closePlayers();
    if (!open) return;
    button.setAttribute("aria-expanded", "true");
    const below = document.createElement("tr");
    below.className = "below";
    add(below, "td");
    const place = add(below, "td");
    place.colSpan = 7;
    cell.parentElement.after(below);
    playIn(place, row.player, row.name);
  });
}

function closePlayers() {
  silence();
  for (const below of document.querySelectorAll(".below")) below.remove();
  for (const button of document.querySelectorAll(".listen")) button.setAttribute("aria-expanded", "false");
}

function playIn(place, number, name) {
  const player = new ClipPlayer(number, name);
  place.replaceChildren(player.root);
  players = [player];
  player.play();
}

// ---- Filters, order, pages -----------------------------------------------------------------------------------

const SORTS = {
  name: (row) => row.name, caption: (row) => row.caption, seconds: (row) => row.seconds, lane: (row) => row.lane,
  why: (row) => row.reasons.map((reason) => listing.reasons[reason]).join(), licence: (row) => listing.licences[row.licence],
  split: (row) => listing.splits[row.split],
};
const CHOICES = { kind: "kinds", licence: "licences", split: "splits" };

let page = 0;
let shown = rows;
let sort = { key: "", down: false };

function compare(a, b) {
  if (!sort.key) return (b.player >= 0) - (a.player >= 0) || a.order - b.order;
  const [x, y] = [a, b].map(SORTS[sort.key]);
  if (x === "" || y === "") return (x === "") - (y === ""); // what is not known stands at the end either way
  const way = typeof x === "number" ? x - y : x.localeCompare(y, undefined, { numeric: true });
  return (sort.down ? -way : way) || a.order - b.order;
}

// "In quotes" is a whole word of a caption, as words.py cuts them; anything else a part of name or caption.
function finder(text) {
  const word = /^"(.+)"$/.exec(text);
  if (!word) return (row) => row.needle.includes(text.toLowerCase());
  const whole = new RegExp(`(?<![\\p{L}'’])${word[1].replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(?![\\p{L}]|['’]\\p{L})`, "iu");
  return (row) => whole.test(row.caption);
}

function choose() {
  const lane = document.querySelector("input[name=lane]:checked").value;
  const reason = $("reason").value;
  const finds = finder($("search").value.trim());
  const chosen = Object.keys(CHOICES).filter((key) => $(key).value !== "").map((key) => [key, Number($(key).value)]);
  shown = rows.filter((row) => (lane === "" || row.lane === Number(lane)) && (reason === "" || row.reasons.includes(Number(reason)))
    && (!$("playable").checked || row.player >= 0) && chosen.every(([key, value]) => row[key] === value) && finds(row));
  shown.sort(compare);
  $("reset").hidden = shown.length === rows.length;
  turn(0);
}

function turn(to) {
  page = to;
  closePlayers();
  const start = page * PAGE_SIZE, part = shown.slice(start, start + PAGE_SIZE), pages = Math.ceil(shown.length / PAGE_SIZE);
  $("list").tBodies[0].replaceChildren(...part.map(line));
  $("list").hidden = shown.length === 0;
  $("count").textContent = shown.length === 0 ? (rows.length ? "No clip matches." : "No clips in this run.")
    : `${(start + 1).toLocaleString("en")}–${(start + part.length).toLocaleString("en")} of ${shown.length.toLocaleString("en")} listed`;
  $("pager").hidden = pages < 2;
  $("page").textContent = `Page ${page + 1} of ${pages}`;
  $("previous").disabled = page === 0;
  $("next").disabled = page >= pages - 1;
}

function turnAndScroll(to) {
  turn(to);
  $("items").scrollIntoView();
}

function orderBy(key) {
  sort = { key, down: sort.key === key && !sort.down };
  for (const button of document.querySelectorAll("[data-sort]")) {
    if (button.dataset.sort === key) button.parentElement.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
    else button.parentElement.removeAttribute("aria-sort");
  }
  choose();
}

function addLane(value, text, count) {
  const label = add($("lane-filter"), "label");
  const radio = add(label, "input");
  Object.assign(radio, { type: "radio", name: "lane", value, defaultChecked: value === "" });
  add(label, "span", `${text} ${count.toLocaleString("en")}`);
}

// Fills a select with words in their order; without any there is nothing to choose.
function addChoices(select, words, show) {
  const known = words.map((word, index) => [word, index]).filter(([word]) => word);
  known.sort(([a], [b]) => a.localeCompare(b));
  for (const [word, index] of known) add(select, "option", show(word)).value = index;
  select.parentElement.hidden = known.length === 0;
}

// Chooses a word; one that no listed row has is searched for, and not found.
function pick(key, words, word) {
  const index = words.indexOf(word);
  if (index >= 0) $(key).value = index;
  else $("search").value = word;
}

// A button elsewhere on the page that shows the clips it counts.
function link(name, apply) {
  for (const button of document.querySelectorAll(`[data-${name}]`)) {
    button.addEventListener("click", () => {
      $("filters").reset();
      apply(button.dataset[name]);
      choose();
      $("items").scrollIntoView();
    });
  }
}

function start() {
  addLane("", "all", rows.length);
  listing.lanes.forEach((lane, index) => {
    const count = rows.filter((row) => row.lane === index).length;
    if (count) addLane(String(index), lane, count);
  });
  addChoices($("reason"), listing.reasons, plain);
  for (const [key, table] of Object.entries(CHOICES)) addChoices($(key), listing[table], (word) => word);
  link("reason", (reason) => pick("reason", listing.reasons, reason));
  link("kind", (kind) => pick("kind", listing.kinds, kind));
  link("licence", (licence) => pick("licence", listing.licences, licence));
  link("word", (word) => {
    document.querySelector(`input[name=lane][value="${listing.lanes.indexOf("accepted")}"]`).checked = true;
    $("search").value = `"${word}"`;
  });
  for (const button of document.querySelectorAll("[data-sort]")) button.addEventListener("click", () => orderBy(button.dataset.sort));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("input", choose);
  $("reset").addEventListener("click", () => { $("filters").reset(); choose(); });
  $("previous").addEventListener("click", () => turnAndScroll(page - 1));
  $("next").addEventListener("click", () => turnAndScroll(page + 1));
  choose();
}

start();
