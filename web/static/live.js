// One stream of events for all windows of this browser: the window that holds the lock listens and tells the others.
// An event that concerns the page has it rendered anew by the server; what differs is changed in place.
"use strict";
(() => {
  const place = document.getElementById("live");
  if (!place) return;
  const policy = window.trustedTypes
    ? trustedTypes.createPolicy("olympus", { createHTML: (text) => text, createScript: () => "" })
    : null;
  htmx.registerExtension("olympus", { init: (api) => { if (policy) api.initSecurity(policy); } });

  const here = () => location.pathname + location.search;
  const concerns = (type) => (document.body.dataset.live || "").split(" ").some((one) => one === "*" || (one && type.startsWith(one)));
  const paused = () => document.getElementById("pause")?.getAttribute("aria-pressed") === "true";
  let waiting = null, last = 0, busy = false;

  async function refresh() {
    waiting = null;
    if (document.hidden || paused() || busy) return;
    busy = true;
    last = Date.now();
    try {
      await htmx.ajax("GET", here(), { target: "#main", select: "#main", swap: "outerMorph" });
    } finally {
      busy = false;
    }
  }
  const soon = () => { waiting ??= setTimeout(refresh, Math.max(150, last + 700 - Date.now())); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
  document.addEventListener("olympus:changed", soon);
  document.addEventListener("htmx:before:swap", (event) => {
    // The session is over: what came is the login, not this page.
    if (event.detail.ctx?.response?.raw?.redirected) { event.preventDefault(); location.assign("/login"); }
  });

  function say(state) {
    if (state === "live") { place.textContent = "live"; place.className = "on"; return; }
    if (place.className === "off") return;
    place.textContent = "as of " + new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    place.className = "off";
  }
  function hear(message) {
    if (message.state) { say(message.state); if (message.state === "live" && document.body.dataset.live) soon(); }
    if (!message.type || !concerns(message.type)) return;
    soon();
    // What people say is told first, and written down by whom it concerns a moment later.
    if (message.type.startsWith("olympus.apollo.")) setTimeout(soon, 1200);
  }

  const others = "BroadcastChannel" in window ? new BroadcastChannel("olympus") : null;
  let state = null, listening = false;
  function tell(message) { hear(message); others?.postMessage(message); }
  function listen() {
    listening = true;
    // It goes on after the Last-Event-ID by itself.
    const stream = new EventSource("/api/v1/events/stream");
    stream.onopen = () => { state = "live"; tell({ state }); };
    stream.onerror = () => { state = "off"; tell({ state }); };
    stream.onmessage = (event) => tell({ type: JSON.parse(event.data).type });
    return new Promise(() => {});
  }
  if (others) {
    others.onmessage = (event) => {
      if (event.data.ask && listening) { if (state) others.postMessage({ state }); } else if (!event.data.ask) hear(event.data);
    };
    others.postMessage({ ask: true });
  }
  if (others && navigator.locks) navigator.locks.request("olympus-stream", listen); else listen();
})();
