// The map of embeddings: points to point at, a legend that singles a colour out, and the clip that was chosen.

const MAP_WIDTH = 800, MAP_HEIGHT = 560, MAP_MARGIN = 18;
const REACH = 14; // how near a pointer must come to a point, in the map's units
const MAP_KEYS = ["x", "y", "name", "caption", "lane", "kind", "split", "player"];
const COLOURS = 7; // and one for all the others
const NAMES = { kind: listing.kinds, lane: listing.lanes, split: listing.splits };

const points = JSON.parse($("points").textContent).points.map((values) => {
  const point = Object.fromEntries(MAP_KEYS.map((key, index) => [key, values[index]]));
  point.x = MAP_WIDTH / 2 + point.x * (MAP_WIDTH / 2 - MAP_MARGIN);
  point.y = MAP_HEIGHT / 2 - point.y * (MAP_HEIGHT / 2 - MAP_MARGIN);
  return point;
});
let here = null; // the point that the panel describes
let singled = null; // the colour that the legend singles out

const svgElement = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);

function draw() {
  for (const point of points) {
    point.circle = $("map").appendChild(svgElement("circle"));
    point.circle.setAttribute("cx", point.x.toFixed(1));
    point.circle.setAttribute("cy", point.y.toFixed(1));
    point.circle.setAttribute("r", point.player >= 0 ? 6.5 : 4);
  }
}

function colour() {
  const key = $("map-colour").value;
  const counts = new Map();
  for (const point of points) counts.set(point[key], (counts.get(point[key]) || 0) + 1);
  const named = [...counts.keys()].filter((value) => NAMES[key][value]);
  const ranked = named.sort((a, b) => counts.get(b) - counts.get(a)).slice(0, COLOURS);
  for (const point of points) point.colour = ranked.includes(point[key]) ? ranked.indexOf(point[key]) : COLOURS;
  const entries = ranked.map((value, index) => [index, NAMES[key][value], counts.get(value)]);
  const others = points.filter((point) => point.colour === COLOURS).length;
  if (others) entries.push([COLOURS, named.length > COLOURS ? "others" : "not known", others]);
  $("map-legend").replaceChildren(...entries.map(legendEntry));
  single(null);
}

function legendEntry([index, name, count]) {
  const entry = document.createElement("li");
  const button = add(entry, "button");
  button.type = "button";
  const swatch = button.appendChild(svgElement("svg"));
  swatch.setAttribute("class", "swatch");
  const area = swatch.appendChild(svgElement("rect"));
  area.setAttribute("class", `map-${index}`);
  area.setAttribute("width", "100%");
  area.setAttribute("height", "100%");
  button.append(` ${name} ${count.toLocaleString("en")}`);
  button.dataset.colour = index;
  button.addEventListener("click", () => single(singled === index ? null : index));
  return entry;
}

function single(index) {
  singled = index;
  for (const button of document.querySelectorAll("#map-legend button")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.colour) === index));
  }
  for (const point of points) restyle(point);
}

function restyle(point) {
  const faded = singled !== null && point.colour !== singled;
  point.circle.setAttribute("class", [`map-${point.colour}`, point.player >= 0 && "sounds", faded && "faded", point === here && "here"].filter(Boolean).join(" "));
}

function nearest(event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform($("map").getScreenCTM().inverse());
  let best = null, least = REACH;
  for (const point of points) {
    const far = Math.hypot(point.x - at.x, point.y - at.y);
    if (far < least && (singled === null || point.colour === singled)) [best, least] = [point, far];
  }
  return best;
}

function show(point) {
  if (!point || point === here) return;
  const before = here;
  here = point;
  if (before) restyle(before);
  restyle(point);
  const text = $("map-text");
  text.replaceChildren();
  add(add(text, "p", undefined, "quote"), "bdi", point.caption || "No caption.");
  add(add(text, "p"), "bdi", point.name);
  const facts = [listing.kinds[point.kind], listing.lanes[point.lane], listing.splits[point.split]].filter(Boolean).join(" · ");
  add(text, "p", point.player >= 0 ? `${facts} · click or Enter plays` : facts, "note");
}

function play(point) {
  if (!point) return;
  show(point);
  closePlayers();
  $("map-player").replaceChildren();
  if (point.player >= 0) playIn($("map-player"), point.player, point.name);
}

// The nearest point in the direction of an arrow key; straight ahead counts more than aside.
function step(dx, dy) {
  if (!here) { show(points[0]); return; }
  let best = null, least = Infinity;
  for (const point of points) {
    const x = point.x - here.x, y = point.y - here.y;
    const ahead = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
    const far = ahead + 2 * aside;
    if (ahead > 0 && far < least && (singled === null || point.colour === singled)) [best, least] = [point, far];
  }
  show(best);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

if (points.length) {
  draw();
  colour();
  $("map-colour").addEventListener("change", colour);
  $("map").addEventListener("pointermove", (event) => show(nearest(event)));
  $("map").addEventListener("click", (event) => play(nearest(event)));
  $("map").addEventListener("keydown", (event) => {
    if (ARROWS[event.key]) step(...ARROWS[event.key]);
    else if (event.key === "Enter") play(here);
    else return;
    event.preventDefault();
  });
}
