// Small comforts; everything works without them.
const inField = (event) => event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select");
const rows = () => [...document.querySelectorAll(".row > details > summary")];
const help = () => document.getElementById("help");
const isHelpOpen = () => help().matches(":popover-open");
const focus = (element) => element && (element.focus(), element.scrollIntoView({ block: "nearest" }));

function step(by) {
  const all = rows();
  const at = all.indexOf(document.activeElement.closest(".row")?.querySelector("summary"));
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
  const here = document.activeElement.closest("details[open]") ?? document.querySelector(".row > details[open], .menu[open], .pill details[open]");
  if (here && !here.matches(".facet, .byfield")) {
    here.open = false;
    return here.querySelector("summary").focus();
  }
  document.activeElement.blur();
}

const keys = {
  "/": () => focus(document.getElementById("f-q")),
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
    const url = new URL(location.href);
    for (const name of ["cursor", "asOf"]) url.searchParams.delete(name);
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
async function copied(element, text) {
  const said = element.textContent;
  await navigator.clipboard.writeText(text);
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
// What can be done with the fields of a record comes when it is opened.
const withButtons = (fields) => {
  for (const acts of fields.querySelectorAll(".acts:not(:has(.copy))")) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "copy", textContent: "copy" });
    acts.append(" ", button);
  }
};
addEventListener("toggle", async (event) => {
  const record = event.target;
  const fields = record.open && record.matches(".row > details") && record.querySelector("pre.plain:not(.acting)");
  if (!fields) return;
  fields.classList.add("acting");
  try {
    const answer = await fetch(record.querySelector(".acts > a").href, { headers: { "HX-Request": "true" } });
    if (!answer.ok) throw new Error(answer.status);
    const part = document.createElement("template");
    part.innerHTML = await answer.text(); // Escaped by the server, from its own address.
    withButtons(part.content);
    fields.replaceWith(part.content);
    offline(true)();
  } catch {
    fields.classList.remove("acting"); // What there was stays; the next opening asks again.
    offline(false)();
  }
}, { capture: true });
// This script may run before there is a body.
const withAllButtons = () => document.querySelectorAll(".record dl").forEach(withButtons);
addEventListener("DOMContentLoaded", withAllButtons);
withAllButtons();

// What takes longer than half a second says so, and can be stopped.
let waiting;
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
    window.stop();
    return arrived();
  }
  const link = event.target.closest("a[href]");
  const isHere = link && !link.target && !link.hasAttribute("download") && link.origin === location.origin && !link.hasAttribute("hx-get");
  if (isHere && !link.hash && !event.defaultPrevented && event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey) wait();
});
addEventListener("pageshow", arrived);
addEventListener("pagehide", arrived);

const offline = (hidden) => () => (document.getElementById("offline").hidden = hidden);
addEventListener("htmx:sendError", offline(false));
addEventListener("htmx:afterRequest", (event) => event.detail.successful && offline(true)());
