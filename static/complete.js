// Completes the query line #f-q as it is typed: a combobox with a list below it. Without an answer it stays a plain field.
(() => {
  const WAIT = 120;
  let field = null; // whose list this is
  let list = null;
  let items = [];
  let active = -1;
  let range = null; // columns to replace
  let timer = 0;
  let request = null;

  const isOurs = (element) => element instanceof HTMLInputElement && element.id === "f-q";

  function adopt(input) {
    if (field === input && list.isConnected) return;
    field = input;
    list = document.createElement("ul");
    list.id = "f-q-list";
    list.className = "complete";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "What may stand here");
    list.hidden = true;
    // The focus stays in the field while something is picked.
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]:not([aria-disabled])");
      if (option) pick([...list.children].indexOf(option));
    });
    field.parentElement.classList.add("completes");
    field.after(list);
    field.setAttribute("role", "combobox");
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", list.id);
    field.setAttribute("aria-expanded", "false");
  }

  function close() {
    clearTimeout(timer);
    request?.abort();
    items = [];
    active = -1;
    if (!list) return;
    list.hidden = true;
    list.replaceChildren();
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function show(reply) {
    items = reply.items;
    range = reply;
    active = -1;
    field.removeAttribute("aria-activedescendant");
    if (items.length === 0 && reply.complete) return close();
    const options = items.map((item, at) => {
      const option = document.createElement("li");
      option.id = `f-q-${at}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      const text = document.createElement("span");
      text.textContent = item.text;
      const about = document.createElement("small");
      about.textContent = item.about;
      option.append(text, " ", about);
      return option;
    });
    if (!reply.complete) {
      const rest = document.createElement("li");
      rest.setAttribute("role", "option");
      rest.setAttribute("aria-disabled", "true");
      rest.textContent = "there may be more: not all was looked at in time";
      options.push(rest);
    }
    list.replaceChildren(...options);
    list.style.top = `${field.offsetTop + field.offsetHeight}px`;
    list.style.left = `${field.offsetLeft}px`;
    list.style.width = `${field.offsetWidth}px`;
    list.hidden = false;
    list.scrollTop = 0;
    field.setAttribute("aria-expanded", "true");
  }

  function move(step) {
    if (active >= 0) list.children[active].setAttribute("aria-selected", "false");
    // One place more than items: the text as it was typed.
    active = (active + 1 + step + items.length + 1) % (items.length + 1) - 1;
    if (active < 0) return field.removeAttribute("aria-activedescendant");
    const option = list.children[active];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", option.id);
  }

  function pick(at) {
    const letters = [...field.value];
    const { from, to } = range;
    const front = letters.slice(0, from - 1).join("") + items[at].text;
    field.value = front + letters.slice(to - 1).join("");
    field.setSelectionRange(front.length, front.length);
    close();
    // Behind a field comes its value.
    if (/[:<>=]$/.test(front)) ask();
  }

  async function ask() {
    const input = field;
    request?.abort();
    request = new AbortController();
    const { signal } = request;
    const query = new URLSearchParams({ q: input.value, at: [...input.value.slice(0, input.selectionStart)].length + 1 });
    for (const name of ["from", "to"]) {
      const value = input.form?.elements.namedItem(name)?.value;
      if (value) query.set(name, value);
    }
    try {
      const answer = await fetch(`/api/complete?${query}`, { signal });
      if (!answer.ok) return close();
      const reply = await answer.json();
      if (!signal.aborted && document.activeElement === input) show(reply);
    } catch {
      if (!signal.aborted) close();
    }
  }

  addEventListener("input", (event) => {
    if (!isOurs(event.target)) return;
    adopt(event.target);
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT);
  });

  addEventListener("focusout", (event) => {
    if (event.target === field) close();
  });

  addEventListener("keydown", (event) => {
    if (!isOurs(event.target) || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const isOpen = field === event.target && list.isConnected && !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (isOpen) move(event.key === "ArrowDown" ? 1 : -1);
      else if (event.key === "ArrowDown") adopt(event.target), ask();
      else return;
    } else if (isOpen && event.key === "Escape") {
      close();
    } else if (isOpen && active >= 0 && !event.shiftKey && (event.key === "Enter" || event.key === "Tab")) {
      pick(active);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }, true);
})();
