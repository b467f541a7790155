// A window on what steps and services write: a million lines are kept as text, and only those in sight are elements.
"use strict";
(() => {
  const box = document.getElementById("output");
  if (!box) return;
  const ROW = 18, TALLEST = 8_000_000;
  const all = box.querySelector(".all"), shown = box.querySelector(".shown");
  const count = document.getElementById("output-count"), field = document.getElementById("output-find");
  const lines = [""];
  let follows = true, scale = 1, asked = false, needle = "", here = lineOf(location.hash), ended = false;

  function lineOf(hash) {
    const found = /^#L(\d+)$/.exec(hash);
    return found ? Number(found[1]) : 0;
  }
  const length = () => (lines.at(-1) === "" ? lines.length - 1 : lines.length);

  // Control characters are shown, never obeyed; of terminals' colours those that are known are.
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  const visible = (text) => text.replace(HIDDEN, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  function put(parent, text, classes) {
    const low = needle ? text.toLowerCase() : "";
    let from = 0;
    const add = (piece, tag) => {
      if (!piece) return;
      const element = document.createElement(tag);
      element.textContent = piece;
      if (classes) element.className = classes;
      parent.append(element);
    };
    for (let at = needle ? low.indexOf(needle) : -1; at >= 0; at = low.indexOf(needle, from)) {
      add(text.slice(from, at), "span");
      add(text.slice(at, at + needle.length), "mark");
      from = at + needle.length;
    }
    add(text.slice(from), "span");
  }
  function row(number) {
    const element = document.createElement("div");
    element.className = number === here ? "row here" : "row";
    const link = document.createElement("a");
    link.href = "#L" + number;
    link.tabIndex = -1;
    link.textContent = number;
    element.append(link);
    const text = lines[number - 1].replace(/\r$/, "").slice(0, 20_000);
    const on = new Set();
    let from = 0;
    for (const code of text.matchAll(/\u001b\[([\d;]*)m/g)) {
      put(element, visible(text.slice(from, code.index)), [...on].join(" "));
      from = code.index + code[0].length;
      for (const one of code[1].split(";").map(Number)) {
        if (one === 0) on.clear();
        else if (one === 39) on.forEach((name) => { if (name.length > 2) on.delete(name); });
        else if (one === 22) { on.delete("a1"); on.delete("a2"); }
        else if (one < 5 || (one >= 30 && one < 38) || (one >= 90 && one < 98)) on.add("a" + one);
      }
    }
    put(element, visible(text.slice(from)), [...on].join(" "));
    return element;
  }

  function draw() {
    asked = false;
    const total = length() * ROW;
    const tall = Math.min(total, TALLEST);
    scale = total > TALLEST ? (total - box.clientHeight) / (TALLEST - box.clientHeight) : 1;
    all.style.height = tall + "px";
    if (follows) box.scrollTop = tall;
    const top = box.scrollTop * scale;
    const first = Math.max(0, Math.floor(top / ROW) - 10);
    const last = Math.min(length(), first + Math.ceil(box.clientHeight / ROW) + 20);
    const fresh = [];
    for (let i = first; i < last; i++) fresh.push(row(i + 1));
    shown.replaceChildren(...fresh);
    shown.style.transform = `translateY(${box.scrollTop - (top - first * ROW)}px)`;
    count.textContent = length().toLocaleString() + (length() === 1 ? " line" : " lines") + (ended ? "" : " …");
  }
  const soon = () => { if (!asked) { asked = true; requestAnimationFrame(draw); } };
  function go(number) {
    here = number;
    follows = false;
    draw();
    box.scrollTop = Math.max(0, ((number - 1) * ROW - box.clientHeight / 2) / scale);
    soon();
  }

  box.addEventListener("scroll", () => {
    follows = box.scrollTop + box.clientHeight >= box.scrollHeight - ROW;
    soon();
  });
  addEventListener("resize", soon);
  addEventListener("hashchange", () => { const number = lineOf(location.hash); if (number) go(number); });
  shown.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    history.replaceState(null, "", link.hash);
    here = lineOf(link.hash);
    soon();
  });

  function find(step) {
    needle = field.value.toLowerCase();
    if (!needle) { soon(); return; }
    const many = length();
    for (let i = 1; i <= many; i++) {
      const at = (here - 1 + step * i + many * 2) % many;
      if (lines[at].toLowerCase().includes(needle)) { history.replaceState(null, "", "#L" + (at + 1)); go(at + 1); return; }
    }
    count.textContent = "nothing found";
    needle = "";
  }
  document.getElementById("output-finds").addEventListener("submit", (event) => { event.preventDefault(); find(event.submitter?.value === "back" ? -1 : 1); });
  document.getElementById("output-end").addEventListener("click", () => { follows = true; draw(); });

  async function read() {
    const answer = await fetch(box.dataset.src);
    if (!answer.ok) {
      ended = true;
      let why = answer.statusText;
      try { why = (await answer.json()).detail || why; } catch { /* it is no problem document */ }
      lines.splice(0, lines.length, why, "");
      draw();
      return;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const pieces = part.value.split("\n");
      lines[lines.length - 1] += pieces[0];
      for (let i = 1; i < pieces.length; i++) lines.push(pieces[i]);
      if (here && here <= length() && follows) go(here);
      soon();
    }
    ended = true;
    soon();
  }
  if (here) follows = true;
  read();
})();
