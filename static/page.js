// Small comforts; everything works without them.
const inField = (event) => event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select");
const rows = () => [...document.querySelectorAll(".row > .text")];
const help = () => document.getElementById("help");
const isHelpOpen = () => help().matches(":popover-open");
// Help tells the keys that do something on this page, and is left when the focus goes elsewhere.
addEventListener("beforetoggle", (event) => {
  if (event.target !== help()) return;
  for (const key of help().querySelectorAll("[data-for]")) key.hidden = !document.querySelector(key.dataset.for);
}, { capture: true });
addEventListener("focusin", (event) => isHelpOpen() && !help().contains(event.target) && help().hidePopover());
const toTheEnd = (field) => field && (focus(field), field.setSelectionRange(field.value.length, field.value.length));
const focus = (element) => element && (element.focus(), element.scrollIntoView({ block: "nearest" }));

function step(by) {
  const all = rows();
  const at = all.indexOf(document.activeElement.closest(".row")?.querySelector(".text"));
  focus(all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)]);
}

// The time range that is shown can be edited: by its key, or by a click on its name. Left as it is, it is asked for as it was.
function editTime() {
  const time = document.getElementById("f-t");
  if (!time) return;
  time.value ||= time.dataset.range ?? "";
  focus(time);
  time.select();
}
function leaveTime() {
  const time = document.getElementById("f-t");
  if (time && time.value === time.dataset.range) time.value = "";
}
addEventListener("click", (event) => {
  if (!event.target.closest("label[for=f-t]")) return;
  event.preventDefault();
  editTime();
});
addEventListener("focusout", (event) => event.target.id === "f-t" && leaveTime());
addEventListener("submit", leaveTime);

// One level: help, a menu or a record that is open, the field that has the focus.
function close() {
  if (isHelpOpen()) return help().hidePopover();
  const here = document.activeElement.closest("details[open], .row.open") ?? document.querySelector(".row.open, .menu[open], .pill details[open]");
  if (here && !here.matches(".facet, .byfield")) {
    if (here.matches(".row")) setOpen(here, false);
    else here.open = false;
    return here.querySelector(".text, summary").focus();
  }
  document.activeElement.blur();
}

const keys = {
  "/": () => toTheEnd(document.getElementById("f-q")),
  t: () => editTime(),
  j: () => step(1),
  k: () => step(-1),
  "?": () => help().togglePopover(),
};
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented) return close();
  if (inField(event) || !keys[event.key] || (isHelpOpen() && event.key !== "?")) return;
  event.preventDefault();
  keys[event.key]();
});

// What is typed in the query line and was not run goes along with the time range or the facet that is chosen.
const withTyped = (url) => {
  const line = document.getElementById("f-q");
  const q = url.searchParams.get("q") ?? "";
  if (!line || line.value === line.defaultValue || !q.startsWith(line.defaultValue)) return url;
  const [typed, more] = [line.value.trim(), q.slice(line.defaultValue.length).trim()];
  // What comes behind holds for all of it, not for its last alternative alone.
  const parts = [more && /(^|[\s)])(or|\|\|)[\s(]/i.test(typed) ? `(${typed})` : typed, more].filter(Boolean);
  url.searchParams.delete("q");
  if (parts.length) url.searchParams.set("q", parts.join(" "));
  return url;
};
addEventListener("click", (event) => {
  const link = event.target.closest(".ranges a, #live, .facets a, .hist a");
  if (link) link.setAttribute("href", withTyped(new URL(link.href?.baseVal ?? link.href, location.href)));
});

