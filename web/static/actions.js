// Forms with data-api are sent to the API as JSON: its roles, its checks, its audit. What it says is shown.
"use strict";
(() => {
  const say = document.getElementById("say");
  const token = document.querySelector('meta[name="form-token"]')?.content;
  let clearing = null;
  function tell(text) {
    say.textContent = text;
    clearTimeout(clearing);
    clearing = setTimeout(() => { say.textContent = ""; }, 9000);
  }

  const readers = {
    number: (text) => (text === "" ? undefined : Number(text)),
    json: (text) => (text.trim() === "" ? undefined : JSON.parse(text)),
    list: (text) => text.split(/[\s,]+/).filter(Boolean),
    text: (text) => (text === "" ? undefined : text),
  };
  function body(form) {
    const found = {};
    for (const field of form.elements) {
      if (!field.name || field.disabled) continue;
      const value = field.type === "checkbox" ? field.checked : readers[field.dataset.type || "text"](field.value);
      if (value === undefined) continue;
      const path = field.name.split(".");
      const leaf = path.pop();
      path.reduce((at, name) => (at[name] ??= {}), found)[leaf] = value;
    }
    return found;
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.dataset.go) {
      event.preventDefault();
      location.assign(form.dataset.go + encodeURI(form.elements[0].value.trim().replace(/^\/+/, "")));
      return;
    }
    if (!form.dataset.api) return;
    event.preventDefault();
    const button = event.submitter;
    const sure = button?.dataset.sure || form.dataset.sure;
    if (sure && !confirm(sure)) return;
    let sent;
    try { sent = body(form); } catch (error) { tell("This is no JSON: " + error.message); return; }
    if (button?.name) sent[button.name] = button.dataset.type ? readers[button.dataset.type](button.value) : button.value;
    const [method, path] = form.dataset.api.split(" ");
    if (button) button.disabled = true;
    try {
      const answer = await fetch(path, {
        method,
        headers: {
          "Content-Type": "application/json",
          "X-Olympus-Form": token,
          ...(form.dataset.match ? { "If-Match": `"${form.dataset.match}"` } : {}),
        },
        body: JSON.stringify(sent),
      });
      const text = await answer.text();
      const said = text ? JSON.parse(text) : {};
      if (!answer.ok) {
        const lines = (said.errors || []).map((one) => `${one.file}:${one.line}:${one.column}: ${one.message}`);
        tell([said.detail || answer.statusText, ...lines].join("\n"));
        return;
      }
      if (form.dataset.then) { location.assign(form.dataset.then.replace("{id}", said.id).replace("{path}", encodeURI(said.path))); return; }
      if (form.dataset.shows) document.getElementById(form.dataset.shows).textContent = said.token || JSON.stringify(said, null, 2);
      tell(form.dataset.done || "Done");
      for (const field of form.querySelectorAll("textarea")) field.value = "";
      document.dispatchEvent(new Event("olympus:changed"));
    } catch (error) {
      tell("Olympus can't be reached: " + error.message);
    } finally {
      if (button) button.disabled = false;
    }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[aria-pressed]");
    if (!button) return;
    const pressed = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(pressed));
    button.textContent = pressed ? "Go on" : "Pause";
    if (!pressed) document.dispatchEvent(new Event("olympus:changed"));
  });
  // A filter that is chosen needs no button.
  document.addEventListener("change", (event) => {
    if (event.target.matches("form.filter select")) event.target.form.requestSubmit();
  });
})();
