// Curves: the nearest point to the cursor, its values in a small card. Points come from the chart's own markers.
function bindChart(chart) {
  const points = [...chart.querySelectorAll("circle[data-tip]")], card = document.createElement("div");
  card.className = "tip";
  card.hidden = true;
  chart.parentElement.append(card);
  function leave() {
    card.hidden = true;
    for (const point of points) point.classList.remove("near");
  }
  chart.addEventListener("pointermove", (event) => {
    let best = null, least = 60;
    for (const point of points) {
      const box = point.getBoundingClientRect(), away = Math.hypot(box.x + box.width / 2 - event.clientX, 0.35 * (box.y + box.height / 2 - event.clientY));
      if (away < least) { least = away; best = point; }
    }
    leave();
    if (!best) return;
    const at = best.getBoundingClientRect(), frame = chart.parentElement.getBoundingClientRect();
    best.classList.add("near");
    card.textContent = best.dataset.tip;
    card.hidden = false;
    card.style.left = `${Math.min(Math.max(at.x - frame.x - card.offsetWidth / 2, 4), frame.width - card.offsetWidth - 4)}px`;
    card.style.top = `${at.y - frame.y - card.offsetHeight - 10}px`;
  });
  chart.addEventListener("pointerleave", leave);
}
