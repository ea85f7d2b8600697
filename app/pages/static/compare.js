"use strict";
// One key for each answer: 1 left, 2 same, 3 right; u undoes.

const buttons = { 1: "left", 2: "same", 3: "right" };

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
  if (event.target.matches("input:not([type=hidden]), select, textarea")) return;
  const button = document.getElementById(buttons[event.key] ?? (event.key === "u" ? "undo" : ""));
  if (button) {
    event.preventDefault();
    document.body.inert = true; // a second key belongs to the next pair
    button.form.requestSubmit(button);
  }
});