// A drag over the histogram zooms; a click on a bar is a link.
addEventListener("pointerdown", (event) => {
  const bars = event.target.closest("svg.bars");
  if (!bars || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const box = bars.getBoundingClientRect();
  const share = (at) => Math.min(Math.max((at - box.left) / box.width, 0), 1);
  const start = share(event.clientX);
  let end = start;
  const drag = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  drag.setAttribute("class", "drag");
  drag.setAttribute("height", "84");
  const move = (moved) => {
    end = share(moved.clientX);
    if (Math.abs(end - start) * box.width < 5) return;
    if (!drag.isConnected) bars.append(drag);
    drag.setAttribute("x", `${Math.min(start, end) * 100}%`);
    drag.setAttribute("width", `${Math.abs(end - start) * 100}%`);
  };
  const up = () => {
    removeEventListener("pointermove", move);
    if (!drag.isConnected) return;
    drag.remove();
    // Whole bars.
    const [from, to, first, step] = ["from", "to", "first", "step"].map((name) => Number(bars.dataset[name]));
    const at = (part, round) => {
      const edge = first + round((from + (to - from) * part - first) / step) * step;
      const micros = Math.min(Math.max(edge, from), to);
      const millis = Math.floor(micros / 1000);
      return new Date(millis).toISOString().replace("Z", `${String(micros - millis * 1000).padStart(3, "0")}Z`);
    };
    const url = withTyped(new URL(location.href));
    for (const name of ["cursor", "asOf", "live"]) url.searchParams.delete(name);
    url.searchParams.set("from", at(Math.min(start, end), Math.floor));
    url.searchParams.set("to", at(Math.max(start, end), Math.ceil));
    addEventListener("click", (click) => click.preventDefault(), { capture: true, once: true });
    location.assign(url);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", up, { once: true });
});
addEventListener("dragstart", (event) => event.target.closest("svg.bars") && event.preventDefault());

// Copy: a record as JSON, or a value. Buttons that need scripts are made by them, when a record is opened.
async function put(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Over plain HTTP a browser lends its clipboard only to what is chosen in a field.
  const field = Object.assign(document.createElement("textarea"), { value: text, className: "unseen", readOnly: true });
  const here = document.activeElement;
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  here?.focus({ preventScroll: true });
  if (!isDone) throw new Error("the browser lends no clipboard");
}
async function copied(element, text) {
  const said = element.textContent;
  await put(text);
  element.textContent = "copied";
  setTimeout(() => (element.textContent = said), 1500);
}
addEventListener("click", async (event) => {
  const json = event.target.closest("[data-copy=json]");
  const value = event.target.closest("button.copy");
  if (event.ctrlKey || event.metaKey || event.shiftKey || !(json ?? value)) return;
  event.preventDefault();
  try {
    if (value) return await copied(value, value.closest("dd").querySelector(".value").textContent);
    const answer = await fetch(json.href);
    await copied(json, JSON.stringify(await answer.json(), null, 2));
  } catch {
    if (json) location.assign(json.href);
  }
});
const withButtons = (part) => {
  for (const json of part.querySelectorAll("[data-copy=json]")) json.textContent = "Copy JSON";
  for (const acts of part.querySelectorAll("dd .acts:not(:has(.copy))")) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "copy", textContent: "copy" });
    acts.append(" ", button);
  }
};
// The line of a row leads to the record's own page. A click opens it where it stands: what it says comes from that address.
function setOpen(row, isOpen) {
  row.classList.toggle("open", isOpen);
  row.querySelector(".text").setAttribute("aria-expanded", isOpen);
}
const filling = new Set();
async function fill(row) {
  if (filling.has(row)) return;
  filling.add(row);
  const before = stops;
  wait();
  try {
    const answer = await fetch(row.querySelector(".text").href, { headers: { "HX-Request": "true" } });
    const part = document.createElement("template");
    if (answer.ok) {
      part.innerHTML = await answer.text(); // Escaped by the server, from its own address.
      withButtons(part.content);
    } else {
      const { error } = await answer.json();
      part.content.append(Object.assign(document.createElement("p"), { className: "opened fault", role: "alert", textContent: error }));
    }
    row.querySelector(".opened")?.remove();
    row.append(part.content);
    offline(true)();
  } catch {
    setOpen(row, false); // The next opening asks again.
    if (stops === before) offline(false)();
  }
  filling.delete(row);
  if (!filling.size) arrived();
}
addEventListener("click", (event) => {
  const link = event.target.closest(".row > a");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const chosen = getSelection();
  const wasDrag = event.detail && !chosen.isCollapsed && link.contains(chosen.anchorNode);
  if (wasDrag || link.matches(".text")) event.preventDefault();
  if (wasDrag || !link.matches(".text")) return;
  const row = link.parentElement;
  setOpen(row, !row.matches(".open"));
  if (row.matches(".open:not(:has(> .opened:not(.fault)))")) fill(row);
});
// A drag over a line chooses text, as if there were no links.
addEventListener("pointerdown", (event) => {
  const link = event.target.closest(".row > a");
  if (link) link.draggable = false;
});
// Lines that are copied are lines: each row is one, its parts two blanks apart.
addEventListener("copy", (event) => {
  const chosen = getSelection();
  if (chosen.isCollapsed) return;
  const range = chosen.getRangeAt(0);
  const rowOf = (node) => (node.closest ? node : node.parentElement)?.closest(".row");
  const [first, last] = [rowOf(range.startContainer), rowOf(range.endContainer)];
  const part = range.cloneContents();
  const isOneCell = first === last && range.commonAncestorContainer !== first;
  if (!first || !last || isOneCell || [first, last, ...part.querySelectorAll(".row")].some((row) => row.matches(".open"))) return;
  const rows = first === last ? [part] : [...part.querySelectorAll(".row")];
  const line = (row) => [...row.children].filter((cell) => !cell.matches(".beyond, .opened")).map((cell) => cell.textContent).join("  ");
  event.clipboardData.setData("text/plain", rows.map(line).join("\n"));
  event.preventDefault();
});
// This script may run before there is a body.
const withAllButtons = () => document.querySelectorAll(".record").forEach(withButtons);
addEventListener("DOMContentLoaded", withAllButtons);
withAllButtons();

