// The editor of specs: what was planned, and only that, may be committed.
"use strict";
(() => {
  const form = document.getElementById("spec");
  if (!form) return;
  const text = document.getElementById("spec-text"), file = document.getElementById("spec-file");
  const commit = document.getElementById("spec-commit"), said = document.getElementById("spec-said");
  const plan = document.getElementById("spec-plan"), rows = plan.querySelector("tbody");
  const token = document.querySelector('meta[name="form-token"]').content;
  let saved = text.value;

  function stale() { commit.disabled = true; commit.className = ""; plan.hidden = true; said.textContent = "A plan comes first."; }
  text.addEventListener("input", stale);
  file.addEventListener("input", stale);
  addEventListener("beforeunload", (event) => { if (text.value !== saved) event.preventDefault(); });

  function show(action) {
    const row = document.createElement("tr");
    const cells = [action.verb, action.kind, action.name, action.node || "", action.reason];
    for (const one of cells) row.insertCell().textContent = one;
    if (action.diff) {
      const pre = document.createElement("pre");
      pre.textContent = action.diff;
      row.lastChild.append(pre);
    }
    return row;
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sure = event.submitter?.value === "commit";
    said.textContent = sure ? "committing" : "planning";
    let answer, body;
    try {
      answer = await fetch("/api/v1/specs", {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Olympus-Form": token },
        body: JSON.stringify({
          base: form.dataset.base, files: { [file.value.trim()]: text.value },
          message: document.getElementById("spec-why").value, commit: sure,
        }),
      });
      body = await answer.json();
    } catch (error) { said.textContent = "Olympus can't be reached: " + error.message; return; }
    if (!answer.ok) {
      const lines = (body.errors || []).map((one) => `${one.file}:${one.line}:${one.column}: ${one.message}`);
      said.textContent = lines.length ? lines.join("\n") : body.detail;
      const first = body.errors?.find((one) => one.file === file.value);
      if (first) mark(first.line);
      return;
    }
    if (sure) { saved = text.value; location.assign(form.dataset.then); return; }
    const { actions, warnings } = body.plan;
    rows.replaceChildren(...actions.map(show));
    plan.hidden = actions.length === 0;
    said.textContent = [actions.length ? "It may be committed." : "It would change nothing.", ...warnings].join("\n");
    commit.disabled = actions.length === 0;
    commit.className = "main";
  });
  function mark(line) {
    const begin = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    const end = text.value.indexOf("\n", begin);
    text.focus();
    text.setSelectionRange(begin, end < 0 ? text.value.length : end);
  }
})();
