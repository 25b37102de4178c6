// The contact sheet: prompts with their takes, search, filters, pages, keys. All text comes from a table and is hostile:
// it only ever meets textContent, never markup. player.js and sound.js come before it in the same script.

const PAGE_SIZE = 24; // takes
const $ = (id) => document.getElementById(id);
const listing = JSON.parse($("listing").textContent);
const named = (keys, values) => Object.fromEntries(keys.map((key, index) => [key, values[index]]));
const prompts = listing.prompts.map((values) => named(["words", "kind", "line", "loop", "facts", "asked", "drawn", "kept"], values));
const TAKE = ["prompt", "name", "link", "lane", "reasons", "messages", "rank", "score", "seconds", "format", "measures", "origin", "category", "synthetic", "player"];
const takes = listing.takes.map((values) => {
  const take = named(TAKE, values), prompt = prompts[take.prompt];
  const says = prompt.facts.filter(([name]) => name === "says").map(([, text]) => text);
  return Object.assign(take, { kind: prompt.kind, needle: [prompt.words, ...says, take.name].join("\n").toLowerCase() });
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

// Seconds as a player shows them: 4.0, and 1:04.0 from a minute on.
function clock(seconds, digits) {
  const whole = Number(seconds.toFixed(digits)), rest = (whole % 60).toFixed(digits);
  return whole < 60 ? rest : `${Math.floor(whole / 60)}:${rest.padStart(digits ? 3 + digits : 2, "0")}`;
}

const minus = (number) => String(number).replace("-", "−");

// ---- Prompts and takes ---------------------------------------------------------------------------------------

function section(number, part) {
  const prompt = prompts[number], item = clone("prompt-template");
  item.querySelector(".words").textContent = prompt.words || prompt.facts.find(([name]) => name === "says")?.[1] || "(no words)";
  const category = part.map((take) => listing.categories[take.category]).find(Boolean);
  item.querySelector(".meta").textContent = [
    `line ${prompt.line}`, prompt.kind, category, prompt.loop ? "loop" : "", `${prompt.kept} kept of ${prompt.asked} asked, ${prompt.drawn} drawn`,
  ].filter(Boolean).join(" · ");
  pairs(item.querySelector(".asked"), prompt.facts);
  const stored = part.filter((take) => take.link);
  item.querySelector(".takes").append(...stored.map(card));
  fillUnstored(item.querySelector(".unstored"), part.filter((take) => !take.link), stored.length === 0);
  return item;
}

// Takes that were drawn and have no file: a line each, unfolded where there is nothing else to see.
function fillUnstored(details, part, open) {
  if (!part.length) { details.remove(); return; }
  details.open = open;
  details.querySelector("summary").textContent = `${part.length} more drawn and not stored`;
  for (const take of part) {
    const entry = add(details.querySelector("ul"), "li");
    add(entry, "b", take.reasons.map((reason) => plain(listing.reasons[reason])).join(", "));
    add(entry, "span", ` ${[...take.messages, placing(take), take.origin].filter(Boolean).join(" · ")}`);
  }
}

const placing = ({ rank, score }) => [rank ? `rank ${rank}` : "", score === null ? "" : `score ${minus(Number(score.toPrecision(3)))}`].filter(Boolean).join(", ");

function pairs(list, entries) {
  for (const [name, value] of entries.filter(([, text]) => text)) {
    const entry = add(list, "div");
    add(entry, "dt", name);
    add(add(entry, "dd"), "bdi", value);
  }
}

function card(take) {
  const item = clone("take-template"), lane = listing.lanes[take.lane];
  item.classList.add(`lane-${lane}`);
  item.querySelector(".badge").textContent = lane;
  item.querySelector(".rank").textContent = placing(take);
  if (!take.synthetic) item.querySelector(".synthetic").remove();
  addFile(item.querySelector(".file"), take);
  item.querySelector(".unit").textContent = [take.seconds === null ? "" : `${take.seconds.toFixed(1)} s`, take.format].filter(Boolean).join(" · ");
  fillWhy(item.querySelector(".why"), take);
  const measured = take.measures.map((value, index) => {
    const [title, unit] = listing.measures[index];
    return [title, value === null ? "" : `${minus(Number(value.toPrecision(3)))} ${unit}`];
  });
  pairs(item.querySelector(".measures"), measured.slice(0, listing.telling));
  pairs(item.querySelector(".more"), measured.slice(listing.telling));
  item.querySelector(".origin").textContent = take.origin;
  const player = take.player >= 0 ? new TakePlayer(take) : null;
  if (player) {
    item.querySelector(".head").after(player.root);
    players.push(player);
  }
  item.addEventListener("focus", () => { if (player) player.makeCurrent(); else silence(); });
  return item;
}

function addFile(place, take) {
  const link = add(place, "a");
  link.href = take.link;
  link.download = "";
  add(link, "bdi", take.name);
}

function fillWhy(list, take) {
  take.reasons.forEach((reason, place) => {
    const entry = add(list, "li", plain(listing.reasons[reason]));
    entry.title = listing.meanings[reason];
    if (take.messages[place]) add(add(entry, "small"), "bdi", take.messages[place]);
  });
  for (const message of take.messages.slice(take.reasons.length)) add(add(add(list, "li"), "small"), "bdi", message);
}

// ---- Search, filters, pages ----------------------------------------------------------------------------------

let page = 0;
let shown = takes;

function choose() {
  const lane = document.querySelector("input[name=lane]:checked").value;
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const { kind, category, reason } = Object.fromEntries(["kind", "category", "reason"].map((key) => [key, $(key).value]));
  shown = takes.filter((take) => (lane === "" || take.lane === Number(lane)) && (kind === "" || take.kind === kind)
    && (category === "" || take.category === Number(category)) && (reason === "" || take.reasons.includes(Number(reason)))
    && (!$("playable").checked || take.player >= 0) && words.every((word) => take.needle.includes(word)));
  $("reset").hidden = shown.length === takes.length;
  turn(0);
}

function turn(to) {
  page = to;
  silence();
  players = [];
  const start = page * PAGE_SIZE, part = shown.slice(start, start + PAGE_SIZE), pages = Math.ceil(shown.length / PAGE_SIZE);
  const groups = Map.groupBy(part, (take) => take.prompt);
  $("list").replaceChildren(...[...groups].map(([number, group]) => section(number, group)));
  $("count").textContent = shown.length === 0 ? (takes.length ? "No take matches." : "No takes in this run.")
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

function addLane(value, text, count) {
  const label = add($("lane-filter"), "label");
  const radio = add(label, "input");
  Object.assign(radio, { type: "radio", name: "lane", value, defaultChecked: value === "" });
  add(label, "span", `${text} ${count.toLocaleString("en")}`);
}

// Fills a select with [text, value]; without any there is nothing to choose.
function addChoices(select, choices) {
  choices.sort(([a], [b]) => a.localeCompare(b));
  for (const [text, value] of choices) add(select, "option", text).value = value;
  select.parentElement.hidden = choices.length === 0;
}

function showReason(reason) {
  const index = listing.reasons.indexOf(reason);
  if (index < 0) { $("failures")?.scrollIntoView(); return; } // no listed take has it: a row that failed
  $("filters").reset();
  $("reason").value = index;
  choose();
  $("items").scrollIntoView();
}

// ---- Keys: player.js has the space bar -----------------------------------------------------------------------

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };
const LEAPS = { ArrowUp: -1, ArrowDown: 1 };

function walk(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) {
    if (event.key === "Escape" && event.target === $("search")) event.target.blur();
    return;
  }
  const cards = [...document.querySelectorAll(".take")], here = cards.indexOf(event.target.closest(".take"));
  let next;
  if (event.key === "/") next = $("search");
  else if (event.key in STEPS) next = cards[here + STEPS[event.key]];
  else if (event.key in LEAPS && here >= 0) next = neighbour(cards[here].closest(".prompt"), LEAPS[event.key]);
  if (!next) return;
  event.preventDefault();
  const playing = current?.playing && next.matches(".take");
  next.focus();
  if (playing && current) current.play(); // one after the other is listened to
}

const neighbour = (prompt, way) => (way < 0 ? prompt.previousElementSibling : prompt.nextElementSibling)?.querySelector(".take");

function start() {
  addLane("", "all", takes.length);
  listing.lanes.forEach((lane, index) => {
    const count = takes.filter((take) => take.lane === index).length;
    if (count) addLane(String(index), lane, count);
  });
  addChoices($("kind"), [...new Set(prompts.map(({ kind }) => kind))].map((kind) => [kind, kind]));
  addChoices($("category"), listing.categories.map((category, index) => [category, index]).filter(([category]) => category));
  addChoices($("reason"), listing.reasons.map((reason, index) => [plain(reason), index]));
  for (const button of document.querySelectorAll("[data-reason]")) button.addEventListener("click", () => showReason(button.dataset.reason));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("input", choose);
  $("reset").addEventListener("click", () => { $("filters").reset(); choose(); });
  $("previous").addEventListener("click", () => turnAndScroll(page - 1));
  $("next").addEventListener("click", () => turnAndScroll(page + 1));
  document.addEventListener("keydown", walk);
  choose();
}

start();
