// The page is rendered by the server; events say which of its sections to fetch anew. One stream per page.
"use strict";
const live = document.getElementById("live");
const policy = window.trustedTypes
  ? trustedTypes.createPolicy("olympus", { createHTML: (text) => text })
  : { createHTML: (text) => text };
let waiting = null;

async function refresh() {
  waiting = null;
  const answer = await fetch(location.pathname, { credentials: "same-origin" });
  if (answer.redirected || !answer.ok) return;
  const fresh = new DOMParser().parseFromString(policy.createHTML(await answer.text()), "text/html");
  document.querySelectorAll("section").forEach((old, i) => {
    const now = fresh.querySelectorAll("section")[i];
    if (now && !now.isEqualNode(old)) old.replaceWith(document.adoptNode(now));
  });
}

const stream = new EventSource("/api/v1/events/stream");
stream.onopen = () => { live.textContent = "live"; refresh(); };
stream.onerror = () => { live.textContent = "as of " + new Date().toLocaleTimeString(); };
stream.onmessage = () => { waiting ??= setTimeout(refresh, 150); };

const output = document.getElementById("output");
if (output) {
  (async () => {
    const answer = await fetch("/api/v1/runs/" + output.dataset.run + "/logs?follow=true");
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      // Control characters are shown, never obeyed.
      const text = part.value.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
        (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
      output.append(text);
      output.scrollTop = output.scrollHeight;
    }
  })();
}
