"use strict";
// One key for each decision: a approves, r opens the reasons, e opens the edit, u undoes. Inside a field keys type; Escape leaves it.

const typing = element => element.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=hidden])");

function unfold(id, first) {
  const details = document.getElementById(id);
  if (!details) return;
  details.open = true;
  details.querySelector(first).focus();
}

const keys = {
  a: () => document.getElementById("approve")?.requestSubmit(),
  r: () => unfold("reject", "input[type=radio]:checked"),
  e: () => unfold("edit", "input[name=title]"),
  u: () => document.getElementById("undo")?.requestSubmit(),
};

document.addEventListener("keydown", event => {
  if (event.key === "Escape") document.activeElement.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing || typing(event.target)) return;
  const act = keys[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});
