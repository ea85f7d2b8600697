"use strict";
// Draws every <script type="application/json" class="figure"> into the element before it, in the page's own colours.

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function inked(value) {
  if (typeof value === "string") return value.replace(/^var\((--[\w-]+)\)$/, (_, name) => colour(name));
  if (Array.isArray(value)) return value.map(inked);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inked(item)]));
  return value;
}

function draw() {
  const family = getComputedStyle(document.body).fontFamily;
  for (const source of document.querySelectorAll("script.figure")) {
    const {data, layout} = inked(JSON.parse(source.textContent));
    layout.font.family = family;
    Plotly.react(source.previousElementSibling, data, layout, {displayModeBar: false, responsive: true});
  }
}

draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
