// One search over all of it: Ctrl-K, words, arrows, Enter.
"use strict";
(() => {
  const dialog = document.getElementById("search");
  if (!dialog) return;
  const field = document.getElementById("search-words"), list = document.getElementById("search-found");
  const said = document.getElementById("search-said"), places = JSON.parse(dialog.dataset.places);
  let waiting = null, asked = 0;

  function place(one) {
    const name = one.name.split("/").map(encodeURIComponent).join("/");
    return { note: "/notes/", run: "/runs/", incident: "/incidents/" }[one.kind]?.concat(name) ?? `/${places[one.kind]}/${name}`;
  }
  function row(one) {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = place(one);
    const put = (tag, text, name) => {
      const element = document.createElement(tag);
      element.textContent = text;
      element.className = name;
      link.append(element, " ");
    };
    put("b", one.title || one.name, "");
    put("span", one.kind, "dull");
    if (one.snippet) put("div", one.snippet, "why");
    item.append(link);
    return item;
  }
  async function find() {
    waiting = null;
    const words = field.value.trim(), number = ++asked;
    if (!words) { list.replaceChildren(); said.textContent = ""; return; }
    let items = [], why = "Nothing is called so, nor says so.";
    try {
      const answer = await fetch("/api/v1/search?limit=12&q=" + encodeURIComponent(words));
      const body = await answer.json();
      if (answer.ok) items = body.items; else why = body.detail;
    } catch (error) { why = "Olympus can't be reached: " + error.message; }
    // An answer that is late must not replace a later one.
    if (number !== asked) return;
    list.replaceChildren(...items.map(row));
    said.textContent = items.length ? "" : why;
  }
  field.addEventListener("input", () => { waiting ??= setTimeout(find, 120); });
  dialog.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = at + (event.key === "ArrowDown" ? 1 : -1);
      (links[next] ?? (next < 0 ? field : links[at]))?.focus();
    } else if (event.key === "Enter" && document.activeElement === field) {
      event.preventDefault();
      links[0]?.click();
    }
  });
  function open() { dialog.showModal(); field.select(); }
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && !dialog.open) { event.preventDefault(); open(); }
  });
  document.getElementById("show-search").addEventListener("click", open);
})();
