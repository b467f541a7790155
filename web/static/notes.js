// The editor of a note: shown as it will look, saved as a commit; what others saved meanwhile is merged, or shown beside.
"use strict";
(() => {
  const form = document.getElementById("editor");
  if (!form) return;
  const text = document.getElementById("markdown"), preview = document.getElementById("preview");
  const saving = document.getElementById("saving"), diverged = document.getElementById("diverged");
  const token = document.querySelector('meta[name="form-token"]').content;
  const url = "/api/v1/notes/" + form.dataset.path;
  let revision = form.dataset.revision, saved = text.value, looking = null, theirs = "";
  const policy = window.trustedTypes
    ? trustedTypes.createPolicy("note", { createHTML: (html) => html })
    : { createHTML: (html) => html };

  const ask = (method, path, body, more = {}) => fetch(path, {
    method, body, headers: { "Content-Type": "application/json", "X-Olympus-Form": token, ...more },
  });
  async function look() {
    looking = null;
    const answer = await ask("POST", url + "/preview", JSON.stringify({ markdown: text.value }));
    // The server has sanitised it.
    if (answer.ok) preview.innerHTML = policy.createHTML((await answer.json()).html);
  }
  const soon = () => { looking ??= setTimeout(look, 250); };
  text.addEventListener("input", soon);
  if (!revision) soon();
  addEventListener("beforeunload", (event) => { if (text.value !== saved) event.preventDefault(); });

  async function save() {
    saving.textContent = "saving";
    const when = revision ? { "If-Match": `"${revision}"` } : { "If-None-Match": "*" };
    const body = JSON.stringify({ markdown: text.value, message: document.getElementById("message").value });
    let answer, said;
    try {
      answer = await ask("PUT", url, body, when);
      said = await answer.json();
    } catch (error) {
      saving.textContent = "not saved, Olympus can't be reached: " + error.message;
      return;
    }
    if (answer.ok) {
      saved = text.value;
      location.assign("/notes/" + form.dataset.path);
      return;
    }
    if (answer.status === 409 && said.theirs !== undefined) {
      theirs = said.theirs ?? "";
      revision = said.revision;
      document.getElementById("theirs").textContent = theirs;
      document.getElementById("yours").textContent = text.value;
      diverged.hidden = false;
      diverged.scrollIntoView();
    }
    saving.textContent = "not saved: " + (said.detail || answer.statusText);
  }
  form.addEventListener("submit", (event) => { event.preventDefault(); save(); });
  document.getElementById("take").addEventListener("click", () => { text.value = theirs; soon(); text.focus(); });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") { event.preventDefault(); save(); }
  });

  text.addEventListener("paste", async (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    const name = `picture-${Date.now()}.${file.type.split("/")[1].replace("jpeg", "jpg").replace(/\W.*/, "")}`;
    const folder = form.dataset.path.includes("/") ? form.dataset.path.replace(/[^/]*$/, "") : "";
    const answer = await ask("PUT", "/api/v1/note-files/" + folder + name, file, { "Content-Type": file.type });
    if (answer.ok) { text.setRangeText(`![](${name})`, text.selectionStart, text.selectionEnd, "end"); soon(); }
    else saving.textContent = "the picture was not kept: " + ((await answer.json()).detail || answer.statusText);
  });
})();