// What takes longer than half a second says so, and can be stopped.
let waiting;
let stops = 0;
function wait() {
  clearTimeout(waiting);
  waiting = setTimeout(() => (document.getElementById("progress").hidden = false), 500);
}
function arrived() {
  clearTimeout(waiting);
  document.getElementById("progress").hidden = true;
}
addEventListener("submit", (event) => event.defaultPrevented || wait());
addEventListener("click", (event) => {
  if (event.target.closest("#stop")) {
    stops += 1;
    window.stop();
    dispatchEvent(new Event("stopped"));
    return arrived();
  }
  const link = event.target.closest("a[href]");
  const isHere = link && !link.target && !link.hasAttribute("download") && link.origin === location.origin && !link.hasAttribute("hx-get");
  if (isHere && !link.hash && !event.defaultPrevented && event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey) wait();
});
addEventListener("pageshow", arrived);
addEventListener("pagehide", arrived);

// htmx adds older rows below those that are there. It is fetched when they are first asked for, so that no page waits for it.
let isFetching = false;
addEventListener("click", async (event) => {
  const link = event.target.closest("[hx-get]");
  if (!link || window.htmx || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (isFetching) return;
  isFetching = true;
  const before = stops;
  wait();
  // It begins at once in a page that is complete.
  const isComplete = new Promise((done) => {
    if (document.readyState === "complete") return done();
    for (const ends of ["load", "stopped"]) addEventListener(ends, done, { once: true });
  });
  await isComplete;
  if (stops === before) await fetchHtmx();
  isFetching = false;
  arrived();
  if (stops === before) window.htmx ? link.click() : location.assign(link.href);
});
const fetchHtmx = () => new Promise((done) => {
  const script = document.createElement("script");
  script.src = document.querySelector("meta[name=htmx]").content;
  script.onload = done;
  script.onerror = () => done(script.remove());
  document.head.append(script);
});

const offline = (hidden) => () => (document.getElementById("offline").hidden = hidden);
addEventListener("htmx:sendError", offline(false));
// Who goes on by keys goes on at the first of the rows that came.
let rowsBefore = 0;
addEventListener("htmx:beforeSwap", () => (rowsBefore = rows().length));
addEventListener("htmx:afterSettle", () => rows()[rowsBefore]?.focus({ preventScroll: true }));
addEventListener("htmx:afterRequest", (event) => event.detail.successful && offline(true)());
