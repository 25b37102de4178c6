// The list of recordings: rows, filters, order, pages. All text comes from files and is hostile: it only ever
// meets textContent, never markup.

const PAGE_SIZE = 20;
const $ = (id) => document.getElementById(id);
const listing = JSON.parse($("listing").textContent);
const rows = listing.rows.map(([name, lane, reasons, duration, rate, channels, codec, bits, before, after, preview, messages], order) => (
  { name, lane, reasons, duration, rate, channels, codec, bits, before, after, preview, messages, order, needle: name.toLowerCase() }));
const OVERALL = listing.measures.length - 1; // DNSMOS overall is the last measure
const plain = (reason) => reason.replaceAll("_", " ");

function add(parent, tag, text, className) {
  const element = parent.appendChild(document.createElement(tag));
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

const clone = (id) => $(id).content.firstElementChild.cloneNode(true);

let players = [];

function card(row) {
  const item = clone("card-template");
  item.classList.add(`lane-${listing.lanes[row.lane]}`);
  item.querySelector(".name").textContent = row.name;
  item.querySelector(".badge").textContent = listing.lanes[row.lane];
  item.querySelector(".meta").textContent = facts(row);
  fillReasons(item.querySelector(".why"), row);
  fillScores(item.querySelector(".scores"), row);
  if (row.preview >= 0) {
    const player = new Player(JSON.parse($(`preview-${row.preview}`).textContent), row.name);
    item.classList.add("playable");
    item.querySelector(".body").append(player.root);
    players.push(player);
  }
  return item;
}

function facts({ duration, rate, channels, codec, bits }) {
  const parts = [];
  if (duration !== null) parts.push(duration < 60 ? `${duration.toFixed(1)} s` : clock(duration, 0));
  if (rate) parts.push(`${rate / 1000} kHz`);
  if (channels) parts.push({ 1: "mono", 2: "stereo" }[channels] || `${channels} channels`);
  if (codec) parts.push(bits ? `${codec} ${bits}-bit` : codec);
  return parts.join(" · ");
}

function fillReasons(list, row) {
  for (const index of row.reasons) {
    const [reason, meaning] = listing.reasons[index];
    const entry = add(list, "li", plain(reason));
    if (meaning) add(entry, "small", meaning);
  }
  for (const message of row.messages) add(add(list, "li"), "small", message);
}

function fillScores(table, row) {
  if (!row.before || !row.after) { table.remove(); return; }
  listing.measures.forEach(([title, unit, digits, better], index) => {
    const before = row.before[index], after = row.after[index];
    if (before === null && after === null) return;
    const line = add(table.tBodies[0], "tr");
    const head = add(line, "th", title + " ");
    head.scope = "row";
    if (unit) add(head, "small", unit);
    add(line, "td", number(before, digits));
    add(line, "td", number(after, digits));
    const change = before === null || after === null ? null // of the numbers as shown, so that the table adds up
      : Number((Number(after.toFixed(digits)) - Number(before.toFixed(digits))).toFixed(digits));
    const verdict = !change || !better ? "same" : change * better > 0 ? "better" : "worse";
    add(line, "td", change === null ? "–" : change === 0 ? "=" : signed(change, digits), verdict);
  });
  if (row.preview < 0) fold(table);
}

function fold(table) {
  const details = document.createElement("details");
  add(details, "summary", "Scores");
  table.replaceWith(details);
  details.append(table);
}

function number(value, digits) { return value === null ? "–" : value.toFixed(digits).replace("-", "−"); }
function signed(value, digits) { return (value > 0 ? "+" : "") + number(value, digits); }

function clock(seconds, digits) {
  const whole = Number(seconds.toFixed(digits)), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const rest = (whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

// ---- Filters, order, pages -----------------------------------------------------------------------------------

const gain = (row) => (row.before && row.after && row.after[OVERALL] !== null && row.before[OVERALL] !== null
  ? row.after[OVERALL] - row.before[OVERALL] : null);
const last = (value, other) => (value === null) - (other === null); // rows without the measure stand at the end
const ORDERS = {
  "": (a, b) => a.lane - b.lane || (b.preview >= 0) - (a.preview >= 0) || a.order - b.order,
  players: (a, b) => (b.preview >= 0) - (a.preview >= 0) || a.order - b.order,
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  duration: (a, b) => last(a.duration, b.duration) || b.duration - a.duration,
  gain: (a, b) => last(gain(a), gain(b)) || gain(b) - gain(a),
  loss: (a, b) => last(gain(a), gain(b)) || gain(a) - gain(b),
};

let page = 0;
let shown = rows;

function choose() {
  const lane = document.querySelector("input[name=lane]:checked").value;
  const reason = $("reason").value;
  const needle = $("search").value.trim().toLowerCase();
  shown = rows.filter((row) => (lane === "" || row.lane === Number(lane)) && (reason === "" || row.reasons.includes(Number(reason)))
    && (!$("playable").checked || row.preview >= 0) && row.needle.includes(needle));
  shown.sort(ORDERS[$("sort").value]);
  turn(0);
}

function turn(to) {
  page = to;
  if (current) current.unload();
  current = null;
  players = [];
  const start = page * PAGE_SIZE, part = shown.slice(start, start + PAGE_SIZE), pages = Math.ceil(shown.length / PAGE_SIZE);
  $("list").replaceChildren(...part.map(card));
  $("count").textContent = shown.length === 0 ? (rows.length ? "No recording matches." : "No recordings in this run.")
    : `${start + 1}–${start + part.length} of ${shown.length.toLocaleString("en")} listed`;
  $("pager").hidden = pages < 2;
  $("page").textContent = `Page ${page + 1} of ${pages}`;
  $("previous").disabled = page === 0;
  $("next").disabled = page >= pages - 1;
}

function turnAndScroll(to) {
  turn(to);
  $("items").scrollIntoView();
}

function addLane(value, text, count) {
  const label = add($("lane-filter"), "label");
  const radio = add(label, "input");
  Object.assign(radio, { type: "radio", name: "lane", value, defaultChecked: value === "" });
  add(label, "span", `${text} ${count.toLocaleString("en")}`);
}

function start() {
  addLane("", "all", rows.length);
  listing.lanes.forEach((lane, index) => {
    const count = rows.filter((row) => row.lane === index).length;
    if (count) addLane(String(index), lane, count);
  });
  listing.reasons.forEach(([reason], index) => { add($("reason"), "option", plain(reason)).value = index; });
  for (const button of document.querySelectorAll("[data-reason]")) {
    button.addEventListener("click", () => {
      $("filters").reset();
      $("reason").value = listing.reasons.findIndex(([reason]) => reason === button.dataset.reason);
      choose();
      $("items").scrollIntoView();
    });
  }
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("input", choose);
  $("previous").addEventListener("click", () => turnAndScroll(page - 1));
  $("next").addEventListener("click", () => turnAndScroll(page + 1));
  choose();
}

start();
