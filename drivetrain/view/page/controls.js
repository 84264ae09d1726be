// What a hand can do: buttons, keys, wheel, drag, and the time line.
const KEYS = { " ": "play", ArrowLeft: "back", ArrowRight: "forward", ArrowUp: "previous", ArrowDown: "next", f: "follow", F: "follow", c: "consider", C: "consider", 0: "fit", "+": "zoom-in", "=": "zoom-in", "-": "zoom-out" };

function bindControls({ acts, seek, relist, paint, last, state, stage, part, filter, app, play, follow, canvas, root, considers }) {
  for (const button of root.querySelectorAll("[data-act]")) button.addEventListener("click", () => acts[button.dataset.act]());
  for (const name of ["driver", "outcome", "scene"]) filter(name).addEventListener("change", relist);
  part("speed").addEventListener("change", (event) => (state.speed = Number(event.target.value)));

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("select, input, textarea, summary"), inside = app || root.contains(document.activeElement);
    if (typing || !inside || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Home" || event.key === "End") { event.preventDefault(); return seek(event.key === "Home" ? 0 : last()); }
    const act = KEYS[event.key];
    if (!act || (event.key === " " && event.target.closest("button"))) return;
    event.preventDefault();
    acts[act](event.shiftKey);
  });

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    const middle = state.follow ? [box.width / 2, box.height / 2] : [event.clientX - box.left, event.clientY - box.top];
    stage.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...middle);
    paint();
  }, { passive: false });

  const held = new Map(); // pointers on the canvas: one pans, two pinch
  canvas.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, [event.clientX, event.clientY]);
    canvas.setPointerCapture(event.pointerId);
    canvas.classList.add("dragging");
    root.focus({ preventScroll: true });
  });
  canvas.addEventListener("pointermove", (event) => {
    const from = held.get(event.pointerId), box = canvas.getBoundingClientRect();
    state.pointer = stage.toWorld(event.clientX - box.left, event.clientY - box.top);
    if (!from) return state.playing || paint();
    const spread = () => { const [a, b] = [...held.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
    const before = held.size === 2 ? spread() : 0;
    held.set(event.pointerId, [event.clientX, event.clientY]);
    if (before) stage.zoom(spread() / before);
    else {
      if (state.follow) follow(false);
      stage.camera.x -= (event.clientX - from[0]) / stage.camera.scale;
      stage.camera.y += (event.clientY - from[1]) / stage.camera.scale;
    }
    paint();
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => { held.delete(event.pointerId); if (!held.size) canvas.classList.remove("dragging"); });

  canvas.addEventListener("pointerleave", () => { state.pointer = null; if (!state.playing) paint(); });

  const timeline = part("timeline");
  const scrub = (event) => {
    const box = timeline.getBoundingClientRect();
    play(false);
    seek(Math.round(((event.clientX - box.left) / box.width) * last()));
  };
  timeline.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    timeline.setPointerCapture(event.pointerId);
    scrub(event);
  });
  timeline.addEventListener("pointermove", (event) => timeline.hasPointerCapture(event.pointerId) && scrub(event));

  new ResizeObserver(() => { stage.resize(); paint(); }).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { stage.renew(); paint(); });
  const swatches = [["accent", "Ego"], ["route", "Its permissible route"], ["car", "Car"], ["truck", "Truck"], ["bus", "Bus"], ["motorcycle", "Motorcycle"], ["bicycle", "Bicycle"], ["pedestrian", "Pedestrian"], ["other", "Other"]];
  if (considers) swatches.push(["considered", "What the driver considers: the wider, the likelier; point at an end for its figure"]);
  for (const [colour, text] of swatches) {
    const swatch = element("i");
    swatch.style.background = `var(--${colour})`;
    part("legend").append(element("li", {}, swatch, text));
  }
  const ghost = element("i");
  ghost.style.border = "1.5px dashed var(--ghost)";
  part("legend").append(element("li", {}, ghost, "Where the log has the ego"));
  part("legend").append(element("li", { textContent: "Stop lines take the light's colour; dashed: a modelled cycle, fails nobody" }));
}
