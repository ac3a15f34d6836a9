// charts: which labels are shown, and the values at the place that is pointed at or reached by keys
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const labels = JSON.parse(document.getElementById("labels").textContent);
  const boxes = [...document.querySelectorAll("[data-legend] input")];
  const hidden = new Set();
  const refreshers = [];

  function show(key, on) {
    if (on) hidden.delete(key);
    else hidden.add(key);
    for (const box of boxes) if (box.value === key) box.checked = on;
    for (const node of document.querySelectorAll(`.series[data-key="${CSS.escape(key)}"]`)) node.classList.toggle("off", !on);
    refreshers.forEach((refresh) => refresh());
  }

  for (const box of boxes) box.addEventListener("change", () => show(box.value, box.checked));
  for (const group of document.querySelectorAll(".every")) {
    group.hidden = false;
    group.addEventListener("click", (event) => {
      const all = event.target.dataset.all;
      if (all !== undefined) labels.forEach((_, place) => show(String(place), all === "1"));
    });
  }

  function element(name, attributes, parent) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
    return node;
  }

  function height(axis, value) {
    let [at, low, high] = [value, axis.low, axis.high];
    if (axis.log) {
      if (at > 0 && axis.within) at = Math.min(Math.max(at, axis.within[0]), axis.within[1]);
      if (at <= 0) at = axis.floor ?? low;
      [at, low, high] = [Math.log10(at), Math.log10(low), Math.log10(high)];
    }
    const share = Math.min(Math.max((at - low) / (high - low), 0), 1);
    return axis.start + share * (axis.end - axis.start);
  }

  function line(text, key, value) {
    const row = document.createElement("div");
    const name = document.createElement("span");
    const number = document.createElement("i");
    const swatch = document.querySelector(`[data-legend] input[value="${CSS.escape(String(key))}"] + .swatch`);
    if (swatch) row.append(swatch.cloneNode(true));
    name.textContent = text;
    number.textContent = value;
    row.append(name, number);
    return row;
  }

  function readable(plot) {
    const data = JSON.parse(plot.querySelector("script").textContent);
    const svg = plot.querySelector("svg");
    const view = svg.viewBox.baseVal;
    const last = data.at.length - 1;
    if (last < 0) return;
    const layer = element("g", { "aria-hidden": "true" }, svg);
    const readout = plot.appendChild(document.createElement("div"));
    const cursor = plot.appendChild(document.createElement("div"));
    readout.className = "readout";
    readout.hidden = true;
    cursor.className = "cursor";
    const [left, right] = data.box;
    cursor.style.left = `${(100 * left) / view.width}%`;
    cursor.style.right = `${100 - (100 * right) / view.width}%`;
    cursor.style.top = `${(100 * data.y.end) / view.height}%`;
    cursor.style.bottom = `${100 - (100 * data.y.start) / view.height}%`;
    const about = { role: "slider", tabindex: "0", "aria-valuemin": 0, "aria-valuemax": last, "aria-valuenow": 0 };
    for (const [key, value] of Object.entries(about)) cursor.setAttribute(key, value);
    const title = plot.parentNode.querySelector("figcaption").firstChild.textContent.trim();
    cursor.setAttribute("aria-label", `${title}: values at one ${data.name}`);
    let place = null;

    function values() {
      return data.series
        .filter(([key]) => !hidden.has(String(key)))
        .map(([key, row]) => ({ key, value: row[place] }))
        .sort((a, b) => (a.value === null) - (b.value === null) || b.value - a.value);
    }

    function clear() {
      place = null;
      layer.replaceChildren();
      readout.hidden = true;
    }

    function move(to) {
      place = Math.min(Math.max(to, 0), last);
      const found = values();
      const where = `${data.name} ${data.names[place] ?? data.x[place]}`;
      layer.replaceChildren();
      element("path", { class: "hair", d: `M${data.at[place]} ${data.y.end}V${data.y.start}` }, layer);
      for (const { key, value } of found) {
        if (value === null) continue;
        const color = svg.querySelector(`.series[data-key="${key}"]`).classList[1];
        element("circle", { class: `mark ${color}`, r: 4, cx: data.at[place], cy: height(data.y, value) }, layer);
      }
      const head = document.createElement("b");
      head.textContent = where;
      readout.replaceChildren(head, ...found.map(({ key, value }) => line(labels[key], key, value ?? "none")));
      readout.hidden = false;
      const [room, width] = [plot.clientWidth, readout.offsetWidth];
      const at = (data.at[place] / view.width) * room;
      const beside = at > room / 2 ? at - 10 - width : at + 10;
      readout.style.left = `${Math.max(0, Math.min(beside, room - width))}px`;
      cursor.setAttribute("aria-valuenow", place);
      cursor.setAttribute("aria-valuetext", [where, ...found.map((each) => `${labels[each.key]} ${each.value ?? "none"}`)].join(", "));
    }

    function nearest(event) {
      const area = svg.getBoundingClientRect();
      const x = ((event.clientX - area.left) / area.width) * view.width;
      let best = 0;
      data.at.forEach((at, index) => { if (Math.abs(at - x) < Math.abs(data.at[best] - x)) best = index; });
      return best;
    }

    const jump = Math.max(1, Math.round(last / 10));
    const keys = {
      ArrowRight: () => place + 1, ArrowUp: () => place + 1, ArrowLeft: () => place - 1, ArrowDown: () => place - 1,
      PageUp: () => place + jump, PageDown: () => place - jump, Home: () => 0, End: () => last,
    };
    cursor.addEventListener("pointermove", (event) => move(nearest(event)));
    cursor.addEventListener("pointerdown", (event) => move(nearest(event)));
    cursor.addEventListener("pointerleave", () => { if (document.activeElement !== cursor) clear(); });
    cursor.addEventListener("focus", () => { if (place === null) move(last); });
    cursor.addEventListener("blur", clear);
    cursor.addEventListener("keydown", (event) => {
      if (event.key === "Escape") clear();
      if (!(event.key in keys)) return;
      event.preventDefault();
      if (place === null) place = last;
      move(keys[event.key]());
    });
    refreshers.push(() => { if (place !== null) move(place); });
  }

  document.querySelectorAll("[data-chart]").forEach(readable);
  for (const box of boxes) if (!box.checked) show(box.value, false);
})();
