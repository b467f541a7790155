// Times in the reader's zone; UTC stands in the title.
"use strict";
(() => {
  const day = new Intl.DateTimeFormat([], { year: "numeric", month: "short", day: "2-digit" });
  const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  function put(element) {
    const moment = new Date(element.dateTime);
    if (isNaN(moment)) return;
    const today = day.format(moment) === day.format(new Date());
    const text = (today ? "" : day.format(moment) + " ") + clock.format(moment);
    if (element.textContent !== text) element.textContent = text;
    if (!element.title) element.title = element.dateTime.slice(0, 19).replace("T", " ") + " UTC";
  }
  const all = (root) => root.querySelectorAll("time[datetime]").forEach(put);
  all(document);
  // Before it is painted, so that nobody sees it change.
  new MutationObserver(() => all(document)).observe(document.body, { subtree: true, childList: true, characterData: true });
  const zone = document.getElementById("zone");
  if (zone) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
})();
