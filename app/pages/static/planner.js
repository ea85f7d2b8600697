"use strict";
// A slider beside each number that asks for one: logarithmic, kept in step with the number, the plan redrawn when it is let go.

for (const number of document.querySelectorAll("input[data-slide-low]")) {
  const low = Math.log(number.dataset.slideLow), high = Math.log(number.dataset.slideHigh);
  const slider = Object.assign(document.createElement("input"), {type: "range", min: 0, max: 1000, step: 1});
  slider.setAttribute("aria-label", `${number.labels[0].textContent.trim()}, slider`);
  const follow = () => { slider.value = 1000 * (Math.log(number.value) - low) / (high - low); };
  slider.addEventListener("input", () => {
    number.value = Number(Math.exp(low + (high - low) * slider.value / 1000).toPrecision(2));
    slider.setAttribute("aria-valuetext", number.value);
  });
  slider.addEventListener("change", () => number.form.requestSubmit());
  number.addEventListener("input", follow);
  follow();
  number.after(slider);
}
