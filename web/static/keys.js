// Keys: `?` says which there are. They can be switched off, as screen readers and speech need them.
"use strict";
(() => {
  const dialog = document.getElementById("keys");
  if (!dialog) return;
  const choice = document.getElementById("keys-on");
  choice.checked = localStorage.getItem("keys") !== "off";
  choice.addEventListener("change", () => localStorage.setItem("keys", choice.checked ? "on" : "off"));
  let begun = 0;

  function typing(target) {
    return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") { dialog.showModal(); event.preventDefault(); return; }
    if (!choice.checked) return;
    if (Date.now() - begun < 1500) {
      begun = 0;
      const link = document.querySelector(`.nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    if (event.key === "g") { begun = Date.now(); return; }
    if (event.key === "/") {
      const field = document.querySelector("main input[type=search]");
      if (field) { event.preventDefault(); field.focus(); field.select(); }
      return;
    }
    if (event.key === "j" || event.key === "k") {
      const links = [...document.querySelectorAll("main [data-row]")];
      const at = links.indexOf(document.activeElement);
      const next = links[Math.max(0, at + (event.key === "j" ? 1 : -1))];
      if (next) { event.preventDefault(); next.focus(); }
      return;
    }
    const button = document.querySelector(`main [data-press="${CSS.escape(event.key)}"]`);
    if (button && !button.disabled) { event.preventDefault(); button.focus(); button.click(); }
  });
  document.getElementById("show-keys").addEventListener("click", () => dialog.showModal());
})();
