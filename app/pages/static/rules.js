"use strict";
// Underline the text while it is typed: the server checks it a moment after the last key.

const form = document.getElementById("try"), shown = document.getElementById("tried");
const WAIT_MS = 250;
let waiting, asked = 0;

async function check() {
  const turn = ++asked;
  const answer = await fetch(form.action, {method: "POST", body: new URLSearchParams(new FormData(form)),
    headers: {"X-Part": "tried"}});
  if (!answer.ok) return;
  const part = await answer.text();
  if (turn === asked) shown.innerHTML = part;  // an older answer must not replace a newer one
}

form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(check, WAIT_MS); });
form.addEventListener("submit", event => { event.preventDefault(); clearTimeout(waiting); check(); });
