// tables that sort by the button in a heading and show the rows that hold all words of a filter
(() => {
  "use strict";
  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

  function value(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v.replace("inf", "Infinity"));
    return cell.textContent.trim();
  }

  // blanks stay last either way, numbers come before texts
  function compare(a, b, sign) {
    if (a === "" || b === "") return (a === "") - (b === "");
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return sign * (typeof a === "number" ? (a > b) - (a < b) : a.localeCompare(b, "en", { numeric: true }));
  }

  function sort(body, rows, column, direction) {
    const sign = direction === "descending" ? -1 : 1;
    const keyed = rows.map((row, place) => ({ row, place, key: direction === "none" ? place : value(row, column) }));
    keyed.sort((a, b) => compare(a.key, b.key, sign) || a.place - b.place);
    body.append(...keyed.map((each) => each.row));
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const direction = NEXT[head.getAttribute("aria-sort")];
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", direction);
        sort(body, rows, column, direction);
      });
    });
  }

  function filterable(tools, table) {
    const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
    const count = tools.querySelector(".count");
    tools.hidden = false;
    tools.querySelector("input").addEventListener("input", (event) => {
      const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [row, text] of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
  }

  for (const box of document.querySelectorAll("[data-table]")) {
    const table = box.querySelector("table");
    const tools = box.querySelector(".tools");
    sortable(table);
    if (tools) filterable(tools, table);
  }
})();
