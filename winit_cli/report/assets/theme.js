// light or dark: what the reader chose here before, or else what the system prefers
(() => {
  "use strict";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = { get: () => null, set: () => {} };
  try {
    const storage = window.localStorage;
    kept.get = () => storage.getItem("winit-theme");
    kept.set = (theme) => storage.setItem("winit-theme", theme);
  } catch { /* a browser may refuse storage to a file */ }
  const chosen = kept.get();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  root.classList.add("scripted");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      kept.set(root.dataset.theme);
      show();
    });
    system.addEventListener("change", show);
    show();
  });
})();
